"""The usual requests that one turn of the event loop brings, answered together.

Beside a compiled model most of a request's time is Python on the way to the model and back, and it
costs less done for many at once: rows are read, the model is asked once, the observers are told
once, the answers are written; no request waits for another turn. A request comes this way if its
head was answered before and says nothing unusual. Whatever then turns out to be unusual about its
body or its answer goes on the full way, whose readers, hooks and writers are the same.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from modelway.rest.http import Request, Response
    from modelway.rest.reading import Head

_log = logging.getLogger("modelway.rest")


class Asker(Protocol):
    """Who asked.

    ``waits`` while it has no answer yet and would take one.
    ``give`` it the answer to a request of so many bytes.
    ``go_on`` the full way with its request.
    """

    @property
    def waits(self) -> bool:
        """Whether it waits for its answer."""
        ...

    def give(self, request_id: str, response: Response, request_bytes: int) -> None:
        """Its answer."""
        ...

    def go_on(self, request: Request) -> None:
        """Answer its request the full way."""
        ...


Asked = tuple[Asker, "Head", bytes]
"""One request: who asked, its head, its body."""

Observed = Callable[[int, Sequence[float], Sequence[int], Sequence[int]], None]
"""Told of answers that were sent: their status, and for each the seconds that it took, the bytes of
its request's body and of its own."""

Together = Callable[[Sequence[Asked]], None]
"""Gives everybody an answer, or has them go on the full way."""


class Turn:
    """Gathers the requests of a turn, which began at ``began_s``; used by one event loop.

    ``observe`` is told once a turn of the answers given in it.
    """

    def __init__(self, observe: Observed) -> None:
        self._observe = observe
        self.began_s = 0.0
        self._asked: list[Asked] = []
        self._seconds: list[float] = []
        self._came: list[int] = []
        self._sent: list[int] = []

    def add(self, asker: Asker, head: Head, body: bytes) -> None:
        """Have a request answered at the end of the turn, by what its head's notes name."""
        if not self._asked:
            asyncio.get_running_loop().call_soon(self._end)
            self.began_s = time.monotonic()
        self._asked.append((asker, head, body))

    def given(self, came_bytes: int, sent_bytes: int) -> None:
        """An answer was given, and it was a good one."""
        self._seconds.append(time.monotonic() - self.began_s)
        self._came.append(came_bytes)
        self._sent.append(sent_bytes)

    def _end(self) -> None:
        asked, self._asked = self._asked, []
        by_answer: dict[Together | None, list[Asked]] = {}
        for one in asked:
            by_answer.setdefault(one[1].notes.together, []).append(one)
        for together, alike in by_answer.items():
            try:
                if together is not None:
                    together(alike)
            except Exception:  # noqa: BLE001 - whatever it is, nobody is left waiting
                _log.exception("requests could not be answered together")
        for asker, head, body in asked:
            if asker.waits:
                asker.go_on(head.request(body))
        if self._came:
            given = self._seconds, self._came, self._sent
            self._seconds, self._came, self._sent = [], [], []
            self._observe(_OK, *given)
        if len(asked) > 1:
            _let_others_run()


_OK = 200

# Those who were just answered ask again, if they may run: where they share our cores, answering on
# for the rest of our share of the core would leave them, and whoever they share a core with, behind
# by milliseconds. Not every system has it.
_let_others_run: Callable[[], None] = getattr(os, "sched_yield", lambda: None)
