"""The processes that score: one bundle in each, one part at a time."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from modelway.batch.parts import Part
from modelway.batch.ports import Report
from modelway.composition.batch_order import Failed, Order, encode, raised_by, said
from modelway.composition.process_groups import kill_group, reap_group
from modelway.domain.errors import WorkerDied
from modelway.settings import child_environment

_READ_BYTES = 65536


@contextmanager
def working(order: Order, n_workers: int) -> Iterator[Processes]:
    """Workers that were given their order; they are ended with the block, whatever they do."""
    processes = Processes()
    try:
        for _ in range(n_workers):
            processes.start(order)
        yield processes
    finally:
        processes.end()


class Processes:
    """Workers, by the order in which they were started."""

    def __init__(self) -> None:
        self._workers: dict[int, _Process] = {}
        self._selector = selectors.DefaultSelector()

    def start(self, order: Order) -> None:
        """Start one more."""
        number = len(self._workers)
        self._workers[number] = _Process(order)
        connection = self._workers[number].connection
        self._selector.register(connection, selectors.EVENT_READ, number)

    def give(self, worker: int, part: Part) -> None:
        """Have a worker that waits score a part."""
        self._workers[worker].say(part)

    def dismiss(self, worker: int) -> None:
        """End a worker that waits."""
        self._selector.unregister(self._workers[worker].connection)
        self._workers[worker].connection.close()

    def reports(self, timeout_s: float) -> Sequence[tuple[int, Report]]:
        """What workers said, and which. Raises WorkerDied, or what a worker raised."""
        found: list[tuple[int, Report]] = []
        for key, _ in self._selector.select(timeout_s):
            found += [(key.data, one) for one in self._workers[key.data].heard()]
        return found

    def end(self) -> None:
        """End all of them now, and what models have forked there."""
        for one in self._workers.values():
            kill_group(one.child)
        for one in self._workers.values():
            reap_group(one.child)
            one.connection.close()
        self._selector.close()


class _Process:
    def __init__(self, order: Order) -> None:
        self._left = b""
        self._part: Part | None = None
        self.connection, theirs = socket.socketpair()
        module = "modelway.composition.batch_worker"
        with theirs:
            self.child = subprocess.Popen(
                (sys.executable, "-P", "-m", module, str(theirs.fileno()), str(os.getpid())),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
                env=child_environment(),
                process_group=0,  # a terminal's Ctrl-C is for the run, which ends them
            )
        self.say(order)

    def say(self, what: Order | Part) -> None:
        """Tell the worker; whether it has died is found when it is heard."""
        if isinstance(what, Part):
            self._part = what
        try:
            self.connection.sendall(encode(what) + b"\n")
        except OSError:
            return

    def heard(self) -> list[Report]:
        """What the worker said since it was last heard."""
        try:
            more = self.connection.recv(_READ_BYTES)
        except OSError:
            more = b""
        if not more:
            raise self._death()
        *lines, self._left = (self._left + more).split(b"\n")
        found: list[Report] = []
        for line in lines:
            report = said(line)
            if isinstance(report, Failed):
                raise raised_by(report)
            found.append(report)
        return found

    def _death(self) -> WorkerDied:
        kill_group(self.child)
        code = reap_group(self.child)
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        what = "while it opened the model"
        if self._part is not None:
            what = f"while it scored part {self._part.number + 1}"
        return WorkerDied(
            f"worker process {self.child.pid} ended {how} {what}",
            hint="the parts that are done are kept: go on with --resume; where memory was short, "
            "give fewer --workers",
        )
