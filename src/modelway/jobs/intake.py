"""The intake: jobs that come one by one, kept many at a time.

A commit takes as long for a hundred jobs as for one. So whatever comes while one is under way waits
for it to end, and is kept by the next; nobody waits for company.
"""

from __future__ import annotations

import asyncio
from collections import deque

from modelway.domain.errors import QueueFull, StoreUnavailable
from modelway.domain.jobs import Job, NewJob
from modelway.jobs.ports import JobQueue

_MOST = 1000
_MOST_BYTES = 16 * 1024 * 1024
"""So many are kept in one transaction, or what has so many bytes."""

_WAITING = 10_000
_WAITING_BYTES = 256 * 1024 * 1024
"""So many may wait for theirs."""


class Intake:
    """Keeps jobs in a queue; for one event loop."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self._waiting: deque[tuple[NewJob, asyncio.Future[Job]]] = deque()
        self._n_bytes = 0
        self._keeping: asyncio.Task[None] | None = None

    async def keep(self, job: NewJob) -> Job:
        """The job, once it outlives every process; an earlier one where its caller repeats it.

        Raises:
            IdempotencyKeyReused, IdempotencyMismatch: its key or its id came before, with another
                job.
            InvalidInput: the store cannot hold it.
            StoreUnavailable: it is not kept.
            QueueFull: too much waits to be kept.
        """
        n_bytes = len(job.input.content)
        if len(self._waiting) >= _WAITING or self._n_bytes + n_bytes > _WAITING_BYTES:
            raise QueueFull(f"{len(self._waiting)} jobs wait to be kept")
        self._n_bytes += n_bytes
        kept: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, kept))
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep_all())
        return await kept

    async def _keep_all(self) -> None:
        try:
            while self._waiting:
                await self._keep(self._next())
        finally:
            self._keeping = None

    def _next(self) -> list[tuple[NewJob, asyncio.Future[Job]]]:
        """Those that are kept together next."""
        some = [self._waiting.popleft()]
        n_bytes = len(some[0][0].input.content)
        while self._waiting and len(some) < _MOST:
            n_bytes += len(self._waiting[0][0].input.content)
            if n_bytes > _MOST_BYTES:
                break
            some.append(self._waiting.popleft())
        self._n_bytes -= sum([len(job.input.content) for job, _ in some])
        return some

    async def _keep(self, some: list[tuple[NewJob, asyncio.Future[Job]]]) -> None:
        try:
            jobs = await asyncio.to_thread(self._queue.enqueue, [job for job, _ in some])
        except StoreUnavailable as error:
            self._refuse(some, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, each of them is told
            if len(some) == 1:
                self._refuse(some, error)
                return
            # One of them is at fault, and none was kept: so each half is asked for alone.
            half = len(some) // 2
            await self._keep(some[:half])
            await self._keep(some[half:])
        else:
            for (_, kept), job in zip(some, jobs, strict=True):
                if not kept.done():  # its caller may have left
                    kept.set_result(job)

    def _refuse(self, some: list[tuple[NewJob, asyncio.Future[Job]]], error: Exception) -> None:
        for _, kept in some:
            if not kept.done():
                kept.set_exception(error)
