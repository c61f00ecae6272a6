"""The processes of scheduled runs: where they look, what they said, and that nothing is left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from modelway.composition.scheduling import STOPS_S, ScheduledProcess, ScheduledProcesses
from modelway.domain.errors import InvalidInput
from support.canaries import controlled
from support.homes import HOME, is_running, wait_until
from support.schedules import run, schedule

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
print(child.pid, flush=True)
time.sleep(120)
"""


def started(folder: Path, script: str) -> ScheduledProcess:
    """A run that is a script; what it says comes after what was said before."""
    log = folder / "log"
    log.write_text("before\n")
    with log.open("ab") as said:
        begun = said.tell()
        command = [sys.executable, "-c", script]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=said, stderr=said, start_new_session=True
        )
    return ScheduledProcess(process, log, begun, folder / "receipt")


def test_what_does_not_end_is_ended_with_all_that_it_has_started(tmp_path: Path) -> None:
    going = started(tmp_path, STUBBORN)
    wait_until(lambda: bool(going.said()), 60)
    child = int(going.said())
    assert going.exit_code() is None
    going.interrupt()
    assert going.exit_code() is None
    going.stop()
    assert going.exit_code() == 137
    wait_until(lambda: not is_running(child), STOPS_S + 30)
    going.stop()


def test_of_what_it_said_the_last_lines_are_told(tmp_path: Path) -> None:
    going = started(tmp_path, "print(*range(100), sep='\\n')")
    wait_until(lambda: going.exit_code() is not None, 60)
    assert going.said().splitlines() == [f"{k}" for k in range(80, 100)]
    going = started(tmp_path, "print('é' * 100_000)")
    wait_until(lambda: going.exit_code() is not None, 60)
    assert 0 < len(going.said()) <= 2000
    going = started(tmp_path, "")
    wait_until(lambda: going.exit_code() is not None, 60)
    assert going.said() == ""
    (tmp_path / "log").unlink()
    assert going.said() == ""


def test_a_run_finds_the_places_of_the_home_from_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scores").mkdir()
    monkeypatch.chdir(tmp_path)
    with controlled(Path(HOME), store__url="sqlite:///own.sqlite") as control:
        of = schedule(folder=str(tmp_path / "scores"))
        going = ScheduledProcesses(control).begin(of, run())
        proc = Path("/proc") / str(going._process.pid)
        try:
            # The system shows it a moment after the process was started.
            wait_until(lambda: bool((proc / "environ").read_bytes()), 30)
            variables = (proc / "environ").read_text().split("\0")
            assert (proc / "cwd").readlink() == tmp_path / "scores"
        finally:
            going.stop()
    assert f"MODELWAY__STORE__URL=sqlite:///{tmp_path}/own.sqlite" in variables
    assert f"MODELWAY__BUNDLES__HOME={tmp_path / HOME}" in variables


def test_a_run_whose_folder_is_gone_cannot_be_begun(tmp_path: Path) -> None:
    with controlled(tmp_path / HOME) as control:
        processes = ScheduledProcesses(control)
        with pytest.raises(InvalidInput, match="cannot be started in"):
            processes.begin(schedule(folder=str(tmp_path / "gone")), run())
