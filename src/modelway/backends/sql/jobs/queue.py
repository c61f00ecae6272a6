"""The queue: jobs in, leases out, and what came of them.

Each call is one transaction, however many jobs it takes. Times are those of this process: hosts
whose clocks differ lease a job again earlier or later than was meant, and a job still ends once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Row, select

from modelway.backends.sql.database import Database
from modelway.backends.sql.jobs import payloads
from modelway.backends.sql.jobs.enqueueing import Handed
from modelway.backends.sql.jobs.leasing import AT_ONCE, Wanted, take, tend
from modelway.backends.sql.jobs.moves import DELAYED, RETRIED, Change, held, move, prolong
from modelway.backends.sql.jobs.outbox import announce, of_jobs
from modelway.backends.sql.jobs.rows import job_of
from modelway.backends.sql.jobs.waiting import Waiting, notify
from modelway.backends.sql.tables import JOBS
from modelway.domain.errors import Conflict, JobNotFound
from modelway.domain.jobs import Job, JobState, NewJob
from modelway.jobs.dispatching import Enqueued
from modelway.jobs.ports import Failed, Held, Leased, Succeeded

_ERROR_CHARACTERS = 10_000


class _OfAttempt(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def token(self) -> int: ...


_Told = TypeVar("_Told", bound=_OfAttempt)


class SqlJobQueue:
    """``JobQueue``; every method raises StoreUnavailable where the store cannot be reached.

    ``announces`` tells a dispatcher beside the store of each job that may be leased; nobody else
    is told then, which PostgreSQL lets one transaction at a time do.
    """

    def __init__(
        self, database: Database, now: Callable[[], datetime], *, announces: bool = False
    ) -> None:
        self._database = database
        self._now = now
        self._announces = announces
        self._waiting = Waiting(database, now)

    def enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Job]:
        """Keep jobs, all of them or none; gives them as they are kept, in the same order.

        Raises:
            IdempotencyKeyReused, IdempotencyMismatch: a key or an id came before, with other
                inputs.
            InvalidInput: a value that the store cannot hold; PayloadTooLarge an input.
        """
        return self.enqueue_held(jobs, 0.0).jobs

    def enqueue_held(self, jobs: Sequence[NewJob], held_s: float) -> Enqueued:
        """``enqueue``, with what is to be told of it, which nobody else is given for so long."""
        handed = Handed(jobs)
        if not jobs:
            return Enqueued([], [])
        known: dict[str, Job] = {}
        while True:
            try:
                with self._database.writing() as connection:
                    kept = handed.add(connection, known)
                    if not self._announces:
                        notify(connection)
                        return Enqueued(kept, [])
                    earlier = {one.id for one in known.values()}  # by its key, under another id
                    ids = [one.id for one in kept if one.id not in earlier]
                    announce(connection, ids, self._now() + timedelta(seconds=held_s))
                    return Enqueued(kept, of_jobs(connection, ids) if held_s else [])
            except Conflict:
                with self._database.reading() as connection:
                    known = handed.known(connection)

    def lease(
        self, wanted: Mapping[str, int], n_bytes: int, worker: str, lease_s: float
    ) -> Sequence[Leased]:
        """Take the next jobs of one endpoint; none where there are none."""
        asked = Wanted(wanted, n_bytes, worker, lease_s)
        while True:
            with self._database.writing() as connection:
                at = self._now()
                tended = tend(connection, at, announces=self._announces)
                leased = take(connection, asked, at)
            if leased or tended < AT_ONCE:
                return leased

    def wait(self, endpoints: Sequence[str], seconds: float) -> None:
        """Wait until there may be something to lease, for so long at most."""
        self._waiting.wait(sorted(set(endpoints)), seconds)

    def extend(self, leases: Sequence[Held], lease_s: float) -> Collection[str]:
        """Keep leases for longer; gives the ids of those that still hold."""
        with self._database.writing() as connection:
            holding = _counted(connection, leases)
            until = self._now() + timedelta(seconds=lease_s)
            prolong(connection, {id: one.rows_done for id, (_, one) in holding.items()}, until)
        return set(holding)

    def complete(self, done: Sequence[Succeeded]) -> Collection[str]:
        """Keep results; gives the ids of the jobs that ended by it.

        Raises:
            InvalidInput: a result that the store cannot hold, PayloadTooLarge; then none is kept.
        """
        for one in done:
            payloads.check_payload("result", one.result)
        with self._database.writing() as connection:
            counted = _counted(connection, done)
            change = Change(
                JobState.SUCCEEDED,
                self._now(),
                JobState.SUCCEEDED.value,
                {"error_code": None, "error": None},
            )
            move(connection, [row for row, _ in counted.values()], change)
            results = {id: one.result for id, (_, one) in counted.items()}
            payloads.put(connection, payloads.RESULT, results)
        return set(counted)

    def fail(self, failed: Sequence[Failed]) -> Collection[str]:
        """Have jobs be tried again, or fail for good; gives the ids of those that were."""
        with self._database.writing() as connection:
            counted = _counted(connection, failed)
            at = self._now()
            dead = [(row, one) for row, one in counted.values() if one.retry_at is None]
            said = [_error(one) for _, one in dead]
            change = Change(JobState.FAILED, at, JobState.FAILED.value, each=said)
            move(connection, [row for row, _ in dead], change)
            again = [(row, one) for row, one in counted.values() if one.retry_at is not None]
            later = [_error(one) | _later(row, one) for row, one in again]
            change = Change(JobState.QUEUED, at, RETRIED, {"lane": DELAYED}, later)
            move(connection, [row for row, _ in again], change)
            if again and not self._announces:
                notify(connection)
        return set(counted)

    def close(self) -> None:
        """Give the connections of waiting back."""
        self._waiting.close()

    def cancel(self, job_id: str) -> Job:
        """End a job; one that is cancelled stays so.

        Raises:
            JobNotFound: there is none with this id.
            IllegalTransition: it is done.
        """
        with self._database.writing() as connection:
            job = held(connection, [job_id]).get(job_id)
            if job is None:
                raise JobNotFound(job_id)
            if job.state != JobState.CANCELLED:
                cancelled = JobState.CANCELLED
                move(connection, [job], Change(cancelled, self._now(), cancelled.value))
            return job_of(connection.execute(select(JOBS).where(JOBS.c.id == job_id)).one())


def _counted(connection: Connection, told: Sequence[_Told]) -> dict[str, tuple[Row[Any], _Told]]:
    """What is told of attempts that are under way, with their jobs, by the jobs' ids."""
    jobs = held(connection, [one.id for one in told])
    counted: dict[str, tuple[Row[Any], _Told]] = {}
    for one in told:
        job = jobs.get(one.id)
        if job is not None and job.state == JobState.LEASED and job.attempt == one.token:
            counted.setdefault(one.id, (job, one))
    return counted


def _error(failed: Failed) -> dict[str, Any]:
    """What is kept of an error: text that every database holds, whatever a model has said."""
    error = failed.error.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:_ERROR_CHARACTERS]
    return {"error_code": failed.code, "error": error.encode(errors="replace").decode()}


def _later(job: Row[Any], failed: Failed) -> dict[str, Any]:
    """When a job is tried again, and may be seen to, and how often it was tried."""
    at = failed.retry_at
    due = job.expires_at if at is None else min(at, job.expires_at)
    return {"not_before": at, "due_at": due, "tries": job.tries - (not failed.counts)}
