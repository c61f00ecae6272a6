"""Counters of the store, and the one that everybody polls.

Whoever advances a counter holds its row until the end of the transaction. So changes that advance
the same one come one after the other, and its numbers are the order in which they were kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, select, update

from modelway.backends.sql.database import Database
from modelway.backends.sql.tables import COUNTERS

GENERATION = "generation"
IDENTITY = "identity"
"""Never counted: a number that was drawn when the store was made."""


class SqlGeneration:
    """``Generation``: one row, found by its key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def now(self) -> int:
        """The number of now.

        Raises:
            StoreUnavailable: the store cannot be reached.
        """
        with self._database.reading() as connection:
            return counted(connection, GENERATION)


def counted(connection: Connection, counter: str) -> int:
    """Where a counter stands."""
    value = select(COUNTERS.c.value).where(COUNTERS.c.name == counter)
    return int(connection.execute(value).scalar_one())


def advance(connection: Connection, counter: str, by: int = 1) -> int:
    """Count up, and keep others from doing so until the transaction ends; where it stands then."""
    row = update(COUNTERS).where(COUNTERS.c.name == counter)
    connection.execute(row.values(value=COUNTERS.c.value + by))
    return counted(connection, counter)


@contextmanager
def changing(database: Database) -> Iterator[tuple[Connection, int]]:
    """A connection for a change of what answers, and the generation that it makes.

    The generation grows with the change or not at all, and nobody else makes one meanwhile.
    Raises as ``Database.writing`` does.
    """
    with database.writing() as connection:
        yield connection, advance(connection, GENERATION)
