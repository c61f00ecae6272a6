"""The control store: one database, and behind it every port that keeps control state."""

from __future__ import annotations

import logging
from types import TracebackType

from modelway.backends.sql.audit import SqlAuditTrail
from modelway.backends.sql.connecting import database_of
from modelway.backends.sql.database import Database
from modelway.backends.sql.durability import check_durable
from modelway.backends.sql.endpoints import SqlEndpointStore
from modelway.backends.sql.generation import IDENTITY, SqlGeneration, counted
from modelway.backends.sql.homes import SqlPresentHomes
from modelway.backends.sql.jobs.jobs import SqlJobs
from modelway.backends.sql.jobs.uploads import SqlUploads
from modelway.backends.sql.keys import SqlKeyStore
from modelway.backends.sql.labels import SqlLabelStore
from modelway.backends.sql.ledger import SqlLedger
from modelway.backends.sql.links import SqlBundleLinks
from modelway.backends.sql.proposals import SqlProposals
from modelway.backends.sql.revisions import is_migrated
from modelway.backends.sql.schedules import SqlScheduleRuns, SqlSchedules
from modelway.backends.sql.trials import SqlTrialStore
from modelway.domain.errors import StoreUnavailable


class Store:
    """What is kept in one database; threads may share it, a forked process opens its own.

    ``shown`` is its URL without a password. ``unreached`` is why it could not be reached when it
    was opened, None where it could. ``announces`` is as ``SqlJobs`` has it.
    """

    def __init__(
        self,
        database: Database,
        unreached: StoreUnavailable | None = None,
        *,
        announces: bool = False,
    ) -> None:
        self._database = database
        self.shown = database.shown
        self.unreached = unreached
        self.ledger = SqlLedger(database)
        self.proposals = SqlProposals(database)
        self.links = SqlBundleLinks(database)
        self.endpoints = SqlEndpointStore(database)
        self.generation = SqlGeneration(database)
        self.keys = SqlKeyStore(database)
        self.audit = SqlAuditTrail(database)
        self.labels = SqlLabelStore(database)
        self.trials = SqlTrialStore(database)
        self.jobs = SqlJobs(database, announces=announces)
        self.uploads = SqlUploads(database)
        self.homes = SqlPresentHomes(database)
        self.schedules = SqlSchedules(database)
        self.schedule_runs = SqlScheduleRuns(database)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def identity(self) -> int:
        """What tells this store from others, wherever it is reached from.

        Raises:
            StoreUnavailable: it cannot be reached.
        """
        with self._database.reading() as connection:
            return counted(connection, IDENTITY)

    def close(self) -> None:
        """Give every connection back."""
        self.jobs.close()
        self._database.close()


def open_store(
    url: str, *, durable: bool = False, patient: bool = False, announces: bool = False
) -> Store:
    """The store at a URL: ``sqlite:///``, ``postgresql://``, ``mariadb://`` or ``mysql://``.

    An empty database gets its tables and an older store its migrations, once, however many open it
    at the same time. ``durable`` is for a store of which a loss of power loses nothing: SQLite
    waits for the disk at each commit, and a server that is set up not to is refused. Without it
    what the operating system did not write yet may be lost.
    ``patient`` gives a store that cannot be reached, too: all of it raises StoreUnavailable until
    it can be, and then it is migrated first. ``announces`` is for where a broker spreads the jobs.

    Raises:
        BadValue: the URL is none of a store, or its server loses what it has kept.
        MissingExtra: the driver is not installed.
        HomeTooNew: a newer version has written it.
        StoreUnavailable: it cannot be reached.
    """
    database = database_of(url, durable=durable)
    try:
        _ready(database, durable=durable)
    except StoreUnavailable as error:
        if patient:
            later = database.after(lambda: _ready(database, durable=durable))
            return Store(later, error, announces=announces)
        database.close()
        raise
    except BaseException:
        database.close()
        raise
    return Store(database, announces=announces)


def _ready(database: Database, *, durable: bool) -> None:
    """Have the database be of this version. Raises HomeTooNew, StoreUnavailable, BadValue."""
    with database.reading() as connection:
        if durable:
            check_durable(connection, database.shown)
        migrated = is_migrated(database, connection)
    if not migrated:
        # Alembic takes longer to import than a store to open, and tells every step of it.
        logging.getLogger("alembic").setLevel(logging.WARNING)
        from modelway.backends.sql.migrating import migrate  # noqa: PLC0415 - said above

        migrate(database)
