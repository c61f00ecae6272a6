"""A worker: takes jobs, has them answered, and says what came of each.

    queue.lease ──> answering.answer ──tell──> queue.complete, queue.fail
         (thread)        (event loop)                    (thread)
                              └── how far each is ──> queue.extend

Several turns of this run at a time, so that one is answered while another is stored. An answer is
told as soon as it is there, also while others of the same turn are awaited. Until then the leases
are extended; a job whose lease does not hold any more, as it was cancelled or its time is over, is
given up. A worker that dies leaves leases that run out: its jobs go to others, and one that may
have cost several workers their lives is leased and answered alone, then no more. What this worker
cannot open it leaves to others for a while.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

from modelway.domain.errors import (
    EndpointNotFound,
    InvalidInput,
    LoadFailed,
    MissingExtra,
    ModelCrashed,
    ModelwayError,
    Overloaded,
    PredictFailed,
    Unavailable,
)
from modelway.domain.jobs import ALONE_FROM, Payload
from modelway.jobs.others import Others
from modelway.jobs.pace import Pace
from modelway.jobs.ports import Failed, JobQueue, Leased, Succeeded
from modelway.jobs.retrying import Retrying
from modelway.jobs.shunned import Shunned
from modelway.jobs.under_way import UnderWay

_log = logging.getLogger("modelway.jobs")

_WAIT_S = 1.0
"""So long a worker waits for jobs before it looks whether it is to end."""

_AWAY_S = 1.0
"""So long it waits where the store is away."""

_NO_TRY = (Unavailable, Overloaded, LoadFailed, MissingExtra, EndpointNotFound)
"""What is no fault of a job does not count as a try of it, and it goes on until it expires."""

_NOT_HERE = (LoadFailed, MissingExtra, EndpointNotFound)

_EXTENSIONS = 3
"""So often a lease is extended before it would run out."""

_PROGRESS_S = 1.0
"""How often is said how far jobs are, where they are any farther."""

Result = TypeVar("Result")

Answered = tuple[UnderWay, Payload | ModelwayError]

Tell = Callable[[Sequence[Answered]], Awaitable[None]]


class Answering(Protocol):
    """Who answers jobs; every method on the event loop.

    ``endpoints`` are those whose jobs can be answered here.
    ``answer`` answers some jobs of one endpoint, and tells what came of each as soon as it is
    there; of one that was given up it need tell nothing.
    """

    def endpoints(self) -> Sequence[str]:
        """The names."""
        ...

    async def answer(self, jobs: Sequence[UnderWay], tell: Tell) -> None:
        """Answer jobs. Raises a ModelwayError for all of which nothing was told."""
        ...


class JobMeter(Protocol):
    """Who counts what comes of jobs; on the event loop."""

    def ended(self, endpoint: str, outcome: str, jobs: int) -> None:
        """Attempts ended as ``succeeded``, ``failed``, ``retried`` or ``lost`` (another has it)."""
        ...


@dataclass(frozen=True, slots=True)
class WorkBounds:
    """How much is taken at a time at most, and for how long; ``turns`` run at once."""

    jobs: int = 64
    n_bytes: int = 16 * 1024 * 1024
    lease_s: float = 30.0
    turns: int = 2
    drain_s: float = 4.0


class Worker:
    """Works until told to stop; ``name`` is what attempts are noted under."""

    def __init__(
        self,
        queue: JobQueue,
        answering: Answering,
        meter: JobMeter,
        name: str,
        bounds: WorkBounds | None = None,
        retrying: Retrying | None = None,
    ) -> None:
        self._queue = queue
        self._answering = answering
        self._meter = meter
        self._name = name
        self._bounds = bounds or WorkBounds()
        self._retrying = retrying or Retrying()
        self._pace = Pace(self._bounds.jobs)
        self._leasing = asyncio.Lock()
        self._others = Others()
        self._shunned = Shunned()
        self._is_away = False
        self._waiting: asyncio.Task[None] | None = None

    async def run(self, stopped: asyncio.Event) -> None:
        """Work until ``stopped`` is set, then end what was begun, in the time there is for it.

        What is not ended by then is given back.
        """
        turns = [asyncio.create_task(self._turns(stopped)) for _ in range(self._bounds.turns)]
        stopping = asyncio.create_task(stopped.wait())
        try:
            await asyncio.wait([stopping, *turns], return_when=asyncio.FIRST_COMPLETED)
            for turn in turns:
                if turn.done():  # nothing that is expected ends it before it is told to
                    turn.result()
            await asyncio.wait(turns, timeout=self._bounds.drain_s)
        finally:
            stopping.cancel()
            for turn in turns:
                turn.cancel()
            await asyncio.gather(stopping, *turns, return_exceptions=True)

    async def _turns(self, stopped: asyncio.Event) -> None:
        while not stopped.is_set():
            async with self._leasing:
                if stopped.is_set():
                    return
                names, at = self._answering.endpoints(), time.monotonic()
                endpoints = [one for one in names if not self._shunned.holds(one, at)]
                jobs = await self._stored(partial(self._leased, endpoints))
                if jobs and jobs[0].alone:
                    # No other turn leases meanwhile what would be lost with this worker.
                    await self._worked(jobs, after=self._others)
                    continue
                if jobs:
                    self._others.began()
            if jobs:
                try:
                    await self._worked(jobs)
                finally:
                    self._others.ended()
            elif jobs is not None:
                await self._wait(endpoints)
            else:
                await asyncio.sleep(_AWAY_S)

    async def _wait(self, endpoints: Sequence[str]) -> None:
        """Wait for jobs; all turns that do so wait together."""
        if self._waiting is None or self._waiting.done():
            waits = partial(self._queue.wait, endpoints, _WAIT_S)
            self._waiting = asyncio.create_task(self._stored(waits))
        await asyncio.shield(self._waiting)

    def _leased(self, endpoints: Sequence[str]) -> Sequence[Leased]:
        wanted = {one: self._pace.jobs(one) for one in endpoints}
        bounds = self._bounds
        return self._queue.lease(wanted, bounds.n_bytes, self._name, bounds.lease_s)

    async def _worked(self, jobs: Sequence[Leased], after: Others | None = None) -> None:
        """Answer jobs, ``after`` what others do; those that are not answered are given back."""
        under_way = {job.id: UnderWay(job) for job in jobs}
        keeping = asyncio.create_task(self._kept(under_way))
        began, telling_s = time.monotonic(), 0.0

        async def tell(answered: Sequence[Answered]) -> None:
            nonlocal telling_s
            at = time.monotonic()
            wanted = [one for one in answered if not one[0].is_over]
            for one, _ in wanted:
                one.is_over = True
            await self._told(wanted)
            for one, _ in wanted:
                del under_way[one.job.id]
            telling_s += time.monotonic() - at

        try:
            if after is not None:
                await after.gone()
            await self._answered(list(under_way.values()), tell)
            if not self._shunned.holds(jobs[0].endpoint, time.monotonic()):
                self._pace.took(jobs[0].endpoint, len(jobs), time.monotonic() - began - telling_s)
        except asyncio.CancelledError:
            await asyncio.shield(self._given_back(list(under_way.values())))
            raise
        finally:
            keeping.cancel()

    async def _given_back(self, jobs: Sequence[UnderWay]) -> None:
        """Give jobs to others that this worker has not ended; those attempts do not count."""
        ended = Unavailable("the worker ended before it was answered")
        now = datetime.now(UTC)
        given = [
            Failed(one.job.id, one.job.token, ended.code, ended.message, now, counts=False)
            for one in jobs
        ]
        await self._stored(partial(self._queue.fail, given))

    async def _answered(self, jobs: Sequence[UnderWay], tell: Tell) -> None:
        """Have jobs answered; what is raised is told of those that have no answer by then."""
        jobs = [one for one in jobs if not one.is_over]
        if not jobs:  # it was cancelled while others were awaited
            return
        tries = jobs[0].job.tries - 1
        if tries >= max(self._retrying.attempts, ALONE_FROM):
            words = f"{tries} attempts ended without an answer: their workers died"
            await tell([(one, ModelCrashed(words)) for one in jobs])
            return
        try:
            await self._answering.answer(jobs, tell)
        except ModelwayError as error:
            await tell([(one, error) for one in jobs if not one.is_over])
        except Exception as error:  # noqa: BLE001 - the worker goes on, whatever a model gave
            _log.exception("jobs could not be answered")
            failed = PredictFailed(f"{type(error).__name__}: {error}")
            await tell([(one, failed) for one in jobs if not one.is_over])

    async def _told(self, answered: Sequence[Answered]) -> None:
        """Say what came of jobs, for as long as it takes for the store to hear it."""
        if not answered:
            return
        now = datetime.now(UTC)
        done: list[Succeeded] = []
        failed: list[Failed] = []
        for one, outcome in answered:
            job = one.job
            if isinstance(outcome, Payload):
                done.append(Succeeded(job.id, job.token, outcome))
            else:
                failed.append(self._failed(job, outcome, now))
        endpoint = answered[0][0].job.endpoint
        kept, unkept = await self._completed(done)
        failed += unkept
        noted = await self._insisted(partial(self._queue.fail, failed)) if failed else ()
        retried = sum(told.id in noted and told.retry_at is not None for told in failed)
        if kept:
            self._shunned.forget(endpoint)
        self._count(endpoint, "succeeded", len(kept))
        self._count(endpoint, "retried", retried)
        self._count(endpoint, "failed", len(noted) - retried)
        self._count(endpoint, "lost", len(answered) - len(kept) - len(noted))

    def _failed(self, job: Leased, error: ModelwayError, now: datetime) -> Failed:
        """What the store is told of an error: whether the job is tried again, and when."""
        if job.version is not None or not isinstance(error, _NO_TRY):
            at = self._retrying.at(job.tries, error, now)
            return Failed(job.id, job.token, error.code, error.message, at)
        at = now
        if isinstance(error, _NOT_HERE):
            self._shunned.add(job.endpoint, time.monotonic())
        else:
            at += timedelta(seconds=self._retrying.wait_s(job.token))
        return Failed(job.id, job.token, error.code, error.message, at, counts=False)

    async def _completed(
        self, done: Sequence[Succeeded]
    ) -> tuple[Collection[str], Sequence[Failed]]:
        """Which results were kept, and those of which the store takes none, for good."""
        if not done:
            return (), ()
        try:
            return await self._insisted(partial(self._queue.complete, done)), ()
        except InvalidInput as error:
            if len(done) == 1:
                (one,) = done
                return (), [Failed(one.id, one.token, error.code, error.message)]
        each = [await self._completed([one]) for one in done]
        kept = [id for ids, _ in each for id in ids]
        return kept, [one for _, failed in each for one in failed]

    def _count(self, endpoint: str, outcome: str, jobs: int) -> None:
        if jobs:
            self._meter.ended(endpoint, outcome, jobs)

    async def _kept(self, under_way: Mapping[str, UnderWay]) -> None:
        """Extend the leases of what is under way, and say how far it is, until cancelled."""
        lease_s = self._bounds.lease_s
        every_s = lease_s / _EXTENSIONS
        extended_at, said = time.monotonic(), 0
        while True:
            await asyncio.sleep(min(_PROGRESS_S, every_s))
            jobs = list(under_way.values())
            done = sum(one.rows_done for one in jobs)
            if not jobs or (done == said and time.monotonic() - extended_at < every_s):
                continue
            held = [one.held for one in jobs]
            try:
                holding = await self._stored(partial(self._queue.extend, held, lease_s))
            except Exception:  # noqa: BLE001 - the next time may do, and no lease is to run out
                _log.exception("leases could not be extended")
                continue
            if holding is not None:
                extended_at, said = time.monotonic(), done
                lost = [one for one in jobs if not one.is_over and one.job.id not in holding]
                for one in lost:
                    one.give_up()
                self._count(jobs[0].job.endpoint, "lost", len(lost))

    async def _insisted(self, asked: Callable[[], Result]) -> Result:
        """What the store says, asked until it does: no result is lost because it was away."""
        while True:
            found = await self._stored(asked)
            if found is not None:
                return found
            await asyncio.sleep(_AWAY_S)

    async def _stored(self, asked: Callable[[], Result]) -> Result | None:
        """What the store says, in a thread; None where it is away, which is said once."""
        try:
            found = await asyncio.to_thread(asked)
        except Unavailable as error:
            if not self._is_away:
                _log.warning("jobs wait: %s", error.message)
            self._is_away = True
            return None
        if self._is_away:
            _log.info("the store is back")
        self._is_away = False
        return found
