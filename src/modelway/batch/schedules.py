"""Schedules: what is run again and again, and the one table of what becomes of a run.

    running ──> succeeded
      ^  │ ├──> failed
      └──┘ └──> running      by another attempt, where whoever ran it died or was ended, or what
                             it needs was away
    missed                   never begun: nobody looked in time, or the run before still ran

A run is known by its schedule and the time at which it was due. Whoever runs it has a lease and a
**token**, the number of the attempt: what is said with an older one changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

KEPT_RUNS = 100
"""So many runs of a schedule are kept, the newest; and the last that succeeded."""

DETAIL_CHARACTERS = 2000


class RunState(StrEnum):
    """What became of a run."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is run when, and where.

    ``cron`` is due on the clocks of ``zone``. ``arguments`` are those of ``modelway batch``, given
    in ``folder``, which is one of the machine ``host``; only the ``home`` in which it was added
    runs it. ``next_due`` is when it is due next, or since.
    """

    name: str
    cron: str
    zone: str
    arguments: tuple[str, ...]
    folder: str
    home: str
    host: str
    created_at: datetime
    created_by: str
    next_due: datetime


@dataclass(frozen=True, slots=True)
class ScheduledRun:
    """A run as it stands, of the due at ``due_at``.

    ``attempt`` is the token of whoever runs it until ``until`` at least. ``tries`` are the attempts
    with this one, but for those that were given back. ``dues`` is how many one that was missed
    stands for. ``detail`` is what it said last, or why it was missed.
    """

    schedule: str
    due_at: datetime
    state: RunState
    attempt: int
    tries: int
    host: str
    started_at: datetime
    until: datetime | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    detail: str = ""
    dues: int = 1


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended."""

    state: RunState
    exit_code: int | None
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Tally:
    """The runs of a schedule that are kept, in numbers.

    ``runs`` has how many there are of a state, where there are any; one that was missed counts for
    all the dues that it stands for. ``last`` is when one ended so last, where one did.
    """

    runs: Mapping[RunState, int]
    last: Mapping[RunState, datetime]


class Schedules(Protocol):
    """Schedules as they stand; every method raises StoreUnavailable.

    ``add`` keeps a schedule under a name that no other has.
    ``all`` gives them in the order of their names.
    ``remove`` forgets a schedule and its runs; whoever runs one has lost its lease.
    ``runs`` gives some runs of a schedule, the latest due first.
    ``tallies`` counts the runs of each schedule of a home, by its name.
    """

    def add(self, schedule: Schedule) -> None:
        """Keep a schedule. Raises Conflict, InvalidInput."""
        ...

    def get(self, name: str) -> Schedule:
        """One schedule. Raises ScheduleNotFound."""
        ...

    def all(self) -> Sequence[Schedule]:
        """Every schedule."""
        ...

    def remove(self, name: str) -> None:
        """Forget a schedule. Raises ScheduleNotFound."""
        ...

    def runs(self, name: str, n: int) -> Sequence[ScheduledRun]:
        """Some runs of a schedule."""
        ...

    def tallies(self, home: str) -> Mapping[str, Tally]:
        """What became of runs, in numbers."""
        ...


class ScheduleRuns(Protocol):
    """Runs on their way; every method raises StoreUnavailable.

    ``due`` gives the schedules of a home that are due at a time, the longest first.
    ``under_way`` gives its runs that have not ended, each with its schedule.
    ``enter`` adds a run and has its schedule be due next at another time, both or neither; False
    where somebody else did so first, or the schedule is not there any more. Of the runs before
    it leaves the newest, those that have not ended, and the last that succeeded.
    ``take`` gives a run whose lease ran out to a host, by the next attempt; None where somebody
    else has it.
    ``extend``, ``give_back`` and ``end`` are False where the attempt is not the one under way.
    ``give_back`` has the run be taken by whoever comes next, from a time on; where it does not
    count, it was no try.
    """

    def due(self, home: str, at: datetime) -> Sequence[Schedule]:
        """What is due."""
        ...

    def under_way(self, home: str) -> Sequence[tuple[Schedule, ScheduledRun]]:
        """What has not ended."""
        ...

    def enter(self, schedule: Schedule, run: ScheduledRun, next_due: datetime) -> bool:
        """Add a run. Raises InvalidInput."""
        ...

    def take(
        self, run: ScheduledRun, host: str, at: datetime, until: datetime
    ) -> ScheduledRun | None:
        """Take a run over."""
        ...

    def extend(self, run: ScheduledRun, until: datetime) -> bool:
        """Keep a lease for longer."""
        ...

    def give_back(self, run: ScheduledRun, at: datetime, *, counts: bool) -> bool:
        """Leave a run to others."""
        ...

    def end(self, run: ScheduledRun, ended: Ended) -> bool:
        """Have a run have ended."""
        ...
