"""The control store: one database, and behind it every port that keeps control state."""

from __future__ import annotations

import logging
from types import TracebackType

from modelway.backends.sql.audit import SqlAuditTrail
from modelway.backends.sql.connecting import database_of
from modelway.backends.sql.database import Database
from modelway.backends.sql.endpoints import SqlEndpointStore
from modelway.backends.sql.generation import SqlGeneration
from modelway.backends.sql.keys import SqlKeyStore
from modelway.backends.sql.labels import SqlLabelStore
from modelway.backends.sql.ledger import SqlLedger
from modelway.backends.sql.links import SqlBundleLinks
from modelway.backends.sql.proposals import SqlProposals
from modelway.backends.sql.revisions import is_migrated
from modelway.backends.sql.trials import SqlTrialStore


class Store:
    """What is kept in one database; threads may share it, a forked process opens its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.ledger = SqlLedger(database)
        self.proposals = SqlProposals(database)
        self.links = SqlBundleLinks(database)
        self.endpoints = SqlEndpointStore(database)
        self.generation = SqlGeneration(database)
        self.keys = SqlKeyStore(database)
        self.audit = SqlAuditTrail(database)
        self.labels = SqlLabelStore(database)
        self.trials = SqlTrialStore(database)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give every connection back."""
        self._database.close()


def open_store(url: str, *, durable: bool = False) -> Store:
    """The store at a URL: ``sqlite:///``, ``postgresql://``, ``mariadb://`` or ``mysql://``.

    An empty database gets its tables and an older store its migrations, once, however many open it
    at the same time. ``durable`` has SQLite wait for the disk at each commit, so that a loss of
    power loses nothing; without it only what the operating system did not write yet is lost.

    Raises:
        BadValue: the URL is none of a store.
        MissingExtra: the driver is not installed.
        HomeTooNew: a newer version has written it.
        StoreUnavailable: it cannot be reached.
    """
    database = database_of(url, durable=durable)
    try:
        with database.reading() as connection:
            migrated = is_migrated(database, connection)
        if not migrated:
            # Alembic takes longer to import than a store to open, and tells every step of it.
            logging.getLogger("alembic").setLevel(logging.WARNING)
            from modelway.backends.sql.migrating import migrate  # noqa: PLC0415 - said above

            migrate(database)
    except BaseException:
        database.close()
        raise
    return Store(database)
