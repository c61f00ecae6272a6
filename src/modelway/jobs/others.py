"""The turns of a worker that are under way, for one that has to be alone."""

from __future__ import annotations

import asyncio


class Others:
    """Counts turns; used by one event loop."""

    def __init__(self) -> None:
        self._n = 0
        self._none = asyncio.Event()
        self._none.set()

    def began(self) -> None:
        """One more is under way."""
        self._n += 1
        self._none.clear()

    def ended(self) -> None:
        """One is not any more."""
        self._n -= 1
        if self._n == 0:
            self._none.set()

    async def gone(self) -> None:
        """Wait until none is under way."""
        await self._none.wait()
