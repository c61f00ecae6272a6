"""The threads of one model: made when they are first needed, ended with it.

A thread that runs a model cannot be stopped. They are daemons, so a process can end all the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

Work = Callable[[], None]
"""What a runner is given; it raises nothing."""


class Runners:
    """At most ``most`` threads; ``start`` and ``close`` are called by one thread at a time."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._threads: list[threading.Thread] = []
        self._work: SimpleQueue[Work | None] = SimpleQueue()

    @property
    def most(self) -> int:
        """How many there may be."""
        return self._most

    def start(self, work: Work, n_running: int) -> None:
        """Have ``work`` run on a thread; ``n_running`` are busy now."""
        if n_running >= len(self._threads) and len(self._threads) < self._most:
            name = f"infer-{self._name}_{len(self._threads)}"
            thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._work.put(work)

    def close(self) -> None:
        """End every thread once it is idle, without waiting; twice does no harm."""
        for _ in self._threads:
            self._work.put(None)
        self._threads.clear()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            # An idle thread must not keep the last requests in memory.
            del work
