"""Where jobs stand in the line of their endpoint: 1 for the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Connection, String, bindparam, func, or_, select

from modelway.backends.sql.columns import Moment
from modelway.backends.sql.tables import JOBS
from modelway.domain.jobs import HIGHEST_PRIORITY, NewJob

FARTHEST = 10_000
"""The position of all jobs that are farther back: counting takes too long to be asked often."""

_J = JOBS.c
_LANE = bindparam("lane", type_=BigInteger)
_AT = bindparam("at", type_=Moment)
_OLDER = or_(_J.created_at < _AT, _J.id < bindparam("id", type_=String))
_SAME = select(_J.id).where(_J.endpoint == bindparam("endpoint"))
# Each is one range of the index of the line: nothing behind the job is looked through.
_AHEAD = (
    _SAME.where(_J.lane < _LANE),
    _SAME.where(_J.lane == _LANE, _J.created_at <= _AT, _OLDER),
)
_COUNTS = select(
    *(
        select(func.count()).select_from(one.limit(FARTHEST - 1).subquery()).scalar_subquery()
        for one in _AHEAD
    )
)


def position(
    connection: Connection, endpoint: str, lane: int, created_at: datetime, id: str
) -> int:
    """The position of one; ``FARTHEST`` for each that is farther back."""
    asked = {"endpoint": endpoint, "lane": lane, "at": created_at, "id": id}
    return min(sum(connection.execute(_COUNTS, asked).one()) + 1, FARTHEST)


def positions(connection: Connection, jobs: Sequence[NewJob]) -> Mapping[str, int]:
    """Those of jobs that were written just now, by their ids.

    Of one endpoint and priority the oldest is looked up, and the others are taken to follow it.
    """
    found: dict[str, int] = {}
    first: dict[tuple[str, int], int] = {}
    for job in sorted(jobs, key=lambda one: (one.created_at, one.id)):
        line = (job.endpoint, HIGHEST_PRIORITY - job.priority)
        if line not in first:
            first[line] = position(connection, *line, job.created_at, job.id)
        found[job.id] = min(first[line], FARTHEST)
        first[line] += 1
    return found
