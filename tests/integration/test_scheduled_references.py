"""Scheduled runs of a reference, beside a real registry that is not always there."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from xgboost import XGBClassifier

from modelway.backends.mlflow_rest import MlflowRegistry
from modelway.batch.schedules import RunState
from modelway.batch.timekeeping import AGAIN_AFTER, Timekeeper
from modelway.cli.main import run
from modelway.composition.control import Control
from modelway.composition.scheduling import ScheduledProcesses
from support.canaries import controlled
from support.homes import HOME, wait_until
from support.mlflow_servers import MlflowServer
from support.schedules import NOON, Clock, schedule
from support.severed import Relay

pytestmark = pytest.mark.services


@pytest.fixture
def trees(server: MlflowServer, tmp_path: Path) -> str:
    """A model whose champion is the first of two versions; beside it are rows."""
    registry, name = MlflowRegistry(server.url), f"trees-{secrets.token_hex(4)}"
    rows, labels = load_iris(return_X_y=True, as_frame=True)
    for depth in (1, 2):
        logged = tmp_path / f"logged-{depth}"
        logged.mkdir()
        model = XGBClassifier(n_estimators=1, max_depth=depth).fit(rows, labels)
        model.save_model(logged / "model.ubj")
        registry.register(name, logged, None, {})
    registry.set_alias(name, "champion", "1")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    return name


def ended(keeper: Timekeeper, control: Control) -> bool:
    """Whether the run that is under way is gone on with by nobody, once it was looked at."""
    keeper.once()
    (one,) = control.store.schedules.runs("nightly", 10)
    return one.state is not RunState.RUNNING or one.tries == 0


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
        (found,) = control.store.schedules.runs("nightly", 10)
        assert (found.state, found.until) == (RunState.RUNNING, NOON + AGAIN_AFTER)
        assert relay.turned_away
        relay.mend()
        clock.at += AGAIN_AFTER
        keeper.once()
        wait_until(lambda: ended(keeper, control), 120)
        (found,) = control.store.schedules.runs("nightly", 10)
        assert (found.state, found.attempt) == (RunState.SUCCEEDED, 2), found.detail
        assert len((tmp_path / "out.csv").read_text().splitlines()) == 151


def test_what_was_begun_with_another_champion_is_gone_on_with_by_its_number(
    trees: str,
    server: MlflowServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODELWAY__REGISTRY__URL", server.url)
    with Path("rows.csv").open("a") as rows:
        rows.write("long,1,1,1\n")
    files = ("--input", "rows.csv", "--output", "out.csv")
    assert run(["batch", f"{trees}@champion", *files]) == 12
    assert Path("out.csv.parts").is_dir()
    MlflowRegistry(server.url).set_alias(trees, "champion", "2")
    more = ("--max-errors", "1", "--resume")
    assert run(["batch", f"{trees}:1", *files, *more]) == 11
    assert len(Path("out.csv").read_text().splitlines()) == 151
