"""Requests of one turn of the event loop, answered by one call of the model at its end.

When many callers wait, the loop brings several requests in one turn. Asked one by one, the model
and what stands around it would push each other out of the processor's caches, which costs more than
the model does. So they are put together, and nobody waits for company: the turn ends anyway, and a
request that came alone is asked alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from modelway.domain.tables import Table
from modelway.inference.batching import Answer
from modelway.inference.soon import Soon, settle


class Gathering:
    """Gathers requests to one model; ``answer`` gives an answer for each table, and never raises.

    Used by one event loop at a time.
    """

    def __init__(self, answer: Callable[[Sequence[Table]], Sequence[Answer]]) -> None:
        self._answer = answer
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tables: list[Table] = []
        self._places: list[Soon] = []
        self._units = 0

    @property
    def busy(self) -> bool:
        """Whether a request waits for the end of the turn."""
        return bool(self._tables)

    def add(self, table: Table, units: int, most: int) -> Soon:
        """What will be the answer to the table; at most ``most`` units are asked at a time."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._tables, self._places, self._units = loop, [], [], 0
        if self._tables and self._units + units > most:
            self.flush()
        if not self._tables:
            loop.call_soon(self.flush)
        place = Soon(loop=loop)
        self._tables.append(table)
        self._places.append(place)
        self._units += units
        return place

    def flush(self) -> None:
        """Answer what was gathered."""
        tables, places = self._tables, self._places
        if tables:
            self._tables, self._places, self._units = [], [], 0
            for place, answer in zip(places, self._answer(tables), strict=True):
                settle(place, answer)
            for place in places:
                # Who has given up goes on too, and is told that.
                if place.then is not None:
                    place.then()
