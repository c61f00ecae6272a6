"""What was counted of canaries and shadows, and the latest verdict on each.

A source rewrites its own row and nobody else's, so whatever is written twice is counted once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from modelway.backends.sql.columns import check, insert
from modelway.backends.sql.database import Database
from modelway.backends.sql.generation import counted
from modelway.backends.sql.labels import COUNTER
from modelway.backends.sql.tables import ARMS, VERDICTS
from modelway.domain.errors import Conflict
from modelway.endpoints.trials import PROPOSED, Arm, Judged, Tally

_A, _V = ARMS.c, VERDICTS.c


class SqlTrialStore:
    """``TrialStore``; every method raises StoreUnavailable where the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, trial: str, source: str, tallies: Sequence[Tally], at: datetime) -> None:
        """Rewrite what a source has counted of a trial so far.

        Raises:
            InvalidInput: a name that the store cannot hold.
        """
        mine = and_(_A.trial == trial, _A.source == source)
        row = {"trial": trial, "source": source, "tallies": _json(tallies), "at": at}
        check(ARMS, row)

        def write(connection: Connection) -> None:
            if not connection.execute(update(ARMS).where(mine).values(row)).rowcount:
                insert(connection, ARMS, [row])

        self._write(write)

    def arms(self, trial: str) -> dict[tuple[Arm, str], Tally]:
        """The sums over all sources, by arm and version.

        Raises:
            InvalidInput: sources have counted losses of different kinds.
        """
        rows = select(_A.tallies).where(_A.trial == trial).order_by(_A.source)
        with self._database.reading() as connection:
            documents = connection.scalars(rows).all()
        found: dict[tuple[Arm, str], Tally] = {}
        for document in documents:
            for tally in msgspec.json.decode(document, type=list[Tally]):
                key = (tally.arm, tally.version)
                found[key] = found[key] + tally if key in found else tally
        return found

    def prune(self, keys: Sequence[str], before: datetime) -> int:
        """Forget what was counted in other trials and last before a time; gives how many rows."""
        old = and_(_A.trial.not_in(keys), _A.at < before)
        with self._database.reading() as connection:
            if connection.scalar(select(_A.trial).where(old).limit(1)) is None:
                return 0
        with self._database.writing() as connection:
            return connection.execute(delete(ARMS).where(old)).rowcount

    def keep(self, judged: Judged) -> None:
        """Have a verdict be the latest on its reference, unless the canary is ended or promoted.

        What is noted in its trial stays noted, where it says of nothing else itself.
        """
        row = _verdict_row(judged)
        check(VERDICTS, row)
        mine, goes_on = _is_of(judged), _V.trial == judged.trial
        there = update(VERDICTS)
        if judged.acted:
            changes = [there.where(mine).values(row)]
        else:
            # Two statements: MariaDB takes the new value of one column for the change of the next.
            open_still = and_(mine, goes_on, _V.acted.in_(("", PROPOSED)))
            changes = [
                there.where(open_still).values(judged=row["judged"]),
                there.where(mine, ~goes_on).values(row),
            ]

        def write(connection: Connection) -> None:
            if any(connection.execute(change).rowcount for change in changes):
                return
            if connection.scalar(select(_V.trial).where(mine)) is None:
                insert(connection, VERDICTS, [row])

        self._write(write)

    def claim(self, judged: Judged, acted: str) -> bool:
        """Note that something is done about a verdict; gives whether nobody had noted anything.

        With nothing for ``acted`` the note is taken back.
        """
        mine = and_(_is_of(judged), _V.trial == judged.trial)
        if acted:
            mine = and_(mine, _V.acted == "")
        with self._database.writing() as connection:
            noted = connection.execute(update(VERDICTS).where(mine).values(acted=acted))
            return noted.rowcount == 1

    def judged(self, endpoint: str) -> Sequence[Judged]:
        """The latest verdict on each reference of an endpoint, by reference."""
        rows = select(_V.judged, _V.acted).where(_V.endpoint == endpoint)
        with self._database.reading() as connection:
            found = connection.execute(rows).all()
        judged = [replace(_judged(row.judged), acted=row.acted) for row in found]
        return sorted(judged, key=lambda one: one.reference)

    def labels(self) -> int:
        """A number that grows whenever labels come."""
        with self._database.reading() as connection:
            return counted(connection, COUNTER)

    def _write(self, write: Callable[[Connection], None]) -> None:
        """Write what may be inserted by another at the same moment; then it is there to update."""
        try:
            with self._database.writing() as connection:
                write(connection)
        except Conflict:
            with self._database.writing() as connection:
                write(connection)


def _is_of(judged: Judged) -> ColumnElement[bool]:
    return and_(_V.endpoint == judged.endpoint, _V.reference == judged.reference)


def _verdict_row(judged: Judged) -> dict[str, Any]:
    return {
        "endpoint": judged.endpoint,
        "reference": judged.reference,
        "trial": judged.trial,
        "acted": judged.acted,
        "judged": _json(judged),
    }


def _judged(document: str) -> Judged:
    return msgspec.json.decode(document, type=Judged)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
