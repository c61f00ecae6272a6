"""Which jobs come next, and what happens to jobs by itself.

Nothing runs beside the queue: each lease first sees to what is due, which one look at an index
finds. Workers that lease at the same moment pass over each other's jobs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, String, bindparam, func, select, union_all, update
from sqlalchemy.exc import IntegrityError

from modelway.backends.sql.jobs import payloads
from modelway.backends.sql.jobs.moves import (
    DELAYED,
    LAPSED,
    MOVABLE,
    Change,
    among,
    move,
    portions,
    wake,
)
from modelway.backends.sql.jobs.outbox import announce
from modelway.backends.sql.tables import JOB_TURNS, JOBS
from modelway.domain.errors import WorkerDied
from modelway.domain.jobs import ALONE_FROM, JobState
from modelway.jobs.dispatching import Claimed
from modelway.jobs.ports import Leased

AT_ONCE = 1000
"""How many jobs that are due a lease sees to."""

_J, _T = JOBS.c, JOB_TURNS.c
_DIED = {"error_code": WorkerDied.code, "error": "its worker was not heard of any more"}
_DUE = (
    MOVABLE.where(_J.due_at <= bindparam("at"))
    .order_by(_J.due_at)
    .limit(AT_ONCE)
    .with_for_update(skip_locked=True)
)
_LEASABLE = (
    MOVABLE.add_columns(
        *(_J.endpoint, _J.version, _J.principal, _J.input_bytes, _J.result_type),
        *(_J.lane, _J.created_at, _J.error_code),
    )
    .where(_J.lane < DELAYED)
    .order_by(_J.lane, _J.created_at, _J.id)
    .with_for_update(skip_locked=True)
)
_LINE = _LEASABLE.where(_J.endpoint == bindparam("endpoint")).limit(bindparam("n"))
_CLAIM = _LEASABLE.where(among(_J.id))
_NEXT_DUE = select(_J.due_at).where(_J.due_at.is_not(None)).order_by(_J.due_at).limit(1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a worker would take: of an endpoint at most so many jobs, with at most ``n_bytes``."""

    jobs: Mapping[str, int]
    n_bytes: int
    worker: str
    lease_s: float


@dataclass(frozen=True, slots=True)
class Head:
    """The next job of an endpoint is in this lane; ``turn`` is None where it never had one."""

    endpoint: str
    lane: int
    turn: int | None


def take(connection: Connection, wanted: Wanted, at: datetime) -> list[Leased]:
    """Lease the next jobs of the endpoint whose turn it is; none where there are none."""
    for endpoint in _in_turn(connection, heads(connection, sorted(wanted.jobs))):
        jobs = _chosen(connection, endpoint, wanted, at)
        if jobs:
            return _leased(connection, jobs, wanted, at)
    return []


def claim(connection: Connection, ids: Sequence[str], wanted: Wanted, at: datetime) -> Claimed:
    """Lease those of some jobs of one endpoint that may be leased now, as ``take`` would."""
    found = [job for some in portions(ids) for job in connection.execute(_CLAIM, {"ids": some})]
    found.sort(key=lambda job: (job.lane, job.created_at, job.id))
    chosen = _within(found, wanted.n_bytes, at)
    leased = _leased(connection, chosen, wanted, at) if chosen else []
    taken = {job.id for job in chosen}
    return Claimed(leased, {job.id for job in found if job.expires_at > at} - taken)


def tend(connection: Connection, at: datetime, *, announces: bool = False) -> int:
    """See to what is due; gives of how many jobs, at most ``AT_ONCE``.

    ``announces`` tells a dispatcher beside the store of those that may be leased by that.
    """
    jobs = connection.execute(_DUE, {"at": at}).all()
    over = [job for job in jobs if job.expires_at <= at]
    goes_on = [job for job in jobs if job.expires_at > at]
    lapsed = [job for job in goes_on if job.state == JobState.LEASED]
    move(connection, over, Change(JobState.EXPIRED, at, JobState.EXPIRED.value))
    move(connection, lapsed, Change(JobState.QUEUED, at, LAPSED, _DIED))
    wake(connection, [job.id for job in goes_on if job.state == JobState.QUEUED])
    if announces:
        announce(connection, [job.id for job in goes_on], at)
    return len(jobs)


def heads(connection: Connection, endpoints: Sequence[str]) -> list[Head]:
    """Where the next job of each endpoint is, of those that have one to be leased now."""
    found: list[Head] = []
    for some in portions(endpoints):
        asked = {f"endpoint_{n}": one for n, one in enumerate(some)}
        for endpoint, lane, turn in connection.execute(_heads_of(len(some)), asked):
            if lane is not None and lane < DELAYED:
                found.append(Head(endpoint, lane, turn))
    return found


@cache
def _heads_of(n: int) -> Select[Any]:
    """What each of ``n`` endpoints has in its first lane; the jobs behind it are not looked at."""
    named = [bindparam(f"endpoint_{k}", type_=String) for k in range(n)]
    asked = union_all(*(select(one.label("endpoint")) for one in named)).cte("asked")
    line = select(_J.lane).where(_J.endpoint == asked.c.endpoint).order_by(_J.lane).limit(1)
    turns = asked.outerjoin(JOB_TURNS, _T.endpoint == asked.c.endpoint)
    return select(asked.c.endpoint, line.scalar_subquery(), _T.turn).select_from(turns)


def next_due(connection: Connection) -> datetime | None:
    """When something happens to a job by itself next."""
    return connection.scalar(_NEXT_DUE)


def _in_turn(connection: Connection, found: Sequence[Head]) -> Iterator[str]:
    """The endpoints with jobs of the highest priority, first that whose turn it is; then others.

    Whose turn it is only counts where several have such jobs. An endpoint from which another worker
    takes at this moment is having its turn.
    """
    ordered = sorted(found, key=lambda one: (one.lane, one.turn or 0, one.endpoint))
    best = [one for one in ordered if one.lane == ordered[0].lane]
    first = _turn_of(connection, best) if len(best) > 1 else None
    if first is not None:
        yield first
    for one in ordered:
        if one.endpoint != first:
            yield one.endpoint


def _turn_of(connection: Connection, best: Sequence[Head]) -> str | None:
    for one in best:
        if one.turn is None:
            _have_turns(connection, one.endpoint)
    those = _T.endpoint.in_([one.endpoint for one in best])
    free = select(_T.endpoint).where(those).order_by(_T.turn, _T.endpoint).limit(1)
    endpoint = connection.scalar(free.with_for_update(skip_locked=True))
    if endpoint is not None:
        last = connection.scalar(select(func.max(_T.turn)).where(those)) or 0
        mine = update(JOB_TURNS).where(_T.endpoint == endpoint)
        connection.execute(mine.values(turn=last + 1))
    return endpoint


def _have_turns(connection: Connection, endpoint: str) -> None:
    try:
        with connection.begin_nested():
            connection.execute(JOB_TURNS.insert(), {"endpoint": endpoint, "turn": 0})
    except IntegrityError:
        return  # another worker has done so at the same moment


def _chosen(
    connection: Connection, endpoint: str, wanted: Wanted, at: datetime
) -> Sequence[Row[Any]]:
    """The next jobs of an endpoint whose time is not over, as ``move`` takes them."""
    line = connection.execute(_LINE, {"endpoint": endpoint, "n": wanted.jobs[endpoint]})
    return _within(line, wanted.n_bytes, at)


def _within(jobs: Iterable[Row[Any]], most_bytes: int, at: datetime) -> Sequence[Row[Any]]:
    """The first of some jobs whose time is not over: as many as have so many bytes, or one.

    One that is to be alone has no others with it.
    """
    chosen: list[Row[Any]] = []
    n_bytes = 0
    for job in jobs:
        if job.expires_at <= at:
            continue
        if job.tries + 1 >= ALONE_FROM:
            if not chosen:
                return [job]
            continue
        n_bytes += job.input_bytes
        if chosen and n_bytes > most_bytes:
            break
        chosen.append(job)
    return chosen


def _leased(
    connection: Connection, jobs: Sequence[Row[Any]], wanted: Wanted, at: datetime
) -> list[Leased]:
    until = at + timedelta(seconds=wanted.lease_s)
    values = {
        "worker": wanted.worker,
        "leased_at": at,
        "leased_until": until,
        "due_at": until,
    }
    move(connection, jobs, Change(JobState.LEASED, at, values=values))
    inputs = payloads.found(connection, payloads.INPUT, [job.id for job in jobs])
    return [
        Leased(
            *(job.id, job.endpoint, job.version, job.principal, inputs[job.id], job.result_type),
            token=job.attempt + 1,
            until=until,
            expires_at=job.expires_at,
            tries=job.tries + 1,
            alone=job.tries + 1 >= ALONE_FROM and job.error_code == WorkerDied.code,
        )
        for job in jobs
    ]
