"""``modelway up`` while its store is away: what answered last does, until the store is back."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelway.endpoints.endpoint import Canary, Endpoint
from support.canaries import STEADY, controlled, linked, moved
from support.homes import HOME, Homes, Up, cli, wait_until
from support.job_flow import asked
from support.jobs import new_job
from support.own_postgresql import OwnPostgresql, own_postgresql

ROW = {"a": 3}
LATE_S = 90.0
KEYED = {"MODELWAY__ACCESS__PREDICTIONS": "keys"}

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgresql]:
    with own_postgresql() as server:
        yield server


def answer(up: Up, key: str, path: str = "/predict") -> tuple[int, object]:
    """The status of a prediction and what it is."""
    answered = up.ask(path, payload=ROW, headers={"x-api-key": key})
    said = answered.json
    return answered.status, said.get("prediction") if isinstance(said, dict) else None


def test_a_second_start_without_the_store_finds_everything_as_it_was(
    server: OwnPostgresql, tmp_path: Path
) -> None:
    store = ("--store", server.url)
    with controlled(tmp_path / HOME, store__url=server.url) as control:
        linked(control, tmp_path, {str(n): STEADY.format(number=n) for n in (1, 2, 3)})
        moved(control, "1")
        canaries = (Canary("rule:3", 0.25),)
        control.rollouts.create(Endpoint("older", "rule@champion"), "ann", "the first")
        control.rollouts.create(Endpoint("early", "rule:2", canaries), "ann")
    made = json.loads(
        cli(tmp_path, "key", "create", "app", "--scope", "predict", "--json", *store).stdout
    )
    key, last = str(made["key"]), tmp_path / HOME / "last.json"
    with Homes() as homes:
        words = ("--no-mlflow", *store)
        first = homes.up(tmp_path, *words, environment=KEYED)
        assert answer(first, key) == (200, 4)
        wait_until(lambda: last.exists() and "rule" in last.read_text())
        assert first.stop() == 0
        assert stat.S_IMODE(last.stat().st_mode) == 0o600
        assert key.split("_", 2)[2] not in last.read_text()
        server.stop()

        up = homes.up(tmp_path, "--no-mlflow", environment=KEYED)
        assert answer(up, key) == (200, 4), "the default one is the oldest"
        assert answer(up, key, "/models/early/predict")[0] == 200
        assert answer(up, "mw_aaaaaaaaaa_x")[0] == 401
        assert "endpoints and keys are as they were at" in up.log.read_text()
        status = up.cli_json("status")
        assert "cannot be used" in status["store_trouble"]
        assert (status["generation"], status["keys"], status["proposals"]) == (None, 1, None)
        shown = {one["name"]: one["versions"] for one in status["endpoints"]}
        assert [(one["role"], one["version"], one["weight"]) for one in shown["early"]] == [
            ("live", "2", None),
            ("canary", "3", 0.25),
        ]
        assert shown["older"][0]["digest"].startswith("sha256:")
        assert "is away" in up.cli("status").stdout
        refused = up.cli("endpoint", "list", exit_code=8)
        assert "the control store" in refused.stderr
        (tend,) = up.children()["tend"]

        server.start()
        up.cli("endpoint", "set", "older", "--live", "rule:2", "--why", "it is back")
        wait_until(lambda: answer(up, key) == (200, 5))
        other = up.cli_json("key", "create", "other", "--scope", "predict")["key"]
        wait_until(lambda: answer(up, other)[0] == 200)
        wait_until(lambda: up.cli_json("status")["store_trouble"] is None)
        assert up.children()["tend"] == [tend]
        wait_until(lambda: json.loads(last.read_text())["keys"][-1]["name"] == "other")


def test_what_is_known_of_one_store_is_not_taken_for_another_and_keys_stay_needed(
    server: OwnPostgresql, tmp_path: Path
) -> None:
    with controlled(tmp_path / HOME, store__url=server.url) as control:
        linked(control, tmp_path, {"9": STEADY.format(number=9)})
        control.rollouts.create(Endpoint("own", "rule:9"), "ann")
    last = tmp_path / HOME / "last.json"
    with Homes() as homes:
        up = homes.up(tmp_path, "--no-mlflow", "--store", server.url)
        wait_until(lambda: last.exists() and '"own"' in last.read_text())
        assert up.stop() == 0
    server.stop()
    try:
        words = ("up", "--no-mlflow", "--port", "0", "--admin-port", "0", "--store")
        never = server.url.replace("/postgres", "/another")
        refused = cli(tmp_path, *words, never, exit_code=8)
        assert "the control store" in refused.stderr
        known = json.loads(last.read_text())
        last.write_text(json.dumps({**known, "keys": []}))
        refused = cli(tmp_path, *words, server.url, exit_code=2, environment=KEYED)
        assert "there is no key to ask with" in refused.stderr
        for unusable in ("nonsense", json.dumps({**known, "format": 99})):
            last.write_text(unusable)
            cli(tmp_path, *words, server.url, exit_code=8)
    finally:
        server.start()


def test_a_store_that_comes_back_careless_is_used_once_it_is_not(
    server: OwnPostgresql, tmp_path: Path
) -> None:
    store = ("--store", server.url)
    with controlled(tmp_path / HOME, store__url=server.url) as control:
        linked(control, tmp_path, {"1": STEADY.format(number=1)}, "late")
        control.rollouts.create(Endpoint("late", "late:1"), "ann")
    last = tmp_path / HOME / "last.json"
    with Homes() as homes:
        first = homes.up(tmp_path, "--no-mlflow", *store)
        wait_until(lambda: last.exists() and "late" in last.read_text())
        assert first.stop() == 0
        with controlled(tmp_path / HOME, store__url=server.url) as control:
            control.store.jobs.enqueue([new_job("a", endpoint="late", content=b'{"a": 3}')])
        server.stop()
        power = {"MODELWAY__JOBS__DURABILITY": "power"}
        up = homes.up(tmp_path, "--no-mlflow", environment=power)
        server.start()
        wait_until(lambda: "fsync = off" in up.log.read_text(), LATE_S, up.log.read_text)
        assert b"modelway_jobs{" not in up.administer("GET", "/metrics").body
        server.stop()
        server.start(fsync="on")
        wait_until(lambda: asked(up, "/jobs/a").json.get("done"), LATE_S, up.log.read_text)
        counted = b'modelway_jobs{endpoint="late",state="queued"} 0'
        wait_until(lambda: counted in up.administer("GET", "/metrics").body, LATE_S)
