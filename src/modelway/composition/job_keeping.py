"""The jobs of a service's store, as a process that answers sees them.

The store is opened when the first job is asked for, on a thread: a service to which none comes
starts without it. What comes one by one is kept many at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from modelway.composition.job_dispatching import job_queue
from modelway.composition.plan import JobPlan
from modelway.domain.identifiers import new_prediction_id
from modelway.domain.jobs import Job, JobState, NewJob, Payload, Upload
from modelway.jobs.awaiting import Awaiting
from modelway.jobs.callbacks import AllowedUrls
from modelway.jobs.intake import Intake
from modelway.jobs.room import Room

if TYPE_CHECKING:
    from modelway.backends.sql.store import Store


_READ_BYTES = 256 * 1024 * 1024
"""So much of uploads is in the memory of a process, for those jobs that it checks and hands on."""


class StoredUploads:
    """What the routes of uploads ask, from a store that is opened when it is first asked."""

    def __init__(
        self, opened: Callable[[], Awaitable[Store]], lasts: timedelta, most_bytes: int
    ) -> None:
        self._opened = opened
        self._lasts = lasts
        self._most_bytes = most_bytes
        self._room = Room(_READ_BYTES)
        self._adding = asyncio.Lock()

    async def add(self, content: Payload, principal: str | None) -> Upload:
        """Keep what was sent, one after the other: each is weighed with those before it.

        Raises InvalidInput, PayloadTooLarge, QueueFull, StoreUnavailable.
        """
        store = await self._opened()
        at = datetime.now(UTC)
        upload = Upload(new_prediction_id(), principal, at, at + self._lasts)
        async with self._adding:
            await asyncio.to_thread(store.uploads.add, upload, content, self._most_bytes)
        return upload

    async def remove(self, upload_id: str, principal: str | None) -> None:
        """Take back what was sent. Raises UploadNotFound, StoreUnavailable."""
        uploads, at = (await self._opened()).uploads, datetime.now(UTC)
        await asyncio.to_thread(uploads.remove, upload_id, principal, at)

    @asynccontextmanager
    async def opened(self, upload_id: str, principal: str | None) -> AsyncIterator[Payload]:
        """What was sent. Raises UploadNotFound, QueueFull, StoreUnavailable."""
        uploads, at = (await self._opened()).uploads, datetime.now(UTC)
        n_bytes = await asyncio.to_thread(uploads.n_bytes, upload_id, principal, at)
        with self._room.reserved(n_bytes):
            yield await asyncio.to_thread(uploads.get, upload_id, principal, at)


class StoredJobs:
    """What the routes of jobs ask, from the store that ``opened`` gives; for one event loop.

    ``uploads_bytes`` is how much one caller may have sent for jobs to come;
    ``broker`` is the URL of what spreads the jobs, empty where the store itself is the queue.
    """

    def __init__(
        self,
        opened: Callable[[], Store],
        lasts: timedelta,
        longest_wait_s: int,
        callbacks: AllowedUrls,
        uploads_bytes: int,
        broker: str = "",
    ) -> None:
        self.lasts = lasts
        self.longest_wait_s = longest_wait_s
        self.callbacks = callbacks
        self.uploads = StoredUploads(self._store, lasts, uploads_bytes)
        self._opened = opened
        self._broker = broker
        self._opening: asyncio.Task[Store] | None = None
        self._intake: Intake | None = None
        self._awaiting: Awaiting | None = None

    async def keep(self, job: NewJob) -> Job:
        """Keep a job. Raises as ``Intake.keep`` does."""
        store = await self._store()
        if self._intake is None:
            # It lasts as long as the process; what it cannot announce then, another does.
            self._intake = Intake(job_queue(store, self._broker))
        return await self._intake.keep(job)

    async def get(self, job_id: str) -> Job:
        """One job. Raises JobNotFound, StoreUnavailable."""
        store = await self._store()
        return await asyncio.to_thread(store.jobs.get, job_id)

    async def page(
        self, state: JobState | None, endpoint: str | None, before: str | None, n: int
    ) -> Sequence[Job]:
        """Some jobs, the newest first. Raises StoreUnavailable."""
        store = await self._store()
        return await asyncio.to_thread(store.jobs.page, state, endpoint, before, n)

    async def result(self, job_id: str) -> Payload | None:
        """What a job was answered. Raises StoreUnavailable."""
        store = await self._store()
        return await asyncio.to_thread(store.jobs.result, job_id)

    async def cancel(self, job_id: str) -> Job:
        """End a job. Raises JobNotFound, IllegalTransition, StoreUnavailable."""
        store = await self._store()
        return await asyncio.to_thread(store.jobs.cancel, job_id)

    async def ended(self, job_id: str, seconds: float) -> bool:
        """Whether a job is done by then."""
        store = await self._store()
        if self._awaiting is None:
            self._awaiting = Awaiting(store.jobs)
        return await self._awaiting.ended(job_id, seconds)

    async def _store(self) -> Store:
        """The store; where it could not be opened, the next one tries again."""
        opening = self._opening
        if opening is None or (opening.done() and opening.exception() is not None):
            opening = self._opening = asyncio.create_task(asyncio.to_thread(self._opened))
        return await asyncio.shield(opening)


def stored_jobs(plan: JobPlan) -> StoredJobs:
    """The jobs of a plan's store."""

    def opened() -> Store:
        # What speaks to databases takes a quarter of a second to import.
        from modelway.backends.sql.store import open_store

        return open_store(plan.store, durable=plan.durable, announces=bool(plan.broker))

    lasts, callbacks = timedelta(seconds=plan.lasts_s), AllowedUrls(plan.callbacks)
    return StoredJobs(
        opened, lasts, plan.longest_wait_s, callbacks, plan.uploads_bytes, plan.broker
    )
