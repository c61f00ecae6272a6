"""``modelway schedule`` and what runs schedules, as real processes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from modelway.backends.sql.store import open_store
from modelway.backends.sql.tables import SCHEDULE_RUNS, SCHEDULES
from modelway.batch.schedules import RunState, ScheduledRun
from modelway.cli.main import run as run_command
from modelway.domain.signature import Column, Datatype, Signature
from support.homes import HOME, Homes, cli, is_running, wait_until
from support.live import MODELWAY
from support.served import function_bundle
from support.stores import rows_of

PETS = Signature(columns=(Column("legs", "legs", Datatype.INT64, maximum=10, minimum=0),))
WAITS = """
import time
from pathlib import Path

GO = Path("go").absolute()


def doubled(legs):
    for _ in range(600):
        if legs != 7 or GO.exists():
            break
        time.sleep(0.1)
    return legs * 2.0
"""
"""A row of seven legs has it wait until there is a file ``go``, for a minute at most."""

YEARLY = "0 0 1 1 *"
"""Due only when a test says so."""

Tend = Callable[[Path], subprocess.Popen[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a bundle, and two files of rows."""
    function_bundle(tmp_path / "pets", WAITS, "doubled", PETS)
    (tmp_path / "a.csv").write_text("legs\n" + "4\n" * 50)
    (tmp_path / "b.csv").write_text("legs\n" + "7\n" * 50)
    return tmp_path


@pytest.fixture
def tend(folder: Path) -> Iterator[Tend]:
    """Start ``modelway tend`` in a home; it tends by then. All are ended with the test."""
    started: list[subprocess.Popen[str]] = []
    store = f"sqlite:///{folder / HOME / 'control.db'}"

    def start(home: Path) -> subprocess.Popen[str]:
        with (folder / f"tend-{len(started)}.log").open("w") as log:
            process = subprocess.Popen(
                [*MODELWAY, "tend", "--home", str(home)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**os.environ, "MODELWAY__STORE__URL": store},
                text=True,
            )
        started.append(process)
        wait_until(lambda: is_tended(home), 60)
        return process

    yield start
    for one in started:
        one.terminate()
    for one in started:
        try:
            one.wait(20)
        except subprocess.TimeoutExpired:
            one.kill()
            one.wait()
        assert one.stdin is not None
        one.stdin.close()


def is_tended(home: Path) -> bool:
    """Whether a process has said that it is the one that tends to a home."""
    try:
        with (home / "tend.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def add(folder: Path, name: str, source: str, *words: str) -> None:
    """A schedule that scores files, one process each."""
    batch = ("batch", "pets", "--input", source, "--output", f"{name}-{{due:%Y}}.csv")
    with contextlib.chdir(folder):
        command = ("schedule", "add", YEARLY, "--name", name, *batch, "--workers", "1", *words)
        assert run_command(command) == 0


def shown(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command prints that is run in this process."""
    capsys.readouterr()
    with contextlib.chdir(folder):
        assert run_command(words) == 0
    return capsys.readouterr().out


def have_due(folder: Path, at: datetime) -> None:
    """Have all schedules have been due since a time."""
    rows_of(store_of(folder), f"UPDATE {SCHEDULES.name} SET next_due = {microseconds(at)}")


def have_lapsed(folder: Path) -> None:
    """Have all leases be over."""
    rows_of(store_of(folder), f"UPDATE {SCHEDULE_RUNS.name} SET until = 1 WHERE until IS NOT NULL")


def store_of(folder: Path) -> str:
    return f"sqlite:///{folder / HOME / 'control.db'}"


def microseconds(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000


def runs_of(folder: Path, name: str) -> list[ScheduledRun]:
    with open_store(store_of(folder)) as store:
        return list(store.schedules.runs(name, 100))


def wait_for_end(folder: Path, name: str) -> ScheduledRun:
    """The only run of a schedule, once it has ended."""

    def ended() -> bool:
        found = runs_of(folder, name)
        return bool(found) and found[0].state is not RunState.RUNNING

    wait_until(ended, 60, lambda: [one.read_text() for one in folder.glob("tend-*.log")])
    (run,) = runs_of(folder, name)
    return run


def descendants(pid: int) -> list[int]:
    """Every process below one, whichever of its threads has started it."""
    lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    found = [int(word) for text in lists for word in text.split()]
    return [*found, *(below for one in found for below in descendants(one))]


def expected(folder: Path, source: str) -> bytes:
    """The bytes of a run that nothing disturbed."""
    (folder / "go").touch()
    output = folder / "undisturbed.csv"
    cli(folder, "batch", "pets", "--input", source, "--output", output.name, "--workers", "1")
    return output.read_bytes()


def test_of_two_that_tend_to_one_store_one_runs_what_is_due(folder: Path, tend: Tend) -> None:
    names = ["first", "second"]
    for name in names:
        add(folder, name, "a.csv")
    # As if two machines shared a home whose file locks do not reach from one to the other.
    homes = [folder / HOME, folder / "other"]
    homes[1].mkdir()
    shutil.copy(homes[0] / "home.id", homes[1])
    for home in homes:
        tend(home)
    due = datetime.now(UTC).replace(microsecond=0)
    have_due(folder, due)
    runs = [wait_for_end(folder, name) for name in names]
    assert [(one.state, one.attempt, one.due_at) for one in runs] == [
        (RunState.SUCCEEDED, 1, due) for _ in names
    ], [one.detail for one in runs]
    bytes_of = {(folder / f"{name}-{due:%Y}.csv").read_bytes() for name in names}
    assert bytes_of == {expected(folder, "a.csv")}
    for name in names:
        begun = [(home / "logs" / f"schedule-{name}.log").exists() for home in homes]
        assert begun.count(True) == 1


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_whose_starter_ended_is_gone_on_with_to_the_same_bytes(
    folder: Path, tend: Tend, kind: signal.Signals
) -> None:
    add(folder, "pets", "?.csv", "--batch-rows", "10")
    first = tend(folder / HOME)
    due = datetime.now(UTC).replace(microsecond=0)
    have_due(folder, due)
    output = folder / f"pets-{due:%Y}.csv"
    wait_until((output.with_name(f"{output.name}.parts") / "00000000.json").exists, 60)
    running = descendants(first.pid)
    assert len(running) >= 3
    first.send_signal(kind)
    first.wait(20)
    wait_until(lambda: not any(map(is_running, running)), 30)
    (left,) = runs_of(folder, "pets")
    assert left.state is RunState.RUNNING
    if kind == signal.SIGKILL:
        have_lapsed(folder)
    assert not output.exists()
    (folder / "go").touch()
    tend(folder / HOME)
    run = wait_for_end(folder, "pets")
    tries = 2 if kind == signal.SIGKILL else 1
    assert (run.state, run.attempt, run.tries) == (RunState.SUCCEEDED, 2, tries), run.detail
    assert "50 rows were done by an earlier run" in run.detail
    assert output.read_bytes() == expected(folder, "?.csv")
    assert list((folder / HOME / "schedules").iterdir()) == []


def test_what_was_due_while_nothing_ran_is_reported(
    folder: Path, tend: Tend, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, "pets", "a.csv")
    since = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    have_due(folder, since)
    (listed,) = json.loads(shown(folder, capsys, "schedule", "list", "--json"))
    assert "does modelway up run on" in listed["trouble"]
    tend(folder / HOME)
    run = wait_for_end(folder, "pets")
    assert (run.state, run.due_at, run.dues) == (RunState.MISSED, since, 1)
    (listed,) = json.loads(shown(folder, capsys, "schedule", "list", "--json"))
    assert (listed["missed"], listed["last"], listed["trouble"]) == (1, None, None)
    assert "nobody saw to it when it was due" in shown(folder, capsys, "schedule", "show", "pets")
    assert ", 1 missed" in shown(folder, capsys, "status")
    assert "schedule pets: missed what was due at" in (folder / "tend-0.log").read_text()
    assert not list(folder.glob("pets-*.csv"))


def test_up_runs_schedules_and_its_administration_shows_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Homes() as homes:
        up = homes.up(folder, "--no-mlflow", workers=1)
        reader, deployer = up.person("ann", "read"), up.person("bob", "read", "deploy")
        add(folder, "pets", "a.csv")
        have_due(folder, datetime.now(UTC))
        run = wait_for_end(folder, "pets")
        assert run.state is RunState.SUCCEEDED, run.detail
        found: Any = up.administer("GET", "/schedules/pets").json
        assert [one["state"] for one in found["runs"]] == ["succeeded"]
        assert found["schedule"]["host"] == run.host
        (schedule,) = json.loads(shown(folder, capsys, "status", "--json"))["schedules"]
        assert schedule == found["schedule"]
        assert up.administer("POST", "/schedules", {}).status == 405
        counted = b'modelway_schedule_runs{schedule="pets",state="succeeded"} 1'
        wait_until(lambda: counted in up.administer("GET", "/metrics").body)
        # What runs knows keys a moment after they are made, the last one last.
        key = deployer[-1]
        wait_until(lambda: up.administer("GET", "/schedules", key=key).status == 200)
        listed = json.loads(shown(folder, capsys, "schedule", "list", "--json", *reader))
        assert listed == [schedule]
        with contextlib.chdir(folder):
            assert run_command(["schedule", "remove", "pets", *reader]) == 5
        shown(folder, capsys, "schedule", "remove", "pets", *deployer)
        assert up.administer("GET", "/schedules/pets").status == 404
        wait_until(lambda: b'"pets"' not in up.administer("GET", "/metrics").body)


def test_a_run_under_way_ends_with_its_schedule(
    folder: Path, tend: Tend, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, "pets", "?.csv", "--batch-rows", "10")
    process = tend(folder / HOME)
    have_due(folder, datetime.now(UTC))
    wait_until(lambda: len(descendants(process.pid)) >= 3, 60)
    running = descendants(process.pid)
    assert "not run any more" in shown(folder, capsys, "schedule", "remove", "pets")
    wait_until(lambda: not any(map(is_running, running)), 60)
    listed: Any = json.loads(shown(folder, capsys, "schedule", "list", "--json"))
    assert listed == []


def test_what_a_failed_run_said_is_shown(
    folder: Path, tend: Tend, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, "pets", "a.csv")
    (folder / "a.csv").unlink()
    tend(folder / HOME)
    have_due(folder, datetime.now(UTC))
    run = wait_for_end(folder, "pets")
    assert (run.state, run.exit_code) == (RunState.FAILED, 3)
    assert "a.csv does not exist" in run.detail
    assert "a.csv does not exist" in shown(folder, capsys, "schedule", "show", "pets")
