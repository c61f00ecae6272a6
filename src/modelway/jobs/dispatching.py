"""What a dispatcher beside the store asks of whoever keeps jobs.

A dispatcher spreads over the workers which jobs may be looked at now. It decides nothing: a job is
leased by the store alone. So what it is told may come late, twice or out of order, and what it
loses is told again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from modelway.domain.jobs import Job, NewJob
from modelway.jobs.ports import JobQueue, Leased


class Line(NamedTuple):
    """Where jobs of one endpoint and one priority wait."""

    endpoint: str
    priority: int


@dataclass(frozen=True, slots=True)
class Announcement:
    """That a job may be leased now; ``number`` is its own, a job may be announced many times."""

    number: int
    job: str
    line: Line


@dataclass(frozen=True, slots=True)
class Enqueued:
    """Jobs as they are kept, and the announcements of those that are new."""

    jobs: Sequence[Job]
    announcements: Sequence[Announcement]


@dataclass(frozen=True, slots=True)
class Claimed:
    """What came of a claim: the jobs that are leased, and the ids of those that were too many."""

    leased: Sequence[Leased]
    left: Collection[str]


class AnnouncingQueue(JobQueue, Protocol):
    """``JobQueue`` of which jobs can be told by whoever hands them in.

    ``enqueue_held`` keeps jobs as ``enqueue`` does, and gives what is to be told of the new ones,
    in the order of their age; ``JobDispatch.announcements`` gives it to nobody for ``held_s``.
    """

    def enqueue_held(self, jobs: Sequence[NewJob], held_s: float) -> Enqueued:
        """Keep jobs, to tell of them oneself."""
        ...


class JobDispatch(Protocol):
    """The side of the store to which a dispatcher turns; all of it raises StoreUnavailable.

    Whatever makes a job one that may be leased now announces it in the same transaction.
    ``tend`` sees to what is due by itself; gives of how many jobs.
    ``claim`` leases those of some jobs of one endpoint that may be leased now: the highest priority
    first and of one priority the oldest, only so many that their inputs have at most ``n_bytes``,
    but one at least.
    ``announcements`` gives some that were not told yet, the oldest first; nobody else is given them
    for ``held_s``. ``announced`` says which were told: they are not given again.
    ``lines`` gives those of some endpoints in which a job may be leased now, and might be since
    ``since``. ``announce_line`` announces such jobs of a line again, those that nobody was given to
    tell; ``announce_again`` some jobs by their ids.
    """

    def tend(self) -> int:
        """See to what is due."""
        ...

    def claim(self, ids: Sequence[str], n_bytes: int, worker: str, lease_s: float) -> Claimed:
        """Take these jobs for a worker."""
        ...

    def announcements(self, n: int, held_s: float) -> Sequence[Announcement]:
        """What is to be told."""
        ...

    def announced(self, numbers: Collection[int]) -> None:
        """These were told."""
        ...

    def lines(self, endpoints: Sequence[str], since: datetime | None = None) -> Collection[Line]:
        """Where something waits."""
        ...

    def announce_line(self, line: Line, since: datetime) -> int:
        """Announce again what waits in a line; gives how many."""
        ...

    def announce_again(self, ids: Sequence[str]) -> int:
        """Announce those of these jobs that may be leased now; gives how many."""
        ...
