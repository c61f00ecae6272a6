"""Waiting for jobs to end: many who wait, one look for all of them.

A job is ended by a worker, which is another process; so the store is asked, at first often and then
less so. It is asked only while somebody waits.
"""

from __future__ import annotations

import asyncio

from modelway.domain.errors import StoreUnavailable
from modelway.jobs.ports import JobEnds

_FIRST_S = 0.01
_LONGEST_S = 0.1
"""The pauses between looks: they double, until somebody new waits."""


class Awaiting:
    """Waits for jobs of a store; for one event loop."""

    def __init__(self, ends: JobEnds) -> None:
        self._ends = ends
        self._waiting: dict[asyncio.Future[None], str] = {}
        self._looking: asyncio.Task[None] | None = None
        self._pause_s = _FIRST_S

    async def ended(self, job_id: str, seconds: float) -> bool:
        """Whether a job ends within so many seconds; while the store is away nothing is known."""
        told = asyncio.get_running_loop().create_future()
        self._waiting[told] = job_id
        self._pause_s = _FIRST_S
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(seconds):
                await told
        except TimeoutError:
            return False
        finally:
            del self._waiting[told]
        return True

    async def _look(self) -> None:
        try:
            while self._waiting:
                ids = set(self._waiting.values())
                try:
                    ended = await asyncio.to_thread(self._ends.ended, ids)
                except StoreUnavailable:
                    ended = ()
                for told, job_id in self._waiting.items():
                    if job_id in ended and not told.done():
                        told.set_result(None)
                await asyncio.sleep(self._pause_s)
                self._pause_s = min(2 * self._pause_s, _LONGEST_S)
        finally:
            self._looking = None
