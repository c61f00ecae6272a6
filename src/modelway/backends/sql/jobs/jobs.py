"""Everything that is asked of whoever keeps jobs, on one database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from modelway.backends.sql.database import Database
from modelway.backends.sql.jobs.callbacks import SqlCallbacks
from modelway.backends.sql.jobs.dispatch import SqlJobDispatch
from modelway.backends.sql.jobs.queue import SqlJobQueue
from modelway.backends.sql.jobs.store import SqlJobStore


class SqlJobs(SqlJobQueue, SqlJobStore, SqlJobDispatch, SqlCallbacks):
    """``JobQueue``, ``JobStore``, ``JobDispatch`` and ``Callbacks``.

    ``now`` is the time by which leases run out. ``announces`` tells a dispatcher beside the store
    of each job that may be leased.
    """

    def __init__(
        self,
        database: Database,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        announces: bool = False,
    ) -> None:
        SqlJobQueue.__init__(self, database, now, announces=announces)
        SqlJobStore.__init__(self, database, announces=announces)
        SqlJobDispatch.__init__(self, database, now)
        SqlCallbacks.__init__(self, database)
