"""Runs of schedules as processes: ``modelway batch`` with its words, in the folder of its schedule.

Each ends with whoever started it, and all that it has started with it. What it says goes to a log
of the home, one for each schedule. Whether it was done is also told by its receipt: a run whose
starter died as it ended is asked again, and is not done again.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from modelway.batch.cron import Cron
from modelway.batch.placeholders import filled
from modelway.batch.schedules import DETAIL_CHARACTERS, Schedule, ScheduledRun
from modelway.batch.timekeeping import Timekeeper
from modelway.composition.control import Control, now
from modelway.composition.home import PLACES, lasting
from modelway.composition.home_children import told
from modelway.domain.errors import InvalidInput
from modelway.settings import environment_of
from modelway.supervisor.attached import attached
from modelway.supervisor.children import kill_group, opened_log

STOPS_S = 3.0
"""So long a run is given to end by itself; what tends is given a little longer by ``up``."""

_LINES = 20
_TAIL_BYTES = 16 * 1024


def timekeeper(control: Control) -> Timekeeper:
    """What runs the schedules of a home."""
    begin = ScheduledProcesses(control).begin
    host = socket.gethostname()[:255]
    return Timekeeper(control.store.schedule_runs, control.home.id, host, begin, now)


class ScheduledProcesses:
    """Begins runs as processes of this host."""

    def __init__(self, control: Control) -> None:
        self._home = control.home
        self._settings = control.settings

    def begin(self, schedule: Schedule, run: ScheduledRun) -> ScheduledProcess:
        """Begin a run, or go on with it.

        Raises:
            InvalidInput: its folder is not there, or it cannot be started.
        """
        try:
            return self._begun(schedule, run)
        except OSError as error:
            raise InvalidInput(f"it cannot be started in {schedule.folder}: {error}") from error

    def _begun(self, schedule: Schedule, run: ScheduledRun) -> ScheduledProcess:
        receipt = self._home.path / "schedules" / f"{schedule.name}.json"
        receipt.parent.mkdir(exist_ok=True)
        if run.attempt == 1:
            receipt.unlink(missing_ok=True)
        goes_on = () if run.attempt == 1 else ("--resume",)
        due = Cron(schedule.cron, schedule.zone).local(run.due_at)
        words = (*goes_on, "--receipt", str(receipt), *filled(schedule.arguments, due))
        # The folder of a schedule is another than this one, from which paths are meant here.
        places = {name: lasting(name, self._settings) for name in PLACES}
        places["bundles.home"] = str(self._home.path)
        log = self._home.log(f"schedule-{schedule.name}")
        with opened_log(log) as said:
            begun = said.tell()
            process = subprocess.Popen(
                attached([sys.executable, "-P", "-m", "modelway", "batch", *words]),
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
                cwd=schedule.folder,
                env={**told(self._settings), **environment_of(places)},
                start_new_session=True,
            )
        return ScheduledProcess(process, log, begun, receipt)


class ScheduledProcess:
    """``Going``: a process, and its part of the log, which begins at a byte."""

    def __init__(
        self, process: subprocess.Popen[bytes], log: Path, begun: int, receipt: Path
    ) -> None:
        self._process = process
        self._log = log
        self._begun = begun
        self._receipt = receipt
        self._until_s = 0.0
        self._is_over = False

    def exit_code(self) -> int | None:
        """How it ended, 128 and more for a signal; None while it goes on."""
        code = self._process.poll()
        if code is None:
            return None
        self._left()
        return code if code >= 0 else 128 - code

    def said(self) -> str:
        """Its last lines; none where somebody has removed the log."""
        try:
            with self._log.open("rb") as log:
                end = log.seek(0, os.SEEK_END)
                log.seek(max(self._begun, end - _TAIL_BYTES))
                text = log.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.strip().splitlines()[-_LINES:])[-DETAIL_CHARACTERS:]

    def interrupt(self) -> None:
        """Have it end, so that another attempt can go on with it."""
        self._until_s = self._until_s or time.monotonic() + STOPS_S
        self._process.terminate()

    def stop(self) -> None:
        """End it, by force where it does not end by itself in time."""
        self.interrupt()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, self._until_s - time.monotonic()))
        self._left()
        self._process.wait()

    def forget(self) -> None:
        """Remove its receipt."""
        self._receipt.unlink(missing_ok=True)

    def _left(self) -> None:
        """End what it has left behind, once: it was the first of its group."""
        if self._is_over:
            return
        self._is_over = True
        kill_group(self._process.pid)
        if self._process.stdin is not None:
            self._process.stdin.close()
