"""Worker processes in numbered slots: started, watched, asked, restarted, drained.

A worker is a command that inherits the listening sockets. Over its standard input it is given one
line, its plan, and then an order a line; over its standard output it gives one line when it answers
and then a report a line. An order begins with a number and a space, and so does its report: what is
done sooner is reported sooner. When its input ends, the supervisor is gone and the worker drains,
so no worker outlives it.

A worker that dies before any was ready ends the whole service with its exit code, because the next
one would die the same way; one that dies later is started again, at once if it had lived for a
while and with growing delay if not.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from modelway.supervisor.children import kill_group
from modelway.supervisor.sockets import listen_no_more

_LIVED_S = 10.0
_LONGEST_DELAY_S = 10.0
_LOOK_S = 0.05
"""How often is looked whether a worker has ended."""

_LONGEST_LINE_BYTES = 64 * 1024 * 1024
_GRACE_S = 2.0
"""How much longer than it may drain a worker has until it is killed."""

log = logging.getLogger(__name__)


Late = Callable[[int, bytes | None], None]
"""Told the slot and the report of a worker that was starting when it was ordered something."""


@dataclass(frozen=True, slots=True)
class WorkerCommand:
    """How a worker is started: ``arguments`` for its slot, inherited ``fds``, ``plan`` of now."""

    arguments: Callable[[int], Sequence[str]]
    fds: Sequence[int]
    plan: Callable[[], bytes]
    environment: Mapping[str, str]


@dataclass(slots=True, eq=False)
class _Slot:
    number: int
    process: asyncio.subprocess.Process | None = None
    ready: bool = False
    asked: dict[int, asyncio.Future[bytes | None]] = field(default_factory=dict)


class Supervisor:
    """Keeps ``workers`` slots filled until it is told to stop.

    ``when_ready`` is called once, when every slot has been ready. ``drain_s`` is how long workers
    get to finish open requests before they are killed. ``restarted`` is called with the slot of a
    worker that died and is started again.
    """

    def __init__(
        self,
        command: WorkerCommand,
        workers: int,
        drain_s: float,
        *,
        when_ready: Callable[[], None],
        restarted: Callable[[int], None],
    ) -> None:
        self._command = command
        self._drain_s = drain_s
        self._when_ready = when_ready
        self._restarted = restarted
        self._slots = [_Slot(number) for number in range(workers)]
        self._numbers = count()
        self._stopping = asyncio.Event()
        self._proven = False
        self._announced = False
        self._exit_code = 0

    async def run(self) -> int:
        """Supervise until SIGTERM or SIGINT; gives the exit code for this process."""
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._stopping.set)
        keeping = [asyncio.create_task(self._keep(slot)) for slot in self._slots]
        await self._stopping.wait()
        self._listen_no_more()
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)
        await asyncio.gather(*(self._end(slot) for slot in self._slots))
        return self._exit_code

    async def ask(
        self, order: bytes, timeout_s: float, *, insist: bool = True, late: Late | None = None
    ) -> Mapping[int, bytes | None]:
        """Give every worker that answers an order, a line without its end; the reports by slot.

        That of one that died is None. One that does not report in time is left out; where
        ``insist`` it is ended as well, and started again by the plan that holds then. A worker that
        is still starting is ordered something only where there is ``late``, which is told its
        report; nobody waits for that, and it is not ended for it.
        """
        loop = asyncio.get_running_loop()
        number = next(self._numbers)
        awaited: list[tuple[_Slot, asyncio.Future[bytes | None]]] = []
        for slot in self._slots:
            process = slot.process
            if process is None or process.stdin is None or process.returncode is not None:
                continue
            if not slot.ready and late is None:
                continue
            report: asyncio.Future[bytes | None] = loop.create_future()
            slot.asked[number] = report
            process.stdin.write(b"%d %b\n" % (number, order))
            if slot.ready:
                awaited.append((slot, report))
            elif late is not None:
                report.add_done_callback(partial(_told, late, slot.number))
        if not awaited:
            return {}
        await asyncio.wait([report for _, report in awaited], timeout=timeout_s)
        for slot, report in awaited:
            if not report.done():
                log.error("worker did not report", extra={"slot": slot.number})
                if insist:
                    self.end(slot.number)
        return {slot.number: report.result() for slot, report in awaited if report.done()}

    def end(self, number: int) -> None:
        """Kill the worker of a slot; another takes its place."""
        process = self._slots[number].process
        if process is not None and process.returncode is None:
            process.kill()

    def _listen_no_more(self) -> None:
        """Have callers refused from now on, instead of waiting for who will not accept them."""
        for descriptor in self._command.fds:
            with socket.socket(fileno=os.dup(descriptor)) as listener:
                listen_no_more(listener)

    async def _keep(self, slot: _Slot) -> None:
        deaths = 0
        while not self._stopping.is_set():
            started_s = time.monotonic()
            try:
                process = await self._start(slot)
            except OSError as error:  # no memory, no process to be had: later there may be
                log.error("worker cannot be started: %s", error, extra={"slot": slot.number})
                deaths += 1
                await asyncio.sleep(min(_LONGEST_DELAY_S, 0.1 * 2**deaths))
                continue
            code = await self._lived(slot, process)
            self._release(slot)
            if self._stopping.is_set():
                return
            log.error("worker died", extra={"slot": slot.number, "exit_code": code})
            if not self._proven:
                self._exit_code = code if code > 0 else 1
                self._stopping.set()
                return
            deaths = 0 if time.monotonic() - started_s > _LIVED_S else deaths + 1
            self._restarted(slot.number)
            await asyncio.sleep(min(_LONGEST_DELAY_S, 0.1 * 2**deaths) if deaths else 0.0)

    async def _start(self, slot: _Slot) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *self._command.arguments(slot.number),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=tuple(self._command.fds),
            env=dict(self._command.environment),
            start_new_session=True,
            limit=_LONGEST_LINE_BYTES,
        )
        slot.process = process
        assert process.stdin is not None  # noqa: S101 - asked for above
        process.stdin.write(self._command.plan() + b"\n")
        return process

    async def _lived(self, slot: _Slot, process: asyncio.subprocess.Process) -> int:
        """Hear a worker until it has ended, and end what it has forked; gives its exit code."""
        listening = asyncio.create_task(self._listen(slot, process))
        try:
            code = await _ended(process)
            kill_group(process.pid)
            await asyncio.wait((listening,), timeout=_GRACE_S)
        finally:
            listening.cancel()
        return code

    async def _listen(self, slot: _Slot, process: asyncio.subprocess.Process) -> None:
        """Hear what a worker reports, until it says no more."""
        assert process.stdout is not None  # noqa: S101 - asked for when it was started
        while line := await process.stdout.readline():
            if not slot.ready:
                slot.ready = self._proven = True
                log.info("worker ready", extra={"slot": slot.number, "pid": process.pid})
                if not self._announced and all(one.ready for one in self._slots):
                    self._announced = True
                    self._when_ready()
            else:
                number, _, said = line.partition(b" ")
                report = slot.asked.pop(int(number), None)
                if report is not None and not report.done():
                    report.set_result(said)

    def _release(self, slot: _Slot) -> None:
        slot.process, slot.ready = None, False
        asked, slot.asked = slot.asked, {}
        for report in asked.values():
            if not report.done():
                report.set_result(None)

    async def _end(self, slot: _Slot) -> None:
        """End a worker: ask, wait for ``drain_s`` and a little, then kill."""
        process = slot.process
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(_ended(process), self._drain_s + _GRACE_S)
        except TimeoutError:
            log.warning("worker killed: it did not drain", extra={"pid": process.pid})
            process.kill()
            await _ended(process)
        kill_group(process.pid)
        self._release(slot)


async def _ended(process: asyncio.subprocess.Process) -> int:
    """Wait for the end of a process, and of nobody else; gives its exit code.

    ``wait`` may also wait for its pipes, which whatever a model has forked there holds open.
    """
    while process.returncode is None:
        await asyncio.sleep(_LOOK_S)
    return process.returncode


def _told(late: Late, number: int, report: asyncio.Future[bytes | None]) -> None:
    if not report.cancelled():
        late(number, report.result())
