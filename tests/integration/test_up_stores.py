"""Two ``modelway up`` on one store and one registry: what is decided on one holds on both."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support.calling import Callers, assert_moved
from support.canaries import controlled
from support.homes import HOME, Homes, Up, cli, copied, mlflow_of, wait_until
from support.once import Once
from support.patience import promised
from support.stores import SERVERS, empty_database
from support.trained import ROW, follow_tutorial

REACHES_S = promised(2.0)

pytestmark = pytest.mark.services


@pytest.fixture(scope="session")
def trained(once: Once) -> Path:
    """The folder in which the tutorial was followed; nobody may change it."""
    return once("trained-home", follow_tutorial)


@pytest.fixture(scope="module")
def registry(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The MLflow of the trained home, as a team's own: its URL."""
    with mlflow_of(copied(trained, tmp_path_factory.mktemp("team"))) as url:
        yield url


@pytest.fixture(scope="module", params=SERVERS)
def hosts(
    request: pytest.FixtureRequest,
    trained: Path,
    registry: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Up, Up]]:
    """Two services with homes of their own, that share store, registry and bundles."""
    folder = tmp_path_factory.mktemp("hosts")
    with empty_database(request.param, folder) as store, Homes() as homes:
        shared = copied(trained, folder / "first") / HOME
        (shared / "control.db").unlink()
        (folder / "second" / HOME).mkdir(parents=True)
        (folder / "second" / HOME / "bundles").symlink_to(shared / "bundles")
        words = ("--store", store, "--registry", registry)
        trusting = {"MODELWAY__REGISTRY__TRUSTED": registry}
        two = [homes.up(folder / one, *words, environment=trusting) for one in ("first", "second")]
        for up in two:
            up.environment = {
                **trusting,
                "MODELWAY__STORE__URL": store,
                "MODELWAY__REGISTRY__URL": registry,
            }
        first, second = two
        with controlled(shared, store__url=store) as control:
            # The alias is there already, and who promotes at the moment at which that is noticed
            # is told to look again.
            wait_until(lambda: bool(control.store.ledger.history("iris", "champion")), 60)
        first.cli("model", "promote", "iris:1", "--why", "the first one")
        first.cli("endpoint", "create", "iris", "--live", "iris@champion")
        first.cli("model", "bundle", "iris:2")
        for up in two:
            wait_until(partial(answers, up))
        yield first, second


def answers(up: Up) -> bool:
    return up.ask("/predict", payload=ROW).status == 200


def test_what_is_promoted_on_one_host_answers_on_both_in_two_seconds(
    hosts: tuple[Up, Up],
) -> None:
    first, second = hosts
    with Callers(first.url, ROW, 16) as here, Callers(second.url, ROW, 16) as there:
        here.wait_for("1")
        there.wait_for("1")
        first.cli("model", "promote", "iris:2", "--why", "better")
        promoted_s = time.monotonic()
        here.wait_for("2")
        there.wait_for("2")
    for callers in (here, there):
        assert assert_moved(callers, "1", "2") < REACHES_S
        reached_s = callers.last_s("1") - promoted_s
        print(f"{callers.count()} answers; reached after {reached_s:.2f} s")
        assert reached_s < REACHES_S
    with Callers(first.url, ROW, 16) as here, Callers(second.url, ROW, 16) as there:
        second.cli("model", "rollback", "iris", "--why", "worse")
        rolled_s = time.monotonic()
        here.wait_for("1")
        there.wait_for("1")
    for callers in (here, there):
        assert assert_moved(callers, "2", "1") < REACHES_S
        assert callers.last_s("2") - rolled_s < REACHES_S
    kinds = [one["kind"] for one in first.cli_json("model", "history", "iris")]
    assert kinds[-2:] == ["promoted", "rolled back"]


def test_a_host_that_comes_later_answers_as_the_others(hosts: tuple[Up, Up]) -> None:
    first, second = hosts
    port = urlsplit(second.url).port
    assert second.stop() == 0
    with Homes() as homes:
        words = ("--store", second.environment["MODELWAY__STORE__URL"], "--port", str(port))
        own = {"MODELWAY__REGISTRY__TRUSTED": second.environment["MODELWAY__REGISTRY__TRUSTED"]}
        again = homes.up(second.folder, *words, "--no-mlflow", environment=own)
        versions = {
            one.ask("/predict", payload=ROW).headers["modelway-version"] for one in (first, again)
        }
    assert len(versions) == 1


def test_a_pickle_of_a_registry_that_is_not_trusted_is_not_built(
    registry: str, tmp_path: Path
) -> None:
    words = ("model", "bundle", "iris:1", "--registry", registry)
    refused = cli(tmp_path, *words, exit_code=6)
    assert "is not listed as trusted" in refused.stderr
    assert "registry.trusted" in refused.stderr
    assert not list((tmp_path / HOME).glob("bundles/*"))
