"""Scheduled runs of a reference, beside a real registry that is not always there."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from xgboost import XGBClassifier

from modelway.backends.mlflow_rest import MlflowRegistry
from modelway.batch.schedules import RunState
from modelway.batch.timekeeping import AGAIN_AFTER, Timekeeper
from modelway.composition.control import Control
from modelway.composition.scheduling import ScheduledProcesses
from support.canaries import controlled
from support.homes import HOME, wait_until
from support.mlflow_servers import MlflowServer, mlflow_server
from support.schedules import NOON, Clock, schedule
from support.severed import Relay

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real MLflow server, the same for all tests."""
    with mlflow_server(tmp_path_factory) as running:
        yield running


@pytest.fixture
def trees(server: MlflowServer, tmp_path: Path) -> str:
    """A model whose champion is its only version; beside it are rows."""
    registry, name = MlflowRegistry(server.url), f"trees-{secrets.token_hex(4)}"
    rows, labels = load_iris(return_X_y=True, as_frame=True)
    (tmp_path / "logged").mkdir()
    XGBClassifier(n_estimators=1).fit(rows, labels).save_model(tmp_path / "logged" / "model.ubj")
    registry.register(name, tmp_path / "logged", None, {})
    registry.set_alias(name, "champion", "1")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    return name


def ended(keeper: Timekeeper, control: Control) -> bool:
    """Whether the run that is under way is gone on with by nobody, once it was looked at."""
    keeper.once()
    (run,) = control.store.schedules.runs("nightly", 10)
    return run.state is not RunState.RUNNING or run.tries == 0


def test_a_run_waits_for_a_registry_that_is_away(
    trees: str, server: MlflowServer, tmp_path: Path
) -> None:
    clock = Clock()
    with (
        Relay(server.url) as relay,
        controlled(tmp_path / HOME, registry__url=relay.url) as control,
    ):
        words = (f"{trees}@champion", "--input", "rows.csv", "--output", "out.csv")
        of = schedule(
            cron="0 12 * * *", arguments=words, folder=str(tmp_path), home=control.home.id
        )
        control.store.schedules.add(of)
        begin = ScheduledProcesses(control).begin
        keeper = Timekeeper(control.store.schedule_runs, of.home, of.host, begin, clock)
        relay.sever()
        wait_until(lambda: ended(keeper, control), 60)
        (run,) = control.store.schedules.runs("nightly", 10)
        assert (run.state, run.until) == (RunState.RUNNING, NOON + AGAIN_AFTER), run.detail
        assert relay.turned_away
        relay.mend()
        clock.at += AGAIN_AFTER
        keeper.once()
        wait_until(lambda: ended(keeper, control), 120)
        (run,) = control.store.schedules.runs("nightly", 10)
        assert (run.state, run.attempt) == (RunState.SUCCEEDED, 2), run.detail
        assert len((tmp_path / "out.csv").read_text().splitlines()) == 151
