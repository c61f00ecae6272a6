"""Callbacks on an SQL database: owed by the transaction in which a job ends."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    func,
    not_,
    or_,
    select,
    update,
)

from modelway.backends.sql.columns import insert
from modelway.backends.sql.database import Database
from modelway.backends.sql.tables import JOB_CALLBACKS
from modelway.domain.jobs import JobState
from modelway.jobs.callbacks import Callback

_C = JOB_CALLBACKS.c
_OWED = select(_C.job).where(
    _C.job.in_(bindparam("jobs", expanding=True)),
    _C.due_at.is_not(None),
    _C.made_at >= bindparam("since"),
)
_ERROR_CHARACTERS = 1000


def owe(connection: Connection, jobs: Sequence[Row[Any]], state: JobState, at: datetime) -> None:
    """Have those who asked for it be told that jobs have ended so; ``jobs`` say whom."""
    rows = [
        {
            "id": f"msg_{uuid.uuid4().hex}",
            "job": job.id,
            "url": job.callback,
            "state": state.value,
            "made_at": at,
            "due_at": at,
            "tries": 0,
            "told": False,
        }
        for job in jobs
        if job.callback is not None
    ]
    insert(connection, JOB_CALLBACKS, rows)


def owed(connection: Connection, jobs: Sequence[str], since: datetime) -> set[str]:
    """Those of some jobs whose end, which was then or later, somebody is yet to be told of."""
    return set(connection.scalars(_OWED, {"jobs": jobs, "since": since}))


def forget(connection: Connection, jobs: Sequence[str], *, untold: bool = False) -> None:
    """Remove the callbacks of jobs, or only those that nobody was told of yet."""
    those = delete(JOB_CALLBACKS).where(_C.job.in_(jobs))
    connection.execute(those.where(_C.due_at.is_not(None)) if untold else those)


class SqlCallbacks:
    """``Callbacks``; every method raises StoreUnavailable where the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(
        self, n: int, at: datetime, lease_s: float, but: Sequence[str] = ()
    ) -> Sequence[Callback]:
        """Some that are due, leased; none where there are none, for which nothing is written."""
        due = and_(_C.due_at <= at, *(not_(_is_of(origin)) for origin in but))
        next_ones = select(JOB_CALLBACKS).where(due).order_by(_C.due_at).limit(n)
        with self._database.reading() as connection:
            if connection.execute(select(_C.id).where(due).limit(1)).first() is None:
                return []
        with self._database.writing() as connection:
            rows = connection.execute(next_ones.with_for_update(skip_locked=True)).all()
            leased = {"due_at": at + timedelta(seconds=lease_s), "tries": _C.tries + 1}
            ids = [row.id for row in rows]
            connection.execute(update(JOB_CALLBACKS).where(_C.id.in_(ids)).values(leased))
        return [_callback(row, row.tries + 1) for row in rows]

    def settle(self, callback: Callback, error: str | None, next_at: datetime | None) -> None:
        """What came of one that was taken, unless another has taken it since."""
        mine = (_C.id == callback.id) & (_C.tries == callback.tries)
        said = None if error is None else error.replace("\x00", " ")[:_ERROR_CHARACTERS]
        values = {"due_at": next_at, "told": error is None, "error": said}
        with self._database.writing() as connection:
            connection.execute(update(JOB_CALLBACKS).where(mine).values(values))

    def callbacks(self, job_id: str) -> Sequence[Callback]:
        """Those of a job, the oldest first."""
        rows = select(JOB_CALLBACKS).where(_C.job == job_id).order_by(_C.made_at, _C.id)
        with self._database.reading() as connection:
            return [_callback(row, row.tries) for row in connection.execute(rows)]


def _is_of(origin: str) -> ColumnElement[bool]:
    """Whether the URL has an origin, which a path or a query may follow."""
    url = func.lower(_C.url)
    return or_(url == origin, *(url.startswith(origin + end, autoescape=True) for end in "/?"))


def _callback(row: Row[Any], tries: int) -> Callback:
    return Callback(
        *(row.id, row.job, row.url, JobState(row.state), row.made_at, tries),
        next_at=row.due_at,
        told=row.told,
        error=row.error,
    )
