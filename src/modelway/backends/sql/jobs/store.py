"""Jobs as they stand."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, func, or_, select

from modelway.backends.sql.database import Database
from modelway.backends.sql.jobs import callbacks, payloads
from modelway.backends.sql.jobs.line import position
from modelway.backends.sql.jobs.moves import DELAYED, LANES, Change, among, held, move, portions
from modelway.backends.sql.jobs.outbox import announce
from modelway.backends.sql.jobs.rows import attempt_of, job_of
from modelway.backends.sql.jobs.waiting import notify
from modelway.backends.sql.tables import JOB_ATTEMPTS, JOB_OUTBOX, JOB_PAYLOADS, JOBS
from modelway.domain.errors import IllegalTransition, JobNotFound
from modelway.domain.jobs import Attempt, Job, JobState, Payload
from modelway.jobs.ports import QueueDepth

_J, _A = JOBS.c, JOB_ATTEMPTS.c
_OPEN = select(_J.id).where(among(_J.id), _J.ended_at.is_(None))


class SqlJobStore:
    """``JobStore``, ``JobEnds`` and ``JobErasing``; each method raises StoreUnavailable.

    ``announces`` tells a dispatcher beside the store of each job that may be leased.
    """

    def __init__(self, database: Database, *, announces: bool = False) -> None:
        self._database = database
        self._announces = announces

    def get(self, job_id: str) -> Job:
        """One job, with its position where it is queued.

        Raises:
            JobNotFound: there is none with this id.
        """
        with self._database.reading() as connection:
            row = _row(connection, job_id)
            queued = row.state == JobState.QUEUED
            return job_of(row, _position(connection, row) if queued else None)

    def page(
        self, state: JobState | None, endpoint: str | None, before: str | None, n: int
    ) -> Sequence[Job]:
        """The newest jobs first; those older than the job ``before``.

        Raises:
            JobNotFound: there is no job ``before``, or it is of another endpoint.
        """
        found: list[Row[Any]] = []
        with self._database.reading() as connection:
            last = None if before is None else _row(connection, before)
            if last is not None and endpoint not in (None, last.endpoint):
                raise JobNotFound(last.id)
            for place in _places(state, endpoint):
                rows = select(JOBS).where(place)
                if last is not None:
                    rows = rows.where(_older(last))
                newest = rows.order_by(_J.created_at.desc(), _J.id.desc()).limit(n)
                found += connection.execute(newest).all()
        found.sort(key=lambda row: (row.created_at, row.id), reverse=True)
        return [job_of(row) for row in found[:n]]

    def result(self, job_id: str, most_bytes: int | None = None) -> Payload | None:
        """What a job was answered; None where it was not, or has more than ``most_bytes``."""
        with self._database.reading() as connection:
            found = payloads.found(connection, payloads.RESULT, [job_id], most_bytes)
            return found.get(job_id)

    def attempts(self, job_id: str) -> Sequence[Attempt]:
        """Every lease of a job, in order."""
        ended = select(JOB_ATTEMPTS).where(_A.job == job_id).order_by(_A.number)
        with self._database.reading() as connection:
            attempts = [attempt_of(row) for row in connection.execute(ended)]
            leased = and_(_J.id == job_id, _J.state == JobState.LEASED.value)
            job = connection.execute(select(JOBS).where(leased)).one_or_none()
        if job is not None and len(attempts) < job.attempt:
            attempts.append(Attempt(job.attempt, job.worker, job.leased_at))
        return attempts

    def ended(self, ids: Collection[str]) -> Collection[str]:
        """Those of some jobs that are done."""
        with self._database.reading() as connection:
            open_ = {
                one
                for some in portions(sorted(ids))
                for one in connection.scalars(_OPEN, {"ids": some})
            }
        return set(ids) - open_

    def depths(self) -> Mapping[str, QueueDepth]:
        """How much waits, by endpoint."""
        with self._database.reading() as connection:
            return {name: _depth(connection, name) for name in _endpoints(connection)}

    def retry(self, job_id: str, at: datetime) -> Job:
        """Queue a job that failed or was cancelled again, with as much time as it had at first.

        Raises:
            JobNotFound: there is none with this id.
            IllegalTransition: it is in another state.
        """
        with self._database.writing() as connection:
            job = held(connection, [job_id]).get(job_id)
            if job is None:
                raise JobNotFound(job_id)
            if not JobState(job.state).is_done:
                raise IllegalTransition(job_id, job.state, JobState.QUEUED)
            over = at + timedelta(microseconds=_row(connection, job_id).lives_us)
            values = {
                **{"tries": 0, "expires_at": over, "due_at": over},
                **{"error_code": None, "error": None},
            }
            move(connection, [job], Change(JobState.QUEUED, at, values=values))
            if self._announces:
                announce(connection, [job_id], at)
            else:
                notify(connection)
            callbacks.forget(connection, [job_id], untold=True)  # it has not ended any more
            return job_of(_row(connection, job_id))

    def forget(self, ended_before: datetime, owed_since: datetime) -> int:
        """Remove jobs that ended before a time, with all that belongs to them; gives how many.

        Those that ended since ``owed_since``, and of which somebody is yet to be told, are left.
        """
        forgotten = 0
        for state in (one for one in JobState if one.is_done):
            last: Row[Any] | None = None
            while True:
                with self._database.writing() as connection:
                    some = _ended(connection, state, ended_before, last)
                    ids = _untold(connection, [row.id for row in some], owed_since)
                    _remove(connection, ids)
                forgotten += len(ids)
                if len(some) < _FORGOTTEN:
                    break
                last = some[-1]
        return forgotten

    def erase(self, ids: Collection[str]) -> int:
        """Remove jobs whatever their state, with all that belongs to them; gives how many."""
        erased = 0
        for some in portions(sorted(set(ids))):
            with self._database.writing() as connection:
                # Held first: what a worker writes of one at this moment goes with it.
                there = list(held(connection, some))
                _remove(connection, there)
            erased += len(there)
        return erased


_FORGOTTEN = 1000
"""How many are looked at in one transaction: others want to write meanwhile."""


def _row(connection: Connection, job_id: str) -> Row[Any]:
    row = connection.execute(select(JOBS).where(_J.id == job_id)).one_or_none()
    if row is None:
        raise JobNotFound(job_id)
    return row


def _position(connection: Connection, job: Row[Any]) -> int:
    return position(connection, job.endpoint, job.lane, job.created_at, job.id)


def _places(state: JobState | None, endpoint: str | None) -> Iterator[ColumnElement[bool]]:
    """Where the jobs in a state lie, each place in the order of their age in one index."""
    for one in JobState if state is None else (state,):
        if endpoint is None:
            yield _J.state == one.value
            continue
        queued = range(DELAYED + 1)
        for lane in queued if one is JobState.QUEUED else (LANES[one],):
            yield and_(_J.endpoint == endpoint, _J.lane == lane)


def _older(job: Row[Any]) -> ColumnElement[bool]:
    at = _J.created_at
    return and_(at <= job.created_at, or_(at < job.created_at, _J.id < job.id))


def _endpoints(connection: Connection) -> list[str]:
    """Every endpoint of a job, found one after the other: there are few, and many jobs."""
    names: list[str] = []
    after = select(func.min(_J.endpoint))
    name = connection.scalar(after)
    while name is not None:
        names.append(name)
        name = connection.scalar(after.where(_J.endpoint > name))
    return names


def _depth(connection: Connection, endpoint: str) -> QueueDepth:
    counted = select(_J.lane, func.count().label("n"), func.min(_J.created_at).label("oldest"))
    lines = counted.where(_J.endpoint == endpoint, _J.lane <= LANES[JobState.FAILED])
    rows = connection.execute(lines.group_by(_J.lane)).all()
    lanes = {row.lane: row.n for row in rows}
    waiting = [row for row in rows if row.lane <= DELAYED]
    return QueueDepth(
        endpoint,
        queued=sum(row.n for row in waiting),
        leased=lanes.get(LANES[JobState.LEASED], 0),
        dead=lanes.get(LANES[JobState.FAILED], 0),
        oldest=min((row.oldest for row in waiting), default=None),
    )


def _ended(
    connection: Connection, state: JobState, before: datetime, last: Row[Any] | None
) -> Sequence[Row[Any]]:
    """Some jobs that ended so before a time, held, in the order of the index; behind ``last``."""
    # A job ended after it was handed in: the index by that time finds all of them.
    at = _J.created_at
    ended = and_(at < before, _J.ended_at < before)
    old: Select[Any] = select(_J.id, at).where(_J.state == state.value, ended)
    if last is not None:
        behind = or_(at > last.created_at, _J.id > last.id)
        old = old.where(at >= last.created_at, behind)
    some = old.order_by(at, _J.id).limit(_FORGOTTEN).with_for_update(skip_locked=True)
    return connection.execute(some).all()


def _untold(connection: Connection, ids: Sequence[str], since: datetime) -> list[str]:
    """Those of some jobs of which nobody is to be told any more."""
    owed = {one for some in portions(ids) for one in callbacks.owed(connection, some, since)}
    return [id for id in ids if id not in owed]


def _remove(connection: Connection, ids: Sequence[str]) -> None:
    for some in portions(ids):
        connection.execute(delete(JOB_OUTBOX).where(JOB_OUTBOX.c.job.in_(some)))
        connection.execute(delete(JOB_ATTEMPTS).where(_A.job.in_(some)))
        theirs = JOB_PAYLOADS.c.job.in_(some) & (JOB_PAYLOADS.c.part != payloads.UPLOAD)
        connection.execute(delete(JOB_PAYLOADS).where(theirs))
        callbacks.forget(connection, some)
        connection.execute(delete(JOBS).where(_J.id.in_(some)))
