"""What is asked of whoever keeps jobs: the queue, and what can be read of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from modelway.domain.jobs import Attempt, Job, JobState, NewJob, Payload, Upload


@dataclass(frozen=True, slots=True)
class Leased:
    """A job for one worker until ``until``; ``token`` says which attempt it is.

    ``tries`` counts the attempts with this one, those that lapsed too, since the job was handed in
    or queued again by hand. After ``expires_at`` its answer is of no more use. One that may have
    cost workers their lives is to be answered ``alone``.
    """

    id: str
    endpoint: str
    version: str | None
    principal: str | None
    input: Payload
    result_type: str
    token: int
    until: datetime
    expires_at: datetime
    tries: int
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """An attempt under way, and how many of its rows are answered."""

    id: str
    token: int
    rows_done: int = 0


@dataclass(frozen=True, slots=True)
class Succeeded:
    """An attempt's result."""

    id: str
    token: int
    result: Payload


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt's error; ``retry_at`` None lets the job fail for good.

    One that does not count is no try of the job: its worker gave it back.
    """

    id: str
    token: int
    code: str
    error: str
    retry_at: datetime | None = None
    counts: bool = True


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """What waits of one endpoint, and since when the oldest does; ``dead`` have failed."""

    endpoint: str
    queued: int
    leased: int
    dead: int
    oldest: datetime | None


class JobQueue(Protocol):
    """Jobs on their way to a worker; delivered at least once, ended exactly once.

    ``enqueue`` keeps all of the jobs or none; by the time it returns they outlive every process.
    Of one whose id or idempotency key came before with the same fingerprint it gives the earlier
    job, and raises IdempotencyMismatch or IdempotencyKeyReused where the fingerprint is another. A
    new one has its position.
    ``lease`` gives jobs of one endpoint, the highest priority first and of one priority the oldest;
    endpoints take turns where several have jobs of the highest priority. At most so many as are
    ``wanted`` of that endpoint, and only so many that their inputs have at most ``n_bytes``, but
    one at least; one from its attempt ``ALONE_FROM`` on is leased by itself. A job whose lease ran
    out is leased again; one whose time is over is never. Where there is none it gives none.
    ``wait`` returns as soon as there may be something to lease of these endpoints, at the latest
    after ``seconds``. One thread at a time may wait.
    ``extend`` gives the ids of those leases that still hold, and notes how far those jobs are; no
    lease outlasts the time of its job.
    ``complete`` and ``fail`` give the ids of those that counted: whose token is the attempt under
    way. An attempt that was cancelled, or whose lease ran out and was given to another, counts not.
    ``cancel`` ends a job that is not done, also a leased one; a second time changes nothing.
    """

    def enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Job]:
        """Keep jobs.

        Raises IdempotencyKeyReused, IdempotencyMismatch, InvalidInput, StoreUnavailable.
        """
        ...

    def lease(
        self, wanted: Mapping[str, int], n_bytes: int, worker: str, lease_s: float
    ) -> Sequence[Leased]:
        """Take jobs for a worker. Raises StoreUnavailable."""
        ...

    def wait(self, endpoints: Sequence[str], seconds: float) -> None:
        """Wait for jobs. Raises StoreUnavailable."""
        ...

    def extend(self, leases: Sequence[Held], lease_s: float) -> Collection[str]:
        """Keep leases for longer. Raises StoreUnavailable."""
        ...

    def complete(self, done: Sequence[Succeeded]) -> Collection[str]:
        """Keep results, all of them or none. Raises InvalidInput, StoreUnavailable."""
        ...

    def fail(self, failed: Sequence[Failed]) -> Collection[str]:
        """Have jobs be tried again, or fail for good. Raises StoreUnavailable."""
        ...

    def cancel(self, job_id: str) -> Job:
        """End a job. Raises JobNotFound, IllegalTransition (it is done), StoreUnavailable."""
        ...


class JobEnds(Protocol):
    """Which jobs are done. Raises StoreUnavailable where the store cannot be reached.

    ``ended`` gives those of some ids whose job is done; one that is not there any more was.
    """

    def ended(self, ids: Collection[str]) -> Collection[str]:
        """Those that are done."""
        ...


class JobErasing(Protocol):
    """Removing jobs whatever their state. Raises StoreUnavailable where the store is not reached.

    ``erase`` removes all that belongs to them; an attempt under way counts not any more, and nobody
    is called back. Those that are not there are passed over.
    """

    def erase(self, ids: Collection[str]) -> int:
        """Remove jobs for good; gives how many there were."""
        ...


class Uploads(Protocol):
    """What was sent for jobs to come; every method raises StoreUnavailable.

    ``add`` refuses what would have the uploads of its principal hold more than ``most_bytes``; of
    several at the same moment each may find room for itself.
    ``n_bytes`` says how much ``get`` would give.
    ``get`` gives what ``principal`` has sent, before its time is over.
    ``remove`` takes it back: it holds nothing more, and jobs that took it over have it still.
    ``forget`` removes those whose time is over; gives how many.
    """

    def add(self, upload: Upload, content: Payload, most_bytes: int) -> None:
        """Keep what was sent. Raises InvalidInput, QueueFull."""
        ...

    def n_bytes(self, upload_id: str, principal: str | None, at: datetime) -> int:
        """How much was sent. Raises UploadNotFound."""
        ...

    def get(self, upload_id: str, principal: str | None, at: datetime) -> Payload:
        """What was sent. Raises UploadNotFound."""
        ...

    def remove(self, upload_id: str, principal: str | None, at: datetime) -> None:
        """Take back what was sent. Raises UploadNotFound."""
        ...

    def forget(self, at: datetime) -> int:
        """Remove what is over."""
        ...


class JobStore(Protocol):
    """Jobs as they stand; every method raises StoreUnavailable where the store cannot be reached.

    ``get`` gives a queued job with its position among those of its endpoint, 1 for the next; a
    position that is far back may be given as a smaller number.
    ``page`` gives the newest first, those older than the job ``before``, which is of the endpoint
    too where one is asked for; without their positions.
    ``result`` reads nothing of an answer that has more than ``most_bytes``.
    ``retry`` queues a job that failed or was cancelled again, with all its attempts to come and
    as much time as it had at first.
    ``forget`` removes jobs that ended before a time, with their inputs and results; gives how many.
    Those that ended since ``owed_since`` it leaves while a callback of them is owed.
    """

    def get(self, job_id: str) -> Job:
        """One job. Raises JobNotFound."""
        ...

    def page(
        self, state: JobState | None, endpoint: str | None, before: str | None, n: int
    ) -> Sequence[Job]:
        """Some jobs. Raises JobNotFound (``before``)."""
        ...

    def result(self, job_id: str, most_bytes: int | None = None) -> Payload | None:
        """What a job was answered; None where it was not, or has more than ``most_bytes``."""
        ...

    def attempts(self, job_id: str) -> Sequence[Attempt]:
        """Every lease of a job, in order."""
        ...

    def depths(self) -> Mapping[str, QueueDepth]:
        """How much waits, by endpoint."""
        ...

    def retry(self, job_id: str, at: datetime) -> Job:
        """Queue a job again. Raises JobNotFound, IllegalTransition."""
        ...

    def forget(self, ended_before: datetime, owed_since: datetime) -> int:
        """Remove what ended."""
        ...
