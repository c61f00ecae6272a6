"""Schedules on an SQL database: a run is entered by the transaction that moves its schedule on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, select, update

from modelway.backends.sql.columns import insert
from modelway.backends.sql.database import Database
from modelway.backends.sql.tables import SCHEDULE_RUNS, SCHEDULES
from modelway.batch.schedules import KEPT_RUNS, Ended, RunState, Schedule, ScheduledRun, Tally
from modelway.domain.errors import Conflict, ScheduleNotFound

_S, _R = SCHEDULES.c, SCHEDULE_RUNS.c
_UNDER_WAY = _R.state == RunState.RUNNING.value


class SqlSchedules:
    """``Schedules``; every method raises StoreUnavailable where the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, schedule: Schedule) -> None:
        """Keep a schedule. Raises Conflict, InvalidInput."""
        row = {**asdict(schedule), "arguments": msgspec.json.encode(schedule.arguments).decode()}
        with self._database.writing() as connection:
            same = select(_S.name).where(_S.name == schedule.name)
            if connection.execute(same).first() is not None:
                raise Conflict(
                    f"there is a schedule {schedule.name!r} already",
                    hint="give another --name, or remove it first: modelway schedule remove",
                )
            insert(connection, SCHEDULES, [row])

    def get(self, name: str) -> Schedule:
        """One schedule. Raises ScheduleNotFound."""
        with self._database.reading() as connection:
            row = connection.execute(select(SCHEDULES).where(_S.name == name)).one_or_none()
        if row is None:
            raise ScheduleNotFound(name)
        return _schedule(row._mapping)

    def all(self) -> Sequence[Schedule]:
        """Every schedule, in the order of their names."""
        with self._database.reading() as connection:
            rows = connection.execute(select(SCHEDULES).order_by(_S.name))
            return [_schedule(row._mapping) for row in rows]

    def remove(self, name: str) -> None:
        """Forget a schedule and its runs. Raises ScheduleNotFound."""
        with self._database.writing() as connection:
            gone = connection.execute(delete(SCHEDULES).where(_S.name == name)).rowcount
            connection.execute(delete(SCHEDULE_RUNS).where(_R.schedule == name))
        if not gone:
            raise ScheduleNotFound(name)

    def runs(self, name: str, n: int) -> Sequence[ScheduledRun]:
        """Some runs of a schedule, the latest due first."""
        theirs = select(SCHEDULE_RUNS).where(_R.schedule == name)
        with self._database.reading() as connection:
            rows = connection.execute(theirs.order_by(_R.due_at.desc()).limit(n))
            return [_run(row) for row in rows]

    def tallies(self, home: str) -> Mapping[str, Tally]:
        """The runs of each schedule of a home in numbers."""
        counted = select(
            _S.name,
            _R.state,
            func.sum(_R.dues).label("n"),
            func.max(_R.ended_at).label("last"),
        )
        joined = counted.outerjoin_from(SCHEDULES, SCHEDULE_RUNS, _R.schedule == _S.name)
        lines = joined.where(_S.home == home).group_by(_S.name, _R.state)
        with self._database.reading() as connection:
            rows = connection.execute(lines.order_by(_S.name)).all()
        return {name: _tally(list(some)) for name, some in groupby(rows, lambda row: row.name)}


class SqlScheduleRuns:
    """``ScheduleRuns``; every method raises StoreUnavailable where the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, home: str, at: datetime) -> Sequence[Schedule]:
        """The schedules of a home that are due, the longest first."""
        due = select(SCHEDULES).where(_S.home == home, _S.next_due <= at)
        with self._database.reading() as connection:
            rows = connection.execute(due.order_by(_S.next_due, _S.name))
            return [_schedule(row._mapping) for row in rows]

    def under_way(self, home: str) -> Sequence[tuple[Schedule, ScheduledRun]]:
        """The runs of a home that have not ended."""
        schedules = {one.name: one for one in self._of(home)}
        runs = select(SCHEDULE_RUNS).where(_UNDER_WAY).order_by(_R.due_at, _R.schedule)
        with self._database.reading() as connection:
            found = [_run(row) for row in connection.execute(runs)]
        return [(schedules[run.schedule], run) for run in found if run.schedule in schedules]

    def enter(self, schedule: Schedule, run: ScheduledRun, next_due: datetime) -> bool:
        """Add a run and move its schedule on. Raises InvalidInput."""
        as_it_was = and_(
            _S.name == schedule.name,
            _S.next_due == schedule.next_due,
            _S.created_at == schedule.created_at,
        )
        moved = update(SCHEDULES).where(as_it_was).values(next_due=next_due)
        with self._database.writing() as connection:
            if not connection.execute(moved).rowcount:
                return False
            insert(connection, SCHEDULE_RUNS, [{**asdict(run), "state": run.state.value}])
            _forget_old(connection, run.schedule)
        return True

    def take(
        self, run: ScheduledRun, host: str, at: datetime, until: datetime
    ) -> ScheduledRun | None:
        """Take a run over whose lease ran out."""
        taken = replace(run, attempt=run.attempt + 1, tries=run.tries + 1, host=host, until=until)
        values = {
            "attempt": taken.attempt,
            "tries": taken.tries,
            "host": host,
            "until": until,
        }
        lapsed = _is_of(run) & (_R.until <= at)
        return taken if self._changed(lapsed, values) else None

    def extend(self, run: ScheduledRun, until: datetime) -> bool:
        """Keep a lease for longer."""
        return self._changed(_is_of(run), {"until": until})

    def give_back(self, run: ScheduledRun, at: datetime, *, counts: bool) -> bool:
        """Leave a run to whoever comes next."""
        return self._changed(
            _is_of(run), {"until": at, "tries": _R.tries if counts else _R.tries - 1}
        )

    def end(self, run: ScheduledRun, ended: Ended) -> bool:
        """Have a run have ended."""
        values = {
            "state": ended.state.value,
            "until": None,
            "ended_at": ended.at,
            "exit_code": ended.exit_code,
            "detail": _kept(ended.detail),
        }
        return self._changed(_is_of(run), values)

    def _of(self, home: str) -> Sequence[Schedule]:
        with self._database.reading() as connection:
            rows = connection.execute(select(SCHEDULES).where(_S.home == home))
            return [_schedule(row._mapping) for row in rows]

    def _changed(self, those: ColumnElement[bool], values: dict[str, Any]) -> bool:
        with self._database.writing() as connection:
            return bool(
                connection.execute(update(SCHEDULE_RUNS).where(those).values(values)).rowcount
            )


def _is_of(run: ScheduledRun) -> ColumnElement[bool]:
    """Whether a row is the attempt under way that ``run`` says."""
    return and_(
        _R.schedule == run.schedule,
        _R.due_at == run.due_at,
        _R.attempt == run.attempt,
        _UNDER_WAY,
    )


def _forget_old(connection: Connection, schedule: str) -> None:
    theirs = _R.schedule == schedule
    kept = select(_R.due_at).where(theirs).order_by(_R.due_at.desc())
    oldest = connection.execute(kept.offset(KEPT_RUNS).limit(1)).scalar_one_or_none()
    if oldest is not None:
        # Whoever waits for a success is to know since when, however often it failed since.
        succeeded = select(func.max(_R.due_at)).where(theirs, _R.state == RunState.SUCCEEDED.value)
        last = connection.execute(succeeded).scalar_one_or_none()
        old = delete(SCHEDULE_RUNS).where(
            theirs, _R.due_at <= oldest, ~_UNDER_WAY, _R.due_at != last
        )
        connection.execute(old)


def _kept(detail: str) -> str:
    """What a process said, as every database can hold it."""
    return detail.encode(errors="backslashreplace").decode().replace("\x00", " ")


def _schedule(row: Any) -> Schedule:
    arguments = msgspec.json.decode(row["arguments"], type=tuple[str, ...])
    return Schedule(**{**row, "arguments": arguments})


def _tally(rows: Sequence[Any]) -> Tally:
    """What the lines of a schedule say, one a state; one without runs has a line with none."""
    runs = {RunState(row.state): int(row.n) for row in rows if row.state is not None}
    last = {RunState(row.state): row.last for row in rows if row.last is not None}
    return Tally(runs, last)


def _run(row: Row[Any]) -> ScheduledRun:
    return ScheduledRun(**{**row._mapping, "state": RunState(row.state)})
