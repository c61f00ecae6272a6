"""The queue as a dispatcher beside it sees it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from modelway.backends.sql.database import Database
from modelway.backends.sql.jobs import outbox
from modelway.backends.sql.jobs.leasing import Wanted, claim, tend
from modelway.jobs.dispatching import Announcement, Claimed, Line


class SqlJobDispatch:
    """``JobDispatch``; every method raises StoreUnavailable where the store cannot be reached."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def tend(self) -> int:
        """See to what is due; gives of how many jobs."""
        with self._database.writing() as connection:
            return tend(connection, self._now(), announces=True)

    def claim(self, ids: Sequence[str], n_bytes: int, worker: str, lease_s: float) -> Claimed:
        """Lease those of some jobs of one endpoint that may be leased now."""
        wanted = Wanted({}, n_bytes, worker, lease_s)
        with self._database.writing() as connection:
            return claim(connection, ids, wanted, self._now())

    def announcements(self, n: int, held_s: float) -> Sequence[Announcement]:
        """Some that nobody is telling; nobody else is given them for so long."""
        with self._database.reading() as connection:
            if not outbox.is_to_be_told(connection, self._now()):
                return []
        with self._database.writing() as connection:
            return outbox.to_be_told(connection, n, self._now(), held_s)

    def announced(self, numbers: Collection[int]) -> None:
        """These were told."""
        with self._database.writing() as connection:
            outbox.told(connection, numbers)

    def lines(self, endpoints: Sequence[str], since: datetime | None = None) -> Collection[Line]:
        """The lines of endpoints in which something waits, since then."""
        with self._database.reading() as connection:
            return outbox.lines(connection, sorted(set(endpoints)), since)

    def announce_line(self, line: Line, since: datetime) -> int:
        """Announce what waits in a line since then, and nobody was given to tell."""
        with self._database.writing() as connection:
            return outbox.announce_line(connection, line, since, self._now())

    def announce_again(self, ids: Sequence[str]) -> int:
        """Announce those of these jobs that may be leased now."""
        with self._database.writing() as connection:
            return outbox.announce(connection, ids, self._now())
