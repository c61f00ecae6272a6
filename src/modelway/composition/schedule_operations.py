"""Operations on schedules: which there are, what became of their runs, and their removal.

Adding one is none of them: a schedule reads and writes files of this machine as whoever runs the
home, and a key of the administration opens no file (``adding_schedules.py``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import msgspec

from modelway.batch.cron import Cron
from modelway.batch.schedules import KEPT_RUNS, RunState, Schedule, ScheduledRun
from modelway.batch.timekeeping import GRACE
from modelway.composition.control import Control, now
from modelway.composition.model_operations import Nothing
from modelway.composition.operations import Operation
from modelway.domain.addresses import without_secrets
from modelway.domain.errors import InvalidInput

_ASSIGNED = re.compile(r"(--[a-z-]+=)?(.*)", re.DOTALL)


class OfSchedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A schedule, by its name."""

    name: str


class ShownSchedule(msgspec.Struct, frozen=True):
    """A schedule as it stands, its times on the clocks of its zone.

    ``arguments`` have no passwords. ``last`` is what became of the latest run that was begun,
    ``missed`` how many dues were missed, as far as runs are kept, and ``last_missed`` the first of
    those that were last. ``trouble`` is why it may not be run.
    """

    name: str
    cron: str
    zone: str
    next_due: datetime
    last: str | None
    last_due: datetime | None
    missed: int
    last_missed: datetime | None
    trouble: str | None
    arguments: Sequence[str]
    folder: str
    host: str
    created_at: datetime
    created_by: str


class ShownRuns(msgspec.Struct, frozen=True):
    """A schedule with its runs, the latest first."""

    schedule: ShownSchedule
    runs: Sequence[ScheduledRun]


def _list(control: Control, _: Nothing, __: str) -> Sequence[ShownSchedule]:
    return shown_schedules(control)


def _show(control: Control, of: OfSchedule, _: str) -> ShownRuns:
    schedule = control.store.schedules.get(of.name)
    runs = control.store.schedules.runs(of.name, KEPT_RUNS)
    return ShownRuns(shown_schedule(schedule, runs), [_shown_run(schedule, one) for one in runs])


def _remove(control: Control, of: OfSchedule, _: str) -> OfSchedule:
    control.store.schedules.remove(of.name)
    return of


def shown_schedules(control: Control) -> Sequence[ShownSchedule]:
    """Every schedule as it stands. Raises StoreUnavailable."""
    schedules = control.store.schedules
    return [shown_schedule(one, schedules.runs(one.name, KEPT_RUNS)) for one in schedules.all()]


def shown_schedule(schedule: Schedule, runs: Sequence[ScheduledRun]) -> ShownSchedule:
    """A schedule as it stands, by its runs, the latest first."""
    begun = next((one for one in runs if one.state is not RunState.MISSED), None)
    missed = [one for one in runs if one.state is RunState.MISSED]
    return ShownSchedule(
        name=schedule.name,
        cron=schedule.cron,
        zone=schedule.zone,
        next_due=_local(schedule, schedule.next_due),
        last=None if begun is None else begun.state.value,
        last_due=None if begun is None else _local(schedule, begun.due_at),
        missed=sum(one.dues for one in missed),
        last_missed=_local(schedule, missed[0].due_at) if missed else None,
        trouble=_trouble(schedule),
        arguments=[_without_password(one) for one in schedule.arguments],
        folder=schedule.folder,
        host=schedule.host,
        created_at=_local(schedule, schedule.created_at),
        created_by=schedule.created_by,
    )


def _shown_run(schedule: Schedule, run: ScheduledRun) -> ScheduledRun:
    """A run with its times on the clocks of its schedule."""
    return replace(
        run,
        due_at=_local(schedule, run.due_at),
        started_at=_local(schedule, run.started_at),
        until=None if run.until is None else _local(schedule, run.until),
        ended_at=None if run.ended_at is None else _local(schedule, run.ended_at),
    )


def _local(schedule: Schedule, at: datetime) -> datetime:
    """A time on the clocks of a schedule, as far as this machine knows its zone."""
    try:
        return Cron(schedule.cron, schedule.zone).local(at)
    except InvalidInput:
        return at


def _trouble(schedule: Schedule) -> str | None:
    if schedule.next_due > now() - GRACE:
        return None
    return f"nobody has looked since it was due: does modelway up run on {schedule.host}?"


def _without_password(word: str) -> str:
    """A word for everyone: of the URL of a table, only what says which one."""
    found = _ASSIGNED.fullmatch(word)
    if "://" not in word or found is None:
        return word
    option, url = found[1] or "", found[2]
    tables = parse_qs(urlsplit(url).query).get("table", ())
    return option + without_secrets(url) + "".join(f"?table={one}" for one in tables[:1])


LIST = Operation("GET", "/schedules", Nothing, _list)
SHOW = Operation("GET", "/schedules/{name}", OfSchedule, _show)
REMOVE = Operation("DELETE", "/schedules/{name}", OfSchedule, _remove, "schedule.remove")

SCHEDULE_OPERATIONS = (LIST, SHOW, REMOVE)
