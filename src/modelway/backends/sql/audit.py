"""The audit trail: acts of administration, in the order in which they were entered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import select

from modelway.access.keys import Act
from modelway.backends.sql.columns import insert
from modelway.backends.sql.database import Database
from modelway.backends.sql.tables import ACTS
from modelway.domain.errors import InvalidInput

_C = ACTS.c


class SqlAuditTrail:
    """``AuditTrail``; every method raises StoreUnavailable where the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, act: Act) -> None:
        """Enter an act.

        Raises:
            InvalidInput: a value that the store cannot hold.
        """
        with self._database.writing() as connection:
            insert(connection, ACTS, [asdict(act)])

    def acts(self, limit: int, before: datetime | None = None) -> Sequence[Act]:
        """The newest acts, at most ``limit``, or those before a time; the newest first.

        Raises:
            InvalidInput: ``limit`` is negative.
        """
        if limit < 0:
            raise InvalidInput(f"limit: expected 0 or more, got {limit}")
        found = select(ACTS).order_by(_C.at.desc(), _C.number.desc()).limit(limit)
        if before is not None:
            found = found.where(_C.at < before)
        with self._database.reading() as connection:
            return [
                Act(row.actor, row.act, row.subject, row.outcome, row.detail, row.at)
                for row in connection.execute(found)
            ]
