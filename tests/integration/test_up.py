"""``modelway up`` from an empty folder: the tutorial, other people's moves, no registry, kills."""

from __future__ import annotations

import json
import os
import pwd
import secrets
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
from support.homes import Homes, Up, cli, copied, free_port, is_running, wait_until
from support.killing import TURNS, Killing, group_of, running_in
from support.once import Once
from support.outlived import figures, outlived
from support.trained import ROW, TRANSCRIPT, follow_tutorial

OWN = {"MODELWAY__REGISTRY__PROTECTED": "guarded"}

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
    (traced,) = (text for line, text in said.items() if line.startswith("modelway trace "))
    for fact in ("n_trees=20", "wrong for small flowers", "identical, 1 row"):
        assert fact in traced


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


def test_without_mlflow_it_answers_on_rolls_back_and_tells_mlflow_later(
    up: Up, homes: Homes, running: dict[str, Up]
) -> None:
    promote(up, "1")
    promote(up, "2")
    # One that comes later is not asked by those who name none, wherever the alphabet has it.
    up.cli("endpoint", "create", "apple", "--live", "iris:1")
    entered, port = moves(up), urlsplit(up.url).port
    left = [one for pids in up.children().values() for pid in pids for one in group_of(pid)]
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
        self._key = up.person(name, "deploy")
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROMOTING],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=up.folder,
            env={**os.environ, **up.environment},
        )
        assert self._heard() == "ready\n"

    def __enter__(self) -> Person:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    def say(self, *words: str) -> None:
        """Type a command, with the key."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([*words, *self._key]) + "\n")
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
    assert sorted(one["actor"].partition(":")[0] for one in entered) == winners
    assert [one["number"] for one in entered] == list(range(1, len(winners) + 1))
    lost = [(code, said) for code, said in told if code]
    for code, said in lost:
        assert code == 4, said
        assert f"{entered[0]['actor']} moved it to" in said
    shown = MlflowRegistry(up.registry).model("iris").aliases
    assert shown[alias] == entered[-1]["to_version"]
    return len(lost)


def test_a_protected_alias_waits_for_somebody_else(up: Up) -> None:
    words = ("model", "promote", "iris:2", "--to", "guarded", "--why", "better")
    ann, carl = up.person("ann", "deploy", "approve"), up.person("carl", "deploy", "approve")
    by_ann = up.cli_json(*words, *ann)
    assert by_ann["decision"] == "open"
    refused = up.cli("model", "approve", "iris", by_ann["id"], *ann, exit_code=5)
    assert f"{by_ann['actor']} proposed it" in refused.stderr
    approved = up.cli_json("model", "approve", "iris", by_ann["id"], *carl)
    assert (approved["alias"], approved["to_version"]) == ("guarded", "2")
    assert approved["actor"] == by_ann["actor"]
    assert "carl" in approved["why"]
    registry = MlflowRegistry(up.registry)
    registry.set_alias("iris", "guarded", "1")
    wait_until(lambda: registry.model("iris").aliases["guarded"] == "2")
    *_, tried = up.cli_json("model", "history", "iris")
    assert (tried["alias"], tried["kind"], tried["actor"]) == ("guarded", "refused", "mlflow")
    words = ("model", "promote", "iris:1", *words[3:])
    by_carl = up.cli_json(*words, *carl)
    refused = up.cli("model", "approve", "iris", by_carl["id"], *carl, exit_code=5)
    assert "may not approve it" in refused.stderr
    soon = up.cli_json(*words, MODELWAY__REGISTRY__APPROVAL_S="1")
    time.sleep(1.1)
    late = up.cli("model", "approve", "iris", soon["id"], *carl, exit_code=4)
    assert "expired" in late.stderr
    found = {one["id"]: one["decision"] for one in up.cli_json("model", "proposals", "iris")}
    assert [found[one["id"]] for one in (by_ann, by_carl, soon)] == ["approved", "open", "expired"]


def test_nobody_approves_their_own_promotion_under_another_name_of_the_environment(up: Up) -> None:
    user = pwd.getpwuid(os.getuid()).pw_name
    names = ("LOGNAME", "USER", "LNAME", "USERNAME")
    words = ("model", "promote", "iris:1", "--to", "guarded", "--why", "mine")
    mine = up.cli_json(*words, **dict.fromkeys(names, "ann"))
    assert mine["actor"] == user
    approving = ("model", "approve", "iris", mine["id"])
    refused = up.cli(*approving, exit_code=5, **dict.fromkeys(names, "bob"))
    assert f"{user} proposed it and so may not approve it" in refused.stderr
    assert f"modelway model approve iris {mine['id']} --server URL --key KEY" in refused.stderr


def test_an_alias_is_protected_from_every_folder_and_whatever_else_is_said(
    up: Up, tmp_path: Path
) -> None:
    words = ("model", "promote", "iris:1", "--to", "guarded", "--why", "why", "--json")
    for own in ({}, {"MODELWAY__REGISTRY__PROTECTED": "other"}):
        done = cli(tmp_path, *words, "--home", str(up.home), environment=own)
        assert json.loads(done.stdout)["decision"] == "open"


def test_five_kills_under_load_lose_no_record_and_no_move(
    up: Up, homes: Homes, running: dict[str, Up]
) -> None:
    promote(up, "1")
    seed = secrets.randbelow(1_000_000)
    print(f"seed {seed}")
    killing = Killing(homes, up, seed)
    lived = killing.run(len(TURNS))
    running["up"] = killing.up
    found = outlived(killing, lived)
    print(json.dumps(figures(lived, found, seed)))
    assert found.faults == []
    assert found.answered > 500
    assert found.recorded == found.answered - found.lost_of_the_last_50_ms
    assert found.moves["entered"] >= len(TURNS)
    assert killing.up.stop() == 0
    assert running_in(killing.up.folder) == []


def test_mlflow_keeps_its_port_where_up_is_killed_and_serving_waits_for_nothing(
    homes: Homes, tmp_path: Path
) -> None:
    port = free_port()
    own = {"MODELWAY__REGISTRY__PORT": str(port)}
    first = homes.up(tmp_path, environment=own, workers=1)
    first.wait_for_mlflow()
    (old,) = first.children()["mlflow"]
    left = group_of(old)
    os.kill(old, signal.SIGSTOP)  # what would end it does so only later
    first.kill()
    again = homes.up(tmp_path, environment=own, workers=1)
    assert again.registry == f"http://127.0.0.1:{port}"
    assert any(map(is_running, left))
    os.kill(old, signal.SIGCONT)
    wait_until(lambda: not any(map(is_running, left)))
    again.wait_for_mlflow()
    (mlflow,) = again.children()["mlflow"]
    assert mlflow not in left
    assert again.stop() == 0
