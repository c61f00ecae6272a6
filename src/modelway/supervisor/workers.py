"""Worker processes in numbered slots: started, watched, restarted, drained.

A worker is a command that inherits the listening socket. Over its standard input it is given one
line (its plan) and then nothing more: when that input ends, the supervisor is gone and the worker
drains, so no worker outlives it. Over its standard output it says one line when it is ready.

A worker that dies before any was ready ends the whole service with its exit code, because the next
one would die the same way; one that dies later is started again, at once if it had lived for a
while and with growing delay if not.
"""

from __future__ import annotations

import logging
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import IO

_LIVED_S = 10.0
_LONGEST_DELAY_S = 10.0
_TICK_S = 0.2

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerCommand:
    """How one worker is started: ``arguments`` for its slot, inherited ``fds``, its ``plan``."""

    arguments: Callable[[int], Sequence[str]]
    fds: Sequence[int]
    plan: bytes
    environment: Mapping[str, str]


@dataclass(slots=True)
class _Slot:
    number: int
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    due_s: float = 0.0
    deaths: int = 0
    ready: bool = False


@dataclass(slots=True)
class Supervisor:
    """Keeps ``workers`` slots filled until it is told to stop.

    ``when_ready`` is called once, when every slot has been ready. ``drain_s`` is how long workers
    get to finish open requests before they are killed.
    """

    command: WorkerCommand
    workers: int
    drain_s: float
    when_ready: Callable[[], None]
    _stopping: bool = False
    _proven: bool = False
    _announced: bool = False
    _exit_code: int = 0
    _slots: list[_Slot] = field(default_factory=list)
    _watch: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def run(self) -> int:
        """Supervise until SIGTERM or SIGINT; gives the exit code for this process."""
        self._slots = [_Slot(number) for number in range(self.workers)]
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._stop)
        try:
            while not self._stopping:
                self._fill()
                self._listen()
                self._reap()
        finally:
            self._drain()
        return self._exit_code

    def _stop(self, _signum: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _fill(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if slot.process is None and now >= slot.due_s:
                self._start(slot, now)

    def _start(self, slot: _Slot, now: float) -> None:
        process = subprocess.Popen(
            list(self.command.arguments(slot.number)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=tuple(self.command.fds),
            env=dict(self.command.environment),
            start_new_session=True,
        )
        slot.process, slot.started_s = process, now
        assert process.stdin is not None  # noqa: S101 - asked for above
        assert process.stdout is not None  # noqa: S101
        try:
            process.stdin.write(self.command.plan + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            return  # it died at once; reaping says so
        self._watch.register(process.stdout, selectors.EVENT_READ, slot)

    def _listen(self) -> None:
        for key, _ in self._watch.select(_TICK_S):
            stream: IO[bytes] = key.fileobj  # type: ignore[assignment] # a process's own stdout
            slot: _Slot = key.data
            line = stream.readline()
            self._watch.unregister(stream)
            if line:
                slot.ready = self._proven = True
                log.info("worker ready", extra={"slot": slot.number, "pid": slot.process.pid})  # type: ignore[union-attr] # a slot that speaks has a process
        if not self._announced and all(slot.ready for slot in self._slots):
            self._announced = True
            self.when_ready()

    def _reap(self) -> None:
        for slot in self._slots:
            code = None if slot.process is None else slot.process.poll()
            if code is None or slot.process is None:
                continue
            self._release(slot.process)
            slot.process = None
            if self._stopping:
                continue
            log.error("worker died", extra={"slot": slot.number, "exit_code": code})
            if not self._proven:
                self._exit_code = code if code > 0 else 1
                self._stopping = True
                continue
            now = time.monotonic()
            slot.deaths = 0 if now - slot.started_s > _LIVED_S else slot.deaths + 1
            delay = min(_LONGEST_DELAY_S, 0.1 * 2**slot.deaths) if slot.deaths else 0.0
            slot.due_s = now + delay

    def _release(self, process: subprocess.Popen[bytes]) -> None:
        for stream in (process.stdin, process.stdout):
            if stream is None:
                continue
            if stream in self._watch.get_map():
                self._watch.unregister(stream)
            stream.close()

    def _drain(self) -> None:
        """End every worker: ask, wait for ``drain_s`` and a little, then kill."""
        living = [slot.process for slot in self._slots if slot.process is not None]
        for process in living:
            process.terminate()
        deadline = time.monotonic() + self.drain_s + 2.0
        for process in living:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("worker killed: it did not drain", extra={"pid": process.pid})
                process.kill()
                process.wait()
            self._release(process)
        self._watch.close()
