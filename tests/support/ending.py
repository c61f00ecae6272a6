"""Threads and processes of tests: what becomes of a test, it waits for none of them without end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from subprocess import Popen
from typing import AnyStr

MOST_S = 120.0


def joined(*threads: threading.Thread, most_s: float = MOST_S) -> None:
    """Wait until threads have ended; fails where one has not within so many seconds."""
    until = time.monotonic() + most_s
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    assert not [one for one in threads if one.is_alive()], f"not ended within {most_s:g} s"


def together(*acts: Callable[[], object]) -> None:
    """Act in as many threads at a time, until all have ended."""
    threads = [threading.Thread(target=act, daemon=True) for act in acts]
    for thread in threads:
        thread.start()
    joined(*threads)


@contextmanager
def repeated(act: Callable[[], object], threads: int = 1) -> Iterator[None]:
    """Act again and again, in threads of their own, until the block is left."""
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            act()

    running = [threading.Thread(target=run, daemon=True) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        joined(*running)


@contextmanager
def killed(process: Popen[AnyStr]) -> Iterator[Popen[AnyStr]]:
    """A process that is killed when the block is left, if it has not ended."""
    with process:
        try:
            yield process
        finally:
            process.kill()
