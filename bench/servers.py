"""A server of the comparison while it runs: started, waited for, weighed and ended.

Every process that a server starts is below this one or, once its parent has ended, becomes a child
of this one (Linux's child subreaper), so that all of them can be counted and none is left behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from peers.description import Launch

PR_SET_CHILD_SUBREAPER = 36
PAUSE_S = 0.01
LONGEST_START_S = 180.0

Answering = Callable[[], bool]


class StartFailed(Exception):
    """A server ended or gave no right answer in time; ``log`` is the end of what it said."""

    def __init__(self, reason: str, log: str) -> None:
        """Both are shown."""
        super().__init__(f"{reason}\n{log}")
        self.reason, self.log = reason, log


@dataclass(frozen=True)
class Running:
    """A server that answers; ``start_s`` is the time from its start to its first right answer."""

    process: subprocess.Popen[bytes]
    log: Path
    start_s: float

    def pss_mb(self) -> float:
        """Proportional set size of all its processes together, in megabytes."""
        return pss_mb()

    def processes(self) -> int:
        """How many processes it has."""
        return len(descendants())

    def said(self) -> str:
        """The end of its log."""
        return tail(self.log)


def tail(log: Path, characters: int = 3_000) -> str:
    """The end of a log."""
    return log.read_text(errors="replace")[-characters:]


@contextmanager
def running(launch: Launch, folder: Path, answering: Answering) -> Iterator[Running]:
    """The server, from its first right answer until the block ends.

    Raises:
        StartFailed: it ended before, or gave no right answer in time.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "server.log"
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        **launch.environment,
    }
    with log.open("wb") as output:
        begun = time.perf_counter()
        process = subprocess.Popen(
            launch.command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while not _answers(answering):
                if process.poll() is not None:
                    raise StartFailed(f"ended with {process.returncode}", tail(log))
                if time.perf_counter() - begun > LONGEST_START_S:
                    raise StartFailed(f"no answer in {LONGEST_START_S:.0f} s", tail(log))
                time.sleep(PAUSE_S)
            yield Running(process, log, time.perf_counter() - begun)
        finally:
            _end(process, launch.stop_s)


def _answers(answering: Answering) -> bool:
    try:
        return answering()
    except (OSError, http.client.HTTPException):
        return False


def _end(process: subprocess.Popen[bytes], stop_s: float) -> None:
    """End the server as its own users do, then whatever of it is left."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(stop_s)
    deadline = time.monotonic() + 10
    while (left := descendants()) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
        _reap()
    process.wait()


def _reap() -> None:
    """Take the exit codes of orphans that became children of this process."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def descendants() -> list[int]:
    """Every process below this one that still runs."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The name, in parentheses, may hold spaces: what counts begins behind it.
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    children.setdefault(int(parent), []).append(int(entry.name))
    found, new = [], [os.getpid()]
    while new:
        new = [child for parent in new for child in children.get(parent, [])]
        found += new
    return found


def pss_mb() -> float:
    """Proportional set size of every process below this one together, in megabytes."""
    return sum(_pss_kb(pid) for pid in descendants()) / 1000


def _pss_kb(pid: int) -> int:
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    pss = re.search(r"^Pss:\s+(\d+) kB", told, re.MULTILINE)
    return int(pss[1]) if pss else 0
