"""``modelway up`` of one worker while a bundle takes long to open: nothing else waits for it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelway.endpoints.endpoint import Endpoint
from support.canaries import STEADY, controlled, linked, linked_bundle, moved
from support.homes import HOME, Homes, Up, cli, wait_until
from support.patience import promised
from support.served import FLOWER, compiled_bundle, flower_graph

KNOWN_S = promised(2.0)
ENDS_S = promised(5.0)
GATE = "gate"
SLOW = """
import os, time

while not os.path.exists({gate!r}):
    time.sleep(0.02)


""" + STEADY.format(number=2)
ROWS = {"slow": {"a": 3}, "other": {"a": 3}, "graph": {"sepal_length": 5.0, "petal_width": 2.2}}


def made(folder: Path, name: str) -> dict[str, str]:
    """A new key of the home in a folder."""
    shown = cli(folder, "key", "create", name, "--scope", "predict", "--json").stdout
    found: dict[str, str] = json.loads(shown)
    return found


@pytest.fixture(params=["thread", "process"])
def isolation(request: pytest.FixtureRequest) -> str:
    """Where models of other than graphs run."""
    return str(request.param)


@pytest.fixture
def key(tmp_path: Path) -> dict[str, str]:
    """A key to ask for predictions with."""
    return made(tmp_path, "leaving")


@pytest.fixture
def staying(tmp_path: Path) -> str:
    """Another one."""
    return made(tmp_path, "staying")["key"]


@pytest.fixture
def up(tmp_path: Path, isolation: str, key: dict[str, str], staying: str) -> Iterator[Up]:
    """One worker of three endpoints; version 2 of the first opens no sooner than its gate."""
    gate = tmp_path / GATE
    gate.touch()  # it is opened while it is built, too
    with controlled(tmp_path / HOME) as control:
        linked(
            control,
            tmp_path,
            {"1": STEADY.format(number=1), "2": SLOW.format(gate=str(gate))},
            "slow",
        )
        linked(
            control, tmp_path / "o", {n: STEADY.format(number=n + "0") for n in ("1", "2")}, "other"
        )
        for version, certainty in {"1": 0.75, "2": 0.5}.items():
            graph = flower_graph(certainty)
            bundle = compiled_bundle(tmp_path / f"g{version}", graph, FLOWER, classes=(0, 1, 2))
            linked_bundle(control, bundle, "graph", version)
        for model in ROWS:
            moved(control, "1", model)
            control.rollouts.create(Endpoint(model, f"{model}@champion"), "ann")
    gate.unlink()
    environment = {
        "MODELWAY__ACCESS__PREDICTIONS": "keys",
        "MODELWAY__INFERENCE__ISOLATION": isolation,
    }
    with Homes() as homes:
        yield homes.up(tmp_path, "--no-mlflow", workers=1, environment=environment)


def answering(up: Up, name: str, key: str) -> str:
    """The version that answers, or the status of the refusal."""
    path, head = f"/models/{name}/predict", {"x-api-key": key}
    answer = up.ask(path, payload=ROWS[name], headers=head)
    return answer.headers["modelway-version"] if answer.status == 200 else str(answer.status)


def promoted(up: Up, model: str, version: str = "2") -> None:
    with controlled(up.home) as control:
        moved(control, version, model)


def opening(up: Up) -> bool:
    """Whether the slow version is being opened just now."""
    states = [one for worker in up.workers() for one in worker["models"]]
    return any((one["version"], one["state"]) == ("2", "loading") for one in states)


def test_a_bundle_that_takes_long_to_open_holds_up_nothing_else(
    up: Up, isolation: str, key: dict[str, str], staying: str
) -> None:
    assert [answering(up, name, key["key"]) for name in ROWS] == ["1", "1", "1"]
    promoted(up, "slow")
    wait_until(lambda: opening(up), KNOWN_S)

    up.cli("key", "revoke", key["id"])
    took_s = wait_until(lambda: answering(up, "graph", key["key"]) == "401", KNOWN_S)
    print(f"the key was refused after {took_s:.2f} s")

    # What runs other code in the worker itself is opened one after the other.
    for name in ("graph", "other") if isolation == "process" else ("graph",):
        promoted(up, name)
        took_s = wait_until(lambda n=name: answering(up, n, staying) == "2", KNOWN_S)  # type: ignore[misc] # n is the name of now
        print(f"{name} was promoted after {took_s:.2f} s")
    assert opening(up)
    assert answering(up, "slow", staying) == "1"

    (up.folder / GATE).touch()
    wait_until(lambda: answering(up, "slow", staying) == "2", KNOWN_S)
    promoted(up, "slow", "1")
    wait_until(lambda: answering(up, "slow", staying) == "1", KNOWN_S)
    assert "Traceback" not in up.log.read_text()


def test_a_service_ends_in_time_while_a_bundle_opens(up: Up) -> None:
    promoted(up, "slow")
    wait_until(lambda: opening(up), KNOWN_S)
    began = time.monotonic()
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(60) == 0
    took_s = time.monotonic() - began
    print(f"ended after {took_s:.2f} s")
    assert took_s < ENDS_S
    assert "Traceback" not in up.log.read_text()


def test_a_worker_that_dies_while_a_bundle_opens_begins_as_things_are_then(
    up: Up, staying: str
) -> None:
    promoted(up, "slow")
    wait_until(lambda: opening(up), KNOWN_S)
    promoted(up, "graph")
    wait_until(lambda: answering(up, "graph", staying) == "2", KNOWN_S)
    (worker,) = up.children()["answer"]
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: up.children().get("answer", [worker]) != [worker])
    wait_until(lambda: answering(up, "graph", staying) == "2")
    (up.folder / GATE).touch()
    wait_until(lambda: answering(up, "slow", staying) == "2")
