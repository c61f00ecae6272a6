"""Schedules as they are added: checked now as far as they can be, kept in the store of the home."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from modelway.access.auditing import Audited
from modelway.batch.cron import Cron, cron_of
from modelway.batch.placeholders import filled
from modelway.batch.schedules import Schedule
from modelway.composition.batch_places import TABLE, inputs_of
from modelway.composition.batch_scoring import ScoreRequest
from modelway.composition.control import Control, now
from modelway.composition.operating import Target, user
from modelway.composition.referring import reference_in
from modelway.composition.schedule_operations import ShownSchedule, shown_schedule
from modelway.domain.errors import InvalidInput, ModelwayError
from modelway.domain.names import check_name

Read = Callable[[Sequence[str]], ScoreRequest]
"""What words of ``modelway batch`` ask for; raises where they are none."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be run when; ``is_own`` is whether the next runs have each an output of its own,
    or bring a table up to date. ``lacking`` is why the next run could do nothing as things are
    now."""

    name: str
    cron: Cron
    arguments: tuple[str, ...]
    folder: Path
    next_due: datetime
    is_own: bool
    lacking: tuple[str, ...] = ()


def wanted(
    expression: str, zone: str, name: str | None, arguments: Sequence[str], read: Read
) -> Wanted:
    """What is asked for in this folder, checked as far as it can be before it is run.

    Without a name it is called as its model is.

    Raises:
        InvalidInput: the expression, the zone, a placeholder or an option cannot be meant.
        InvalidName, UnsupportedMedia, BadValue, MissingExtra: as the command raises them.
    """
    cron = cron_of(expression, zone, now())
    next_due = cron.after(now())
    request = read(filled(arguments, cron.local(next_due)))
    if request.resume or request.receipt is not None:
        raise InvalidInput(
            "--resume is not for a schedule: what was ended is gone on with by itself"
        )
    is_table = request.target.form == TABLE
    if is_table and request.id_column is None:
        raise InvalidInput("an output table needs --id-column")
    later = read(filled(arguments, cron.local(cron.after(next_due))))
    called = name or _UNSAFE.sub("-", Path(request.model).name).strip("-._") or "batch"
    return Wanted(
        check_name(called),
        cron,
        tuple(arguments),
        Path.cwd(),
        next_due,
        is_own=is_table or later.output != request.output,
        lacking=tuple(_lacking(request, later)),
    )


def _lacking(request: ScoreRequest, later: ScoreRequest) -> Iterator[str]:
    """What is not here, as far as files tell; an input of the day may come with its day."""
    try:
        if not Path(request.model).exists() and reference_in(request.model) is None:
            yield f"there is no model at {request.model}, and it is no reference"
    except ModelwayError as error:
        yield error.message
    if later.source != request.source:
        return
    try:
        inputs_of(request.source, request.target)
    except ModelwayError as error:
        yield error.message


def add(target: Target, of: Wanted) -> ShownSchedule:
    """Keep a schedule in the home that is here.

    Raises:
        InvalidInput: it would be in another home.
        Conflict: there is one of its name.
        StoreUnavailable: the store cannot be reached.
    """
    if target.server:
        raise InvalidInput(
            "a schedule is added where its home is: it reads and writes files there",
            hint="leave out --server, on that machine",
        )
    with Control(target.settings) as control:
        schedule = Schedule(
            name=of.name,
            cron=of.cron.expression,
            zone=of.cron.zone,
            arguments=of.arguments,
            folder=str(of.folder),
            home=control.home.id,
            host=socket.gethostname()[:255],
            created_at=now(),
            created_by=user(),
            next_due=of.next_due,
        )
        shown = shown_schedule(schedule, ())
        detail = {"cron": shown.cron, "zone": shown.zone, "folder": shown.folder}
        said = {**detail, "arguments": shown.arguments}
        with Audited(control.store.audit, now).act(user(), "schedule.add", of.name, said):
            control.store.schedules.add(schedule)
        return shown
