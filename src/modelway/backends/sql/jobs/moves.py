"""Changes of a job's state, all made here, and the line in which it stands.

A **lane** says in one number where a job stands in the line of its endpoint: those that may be
leased come first, by priority; behind them those that may be later; then what is leased or done. So
one index gives the next to lease, however many wait and however many have ended. ``due_at`` is when
something happens to a job by itself: its lease runs out, its next attempt may begin, or its time is
over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Row,
    Select,
    String,
    bindparam,
    case,
    func,
    null,
    select,
    update,
)

from modelway.backends.sql.columns import Moment
from modelway.backends.sql.jobs import callbacks
from modelway.backends.sql.tables import JOB_ATTEMPTS, JOBS
from modelway.domain.errors import IllegalTransition
from modelway.domain.jobs import HIGHEST_PRIORITY, TRANSITIONS, JobState

DELAYED = HIGHEST_PRIORITY + 1
"""The lane of those that may be leased later; those before it may be now."""

LANES: Mapping[JobState, int] = {
    JobState.LEASED: DELAYED + 1,
    JobState.FAILED: DELAYED + 2,
    JobState.SUCCEEDED: DELAYED + 3,
    JobState.CANCELLED: DELAYED + 4,
    JobState.EXPIRED: DELAYED + 5,
}

LAPSED = "lapsed"
RETRIED = "retried"
"""What comes of an attempt, beside the states that it may end in."""

_J = JOBS.c
_TOGETHER = 500
"""What is looked up in one statement: all databases take that many parameters."""

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of jobs at a moment.

    ``outcome`` is that of the attempts which it ends. ``values`` are those of further columns, the
    same for all; ``each`` are those of every job, in the same order, where they differ.
    """

    to: JobState
    at: datetime
    outcome: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    each: Sequence[Mapping[str, Any]] = ()


def among(column: ColumnElement[str]) -> ColumnElement[bool]:
    """That a column is one of ``ids``, a parameter of the statement.

    Statements are built once: SQLAlchemy takes longer to build one than SQLite to do it.
    """
    return column.in_(bindparam("ids", expanding=True))


MOVABLE: Select[Any] = select(*(_J.id, _J.state, _J.attempt, _J.tries, _J.expires_at, _J.callback))
"""What ``move`` has to know of jobs."""

_HELD = MOVABLE.where(among(_J.id)).order_by(_J.id).with_for_update()
_CHANGE = update(JOBS).where(among(_J.id))
_CHANGE_ONE = update(JOBS).where(_J.id == bindparam("job"))
_WAITING = {"lane": HIGHEST_PRIORITY - _J.priority, "due_at": _J.expires_at}
_WAKE = _CHANGE.values(_WAITING)
_UNTIL = bindparam("until", type_=Moment)
_LASTING = case((_J.expires_at < _UNTIL, _J.expires_at), else_=_UNTIL)
_PROLONG = _CHANGE.values(leased_until=_LASTING, due_at=_LASTING, rows_done=bindparam("rows"))
_COUNTED = {"attempt": _J.attempt + 1, "tries": _J.tries + 1}
_ALL_ROWS = {"rows_done": func.coalesce(_J.input_rows, 0)}
_BY_ITSELF: Mapping[JobState, Mapping[str, Any]] = {
    JobState.QUEUED: _WAITING,
    JobState.LEASED: _COUNTED,
    JobState.SUCCEEDED: _ALL_ROWS,
}
"""The columns that the database knows, unless the change says them."""


def held(connection: Connection, ids: Sequence[str]) -> dict[str, Row[Any]]:
    """Jobs by their ids, as ``move`` takes them; nobody else changes them in this transaction.

    Those that are not there are passed over.
    """
    found: dict[str, Row[Any]] = {}
    # Always in the same order: two who hold the same jobs would wait for each other.
    for some in portions(sorted(set(ids))):
        found |= {row.id: row for row in connection.execute(_HELD, {"ids": some})}
    return found


def move(connection: Connection, jobs: Sequence[Row[Any]], change: Change) -> None:
    """Have jobs that are held be in another state, and note the attempts which that ends.

    Raises:
        IllegalTransition: the state of one cannot be followed by this.
    """
    for job in jobs:
        if change.to not in TRANSITIONS[JobState(job.state)]:
            raise IllegalTransition(job.id, job.state, change.to)
    if not jobs:
        return
    values = {**_standing(change), **change.values}
    said = {**values, **change.each[0]} if change.each else values
    known = _BY_ITSELF.get(change.to, {})
    silent = {name: value for name, value in known.items() if name not in said}
    if change.each:
        own = [{"job": job.id, **values, **one} for job, one in zip(jobs, change.each, strict=True)]
        connection.execute(_CHANGE_ONE.values(silent), own)
    else:
        for some in portions([job.id for job in jobs]):
            connection.execute(_CHANGE.values(silent), {"ids": some, **values})
    _note_attempts(connection, [job.id for job in jobs if job.state == JobState.LEASED], change)
    if change.to.is_done:
        callbacks.owe(connection, jobs, change.to, change.at)


def prolong(connection: Connection, rows_done: Mapping[str, int], until: datetime) -> None:
    """Have the leases of jobs last until then, and note how many rows of each are answered.

    No lease outlasts the time of its job.
    """
    ids: dict[int, list[str]] = {}
    for id, rows in rows_done.items():
        ids.setdefault(rows, []).append(id)
    for rows, same in ids.items():  # most jobs have a row, and of those none is answered
        for some in portions(same):
            connection.execute(_PROLONG, {"ids": some, "until": until, "rows": rows})


def wake(connection: Connection, ids: Sequence[str]) -> None:
    """Have queued jobs whose time has come be leased."""
    for some in portions(ids):
        connection.execute(_WAKE, {"ids": some})


def _standing(change: Change) -> dict[str, Any]:
    """The columns that a state decides."""
    if change.to is JobState.LEASED:
        return {"state": change.to.value, "lane": LANES[change.to]}
    free = {"state": change.to.value, "leased_until": None}
    if change.to is JobState.QUEUED:
        return {**free, "not_before": change.at, "ended_at": None, "rows_done": 0}
    return {**free, "lane": LANES[change.to], "due_at": None, "ended_at": change.at}


def _noting(*errors: ColumnElement[Any]) -> Insert:
    told = (bindparam("at", type_=Moment), bindparam("outcome", type_=String))
    ended = select(_J.id, _J.attempt, _J.worker, _J.leased_at, *told, *errors)
    columns = ("job", "number", "worker", "started_at", "ended_at", "outcome", "error_code")
    return JOB_ATTEMPTS.insert().from_select((*columns, "error"), ended.where(among(_J.id)))


_NOTE = _noting(null(), null())
_NOTE_ERRORS = _noting(_J.error_code, _J.error)


def _note_attempts(connection: Connection, ids: Sequence[str], change: Change) -> None:
    """Note the attempts that ended, with the errors of those that say one.

    The rows stay in the database: it has all that is to be noted.
    """
    note = _NOTE_ERRORS if change.each else _NOTE
    for some in portions(ids):
        connection.execute(note, {"ids": some, "at": change.at, "outcome": change.outcome})


def portions(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """The items, as many at a time as one statement takes."""
    for start in range(0, len(items), _TOGETHER):
        yield items[start : start + _TOGETHER]
