"""What is noted in one turn of the event loop, and added up at its end.

Adding to a number costs little beside a request that comes alone, and much beside one of many that
a turn brings; notes of one turn are mostly alike, and so they are added up together. Nothing stays
noted for longer than a turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Note = TypeVar("Note")


class Notes(Generic[Note]):
    """Gives the notes of a turn to ``add_up``, at once where no event loop runs."""

    def __init__(self, add_up: Callable[[list[Note]], None]) -> None:
        self._add_up = add_up
        self._noted: list[Note] = []

    def add(self, note: Note) -> None:
        """Note something."""
        noted = self._noted
        noted.append(note)
        if len(noted) == 1:
            try:
                asyncio.get_running_loop().call_soon(self._end)
            except RuntimeError:
                self._end()

    def _end(self) -> None:
        noted, self._noted = self._noted, []
        self._add_up(noted)
