"""Announcements of jobs that may be leased, kept with the change that makes them so.

Where jobs are spread by a broker, a change in the store and a message to the broker cannot be one
act. So the message is a row of the same transaction; whoever has told the broker removes it, and
where he died before, it is told once more.

Source: C. Richardson, "Microservices Patterns", 2018, section 3.3.7 (transactional outbox).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    Insert,
    Integer,
    Row,
    Select,
    String,
    bindparam,
    delete,
    exists,
    literal,
    select,
    true,
    union_all,
    update,
)

from modelway.backends.sql.columns import Moment
from modelway.backends.sql.jobs.moves import DELAYED, among, portions
from modelway.backends.sql.tables import JOB_OUTBOX, JOBS
from modelway.domain.jobs import HIGHEST_PRIORITY, LOWEST_PRIORITY
from modelway.jobs.dispatching import Announcement, Line

_J, _O = JOBS.c, JOB_OUTBOX.c
_COLUMNS = ("job", "endpoint", "priority", "tell_at")
_LINE_AT_ONCE = 10_000
"""How many of a line are announced again at a time."""

_TOLD_AT = bindparam("at", type_=Moment)
_LEASABLE = select(_J.id, _J.endpoint, _J.priority, _TOLD_AT).where(_J.lane < DELAYED)
_IN_ORDER = (_J.created_at, _J.id)


def _announcing(jobs: Select[Any]) -> Insert:
    added = JOB_OUTBOX.insert().from_select(_COLUMNS, jobs.order_by(*_IN_ORDER))
    return added.execution_options(preserve_rowcount=True)


_ANNOUNCE = _announcing(_LEASABLE.where(among(_J.id)))
_ANNOUNCE_LINE = _announcing(
    _LEASABLE.where(
        *(_J.endpoint == bindparam("endpoint"), _J.lane == bindparam("lane")),
        _J.not_before <= bindparam("since"),
        ~exists().where(_O.job == _J.id),
    ).limit(_LINE_AT_ONCE)
)
_ANNOUNCEMENTS: Select[Any] = select(_O.number, _O.job, _O.endpoint, _O.priority)
_OF_JOBS = _ANNOUNCEMENTS.where(among(_O.job)).order_by(_O.number)
_DUE = _ANNOUNCEMENTS.where(_O.tell_at <= bindparam("at"))
_SOME = (
    _DUE.order_by(_O.tell_at, _O.number)
    .limit(bindparam("n", type_=Integer))
    .with_for_update(skip_locked=True)
)
_ANY = _DUE.limit(1)
_THESE = _O.number.in_(bindparam("numbers", expanding=True))
_HOLD = update(JOB_OUTBOX).where(_THESE)
_TOLD = delete(JOB_OUTBOX).where(_THESE)


def announce(connection: Connection, ids: Sequence[str], at: datetime) -> int:
    """Announce those of some jobs that may be leased now; gives how many."""
    asked = ({"ids": some, "at": at} for some in portions(ids))
    return sum(connection.execute(_ANNOUNCE, one).rowcount for one in asked)


def of_jobs(connection: Connection, ids: Sequence[str]) -> list[Announcement]:
    """The announcements of jobs."""
    asked = ({"ids": some} for some in portions(ids))
    return [_announcement(row) for one in asked for row in connection.execute(_OF_JOBS, one)]


def announce_line(connection: Connection, line: Line, since: datetime, at: datetime) -> int:
    """Announce jobs of a line that might be leased since then, and are not announced."""
    lane = HIGHEST_PRIORITY - line.priority
    asked = {"endpoint": line.endpoint, "lane": lane, "since": since, "at": at}
    return connection.execute(_ANNOUNCE_LINE, asked).rowcount


def is_to_be_told(connection: Connection, at: datetime) -> bool:
    """Whether there is an announcement that nobody is telling."""
    return connection.execute(_ANY, {"at": at}).first() is not None


def to_be_told(connection: Connection, n: int, at: datetime, held_s: float) -> list[Announcement]:
    """The oldest announcements that nobody is telling; nobody else is given them for so long."""
    rows = connection.execute(_SOME, {"n": n, "at": at}).all()
    until = at + timedelta(seconds=held_s)
    for some in portions([row.number for row in rows]):
        connection.execute(_HOLD, {"numbers": some, "tell_at": until})
    return [_announcement(row) for row in rows]


def _announcement(row: Row[Any]) -> Announcement:
    return Announcement(row.number, row.job, Line(row.endpoint, row.priority))


def told(connection: Connection, numbers: Collection[int]) -> None:
    """Remove announcements."""
    for some in portions(list(numbers)):
        connection.execute(_TOLD, {"numbers": some})


def lines(connection: Connection, endpoints: Sequence[str], since: datetime | None) -> list[Line]:
    """The lines of endpoints in which a job may be leased, and might be since then."""
    found: list[Line] = []
    for some in portions(endpoints):
        asked: dict[str, Any] = {f"endpoint_{n}": one for n, one in enumerate(some)}
        if since is not None:
            asked["since"] = since
        rows = connection.execute(_lines_of(len(some), since is not None), asked)
        found += [Line(row.endpoint, HIGHEST_PRIORITY - row.lane) for row in rows]
    return found


@cache
def _lines_of(n: int, is_old: bool) -> Select[Any]:
    """One look at an index for each lane of ``n`` endpoints; what is behind is not looked at."""
    named = [bindparam(f"endpoint_{k}", type_=String) for k in range(n)]
    asked = union_all(*(select(one.label("endpoint")) for one in named)).cte("asked")
    all_lanes = range(HIGHEST_PRIORITY - LOWEST_PRIORITY + 1)
    lanes = union_all(*(select(literal(one).label("lane")) for one in all_lanes)).cte("lanes")
    waits = select(_J.id).where(_J.endpoint == asked.c.endpoint, _J.lane == lanes.c.lane)
    if is_old:
        waits = waits.where(_J.not_before <= bindparam("since", type_=Moment))
    each = asked.join(lanes, true())
    return select(asked.c.endpoint, lanes.c.lane).select_from(each).where(waits.exists())
