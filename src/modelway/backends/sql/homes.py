"""The homes in which a service runs, and where their bundles are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import delete, select, update

from modelway.backends.sql.columns import check, insert
from modelway.backends.sql.database import Database
from modelway.backends.sql.tables import HOMES
from modelway.bundles.presence import Present

_C = HOMES.c


class SqlPresentHomes:
    """``PresentHomes``; every method raises StoreUnavailable where the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, present: Present) -> None:
        """A home is there. Raises InvalidInput for a value that the store cannot hold."""
        values = asdict(present)
        check(HOMES, values)
        with self._database.writing() as connection:
            there = update(HOMES).where(_C.home == present.home).values(values)
            if not connection.execute(there).rowcount:
                insert(connection, HOMES, [values])

    def leave(self, home: str) -> None:
        """A home is not there any more."""
        with self._database.writing() as connection:
            connection.execute(delete(HOMES).where(_C.home == home))

    def all(self) -> Sequence[Present]:
        """Every home that is there, the latest seen first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(HOMES).order_by(_C.seen_at.desc(), _C.home))
            return [Present(**row._mapping) for row in rows]
