"""``modelway up`` from an empty folder: promoted under load, rolled back, killed, alone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from modelway.backends.mlflow_rest import MlflowRegistry
from support.calling import Callers, assert_moved
from support.homes import Homes, Up, callers_of, copied, is_running, wait_until
from support.once import Once
from support.trained import ROW, TRANSCRIPT, follow_tutorial

OWN = {"MODELWAY__REGISTRY__PROTECTED": "guarded"}
MIXED_S = 2.0
"""How long two versions may both answer."""

pytestmark = pytest.mark.services


@pytest.fixture(scope="session")
def trained(once: Once) -> Path:
    """The folder in which the tutorial was followed; nobody may change it."""
    return once("trained-home", follow_tutorial)


@pytest.fixture(scope="module")
def homes() -> Iterator[Homes]:
    """Starts ``modelway up``; what it started ends with the module."""
    with Homes() as starting:
        yield starting


@pytest.fixture(scope="module")
def running() -> dict[str, Up]:
    """What runs in the module's own copy of the trained home, once it was started."""
    return {}


@pytest.fixture
def up(
    trained: Path, homes: Homes, running: dict[str, Up], tmp_path_factory: pytest.TempPathFactory
) -> Up:
    """One with its own MLflow, in a copy of the trained home; everything of it runs."""
    if "up" not in running:
        folder = copied(trained, tmp_path_factory.mktemp("started"))
        running["up"] = homes.up(folder, environment=OWN)
    elif running["up"].process.poll() is not None:
        running["up"] = homes.up(running["up"].folder, environment=OWN)
    up = running["up"]
    up.wait_for_mlflow()
    return up


def promote(up: Up, number: str) -> None:
    """Have a version be the champion that answers."""
    if champion(up) != number:
        up.cli("model", "promote", f"iris:{number}", "--why", "for the test")
    wait_until(lambda: version(up) == number)


def version(up: Up) -> str:
    answer = up.ask("/predict", payload=ROW)
    assert answer.status == 200, answer.body
    return answer.headers["modelway-version"]


def moves(up: Up, alias: str = "champion") -> list[Any]:
    """The history of an alias, as the administration tells it."""
    entered: Any = up.administer("GET", "/registry/iris/history").json
    return [one for one in entered if one["alias"] == alias]


def champion(up: Up) -> str:
    return str(moves(up)[-1]["to_version"])


def test_the_tutorial_works_as_it_is_written(trained: Path) -> None:
    told = json.loads((trained / TRANSCRIPT).read_text())
    print(f"ready after {told['ready_s']:.2f} s, MLflow after {told['mlflow_s']:.1f} s")
    assert told["health"] == 200
    assert not told["was_mlflow_up"]
    assert [one["answer"]["version"] for one in told["answers"]] == ["1", "2", "1"]
    assert told["exit_code"] == 0
    said = told["said"]
    assert "not yet" in said["modelway model show iris"]
    listed = said["modelway model history iris"].splitlines()
    assert [("rolled back" in line, "promoted" in line) for line in listed[1:]] == [
        *((False, True), (False, True), (True, False))
    ]


def test_an_alias_that_is_moved_in_mlflow_itself_is_followed(up: Up) -> None:
    promote(up, "1")
    before = len(moves(up))
    MlflowRegistry(up.registry).set_alias("iris", "champion", "2")
    # The ledger lets a move settle first, in case that is one of its own on its way.
    wait_until(lambda: version(up) == "2", 30)
    assert len(moves(up)) == before + 1
    noticed = moves(up)[-1]
    assert (noticed["kind"], noticed["actor"], noticed["from_version"]) == (
        "noticed",
        "mlflow",
        "1",
    )


def test_a_version_is_promoted_and_rolled_back_under_load(up: Up) -> None:
    promote(up, "1")
    with Callers(up.url, ROW) as callers:
        callers.wait_for("1")
        up.cli("model", "promote", "iris:2", "--why", "better")
        callers.wait_for("2")
    mixed_s = assert_moved(callers, "1", "2")
    print(f"{callers.count()} answers, both versions for {mixed_s:.3f} s")
    assert mixed_s < MIXED_S
    with Callers(up.url, ROW) as callers:
        callers.wait_for("2")
        up.cli("model", "rollback", "iris", "--why", "worse")
        callers.wait_for("1")
    assert assert_moved(callers, "2", "1") < MIXED_S
    assert [(one["kind"], one["to_version"]) for one in moves(up)[-2:]] == [
        *(("promoted", "2"), ("rolled back", "1"))
    ]


def test_without_mlflow_it_answers_on_rolls_back_and_tells_mlflow_later(
    up: Up, homes: Homes, running: dict[str, Up]
) -> None:
    promote(up, "1")
    promote(up, "2")
    # One that comes later is not asked by those who name none, wherever the alphabet has it.
    up.cli("endpoint", "create", "apple", "--live", "iris:1")
    entered, port = moves(up), urlsplit(up.url).port
    left = [one for pids in up.children().values() for pid in pids for one in _group_of(pid)]
    up.kill()
    wait_until(lambda: not any(map(is_running, left)))
    begun = time.monotonic()
    again = homes.up(up.folder, "--port", str(port), "--no-mlflow", environment=OWN)
    assert version(again) == "2"
    print(f"killed and started again: answers after {time.monotonic() - begun:.2f} s")
    assert moves(again) == entered
    refused = again.cli("model", "promote", "iris:1", "--why", "none", exit_code=8)
    assert "registry-unavailable" in refused.stderr
    again.cli("model", "rollback", "iris", "--why", "without MLflow")
    wait_until(lambda: version(again) == "1")
    assert again.stop() == 0
    back = homes.up(up.folder, "--port", str(port), environment=OWN)
    back.wait_for_mlflow()
    shown = MlflowRegistry(back.registry)
    wait_until(lambda: shown.model("iris").aliases["champion"] == "1")
    assert version(back) == "1"
    running["up"] = back
    assert [one["kind"] for one in moves(back)] == [one["kind"] for one in entered] + [
        "rolled back"
    ]


ROUNDS = 20
PROMOTING = """
import contextlib, io, json, sys
from modelway.cli.main import run

print("ready", flush=True)
for line in sys.stdin:
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = run(json.loads(line))
    print(json.dumps([code, said.getvalue()]), flush=True)
"""


class Person:
    """Somebody at a command line that is open already."""

    def __init__(self, up: Up, name: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROMOTING],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=up.folder,
            env={**os.environ, **up.environment, "LOGNAME": name},
        )
        assert self._heard() == "ready\n"

    def __enter__(self) -> Person:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    def say(self, *words: str) -> None:
        """Type a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()

    def told(self) -> tuple[int, str]:
        """The exit code of the last command, and what it said of errors."""
        code, said = json.loads(self._heard())
        return code, said

    def _heard(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def test_of_two_who_promote_at_once_one_wins_and_the_other_is_told(up: Up) -> None:
    with Person(up, "ann") as ann, Person(up, "bob") as bob:
        conflicts = sum(promoted_at_once(up, [ann, bob], f"turn-{k}") for k in range(ROUNDS))
    print(f"{conflicts} of {ROUNDS} rounds were at the same moment")
    assert conflicts


def promoted_at_once(up: Up, people: Sequence[Person], alias: str) -> int:
    """Have each promote another version, and look what became of it; gives how many lost."""
    for number, one in enumerate(people, 1):
        words = ("--to", alias, "--why", f"{one.name} likes it")
        one.say("model", "promote", f"iris:{number}", *words)
    told = [one.told() for one in people]
    entered = moves(up, alias)
    winners = [one.name for one, (code, _) in zip(people, told, strict=True) if code == 0]
    assert sorted(one["actor"] for one in entered) == winners
    assert [one["number"] for one in entered] == list(range(1, len(winners) + 1))
    lost = [(code, said) for code, said in told if code]
    for code, said in lost:
        assert code == 4, said
        assert f"{winners[0]} moved it to" in said
    shown = MlflowRegistry(up.registry).model("iris").aliases
    assert shown[alias] == entered[-1]["to_version"]
    return len(lost)


def test_a_protected_alias_waits_for_somebody_else(up: Up) -> None:
    words = ("model", "promote", "iris:2", "--to", "guarded", "--why", "better")
    by_ann = up.cli_json(*words, LOGNAME="ann")
    assert by_ann["decision"] == "open"
    refused = up.cli("model", "approve", "iris", by_ann["id"], exit_code=5, LOGNAME="ann")
    assert "ann proposed it" in refused.stderr
    made = up.cli_json("key", "create", "carl", "--scope", "approve", "--scope", "deploy")
    there = ("--server", up.said["administration"], "--key", made["key"])
    approved = up.cli_json("model", "approve", "iris", by_ann["id"], *there)
    assert (approved["alias"], approved["to_version"], approved["actor"]) == ("guarded", "2", "ann")
    assert "carl" in approved["why"]
    by_carl = up.cli_json(*words, *there)
    refused = up.cli("model", "approve", "iris", by_carl["id"], *there, exit_code=5)
    assert "may not approve it" in refused.stderr
    soon = up.cli_json(*words, LOGNAME="ann", MODELWAY__REGISTRY__APPROVAL_S="1")
    time.sleep(1.1)
    late = up.cli("model", "approve", "iris", soon["id"], *there, exit_code=4)
    assert "expired" in late.stderr
    found = {one["id"]: one["decision"] for one in up.cli_json("model", "proposals", "iris")}
    assert [found[one["id"]] for one in (by_ann, by_carl, soon)] == ["approved", "open", "expired"]


def test_a_killed_process_comes_back_and_fails_no_request_but_its_own(up: Up) -> None:
    promote(up, "1")
    entered, killed = moves(up), set[int]()
    with Callers(up.url, ROW, number=8) as callers:
        callers.wait_for("1")
        for name, place in (("answer", 0), ("answer", 1), ("tend", 0), ("mlflow", 0)):
            victim = up.children()[name][place]
            left = _group_of(victim)
            os.kill(victim, signal.SIGSTOP)
            killed |= set(callers_of(victim))
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: _is_whole(up, victim), told=up.log.read_text)  # noqa: B023
            wait_until(lambda: not any(map(is_running, left)))  # noqa: B023 - used at once
        seen = callers.count()
        wait_until(lambda: callers.count() > seen + 50)
    assert {one.port for one in callers.broken} <= killed
    answers = [one for connection in callers.connections for one in connection.answers]
    assert {(one.status, one.version) for one in answers} == {(200, "1")}
    assert moves(up) == entered


def _group_of(pid: int) -> list[int]:
    """The processes of the session that a child of ``up`` is the first of."""
    found = []
    for one in Path("/proc").iterdir():
        if one.name.isdigit():
            with contextlib.suppress(OSError):
                if os.getsid(int(one.name)) == pid:
                    found.append(int(one.name))
    return found


def _is_whole(up: Up, but: int) -> bool:
    children = up.children()
    pids = [pid for pids in children.values() for pid in pids]
    return but not in pids and len(pids) == 4 and len(up.workers()) == 2
