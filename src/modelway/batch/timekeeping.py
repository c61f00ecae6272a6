"""Runs what is due, once each: whoever moves a schedule on in the store is the one that runs it.

It is looked at every second. What was due longer ago than ``GRACE``, since nobody looked, is not
run late: it is entered as missed, all of it as one run, and so is what comes due while the run
before still runs. A run that somebody else has left, as its lease ran out, is gone on with.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from modelway.batch.cron import MOST_COUNTED, Cron
from modelway.batch.schedules import (
    DETAIL_CHARACTERS,
    Ended,
    RunState,
    Schedule,
    ScheduledRun,
    ScheduleRuns,
)
from modelway.domain.errors import ModelwayError, StoreUnavailable

GRACE = timedelta(seconds=60)
"""The finest step of cron: what is begun within it is begun before the next due, and a service that
is started again takes less."""

LEASE = timedelta(seconds=30)
"""Longer than a run that lost its starter takes to end (``supervisor/attached.py``)."""

_EXTENDED_EVERY = LEASE / 6
MOST_TRIES = 3
"""A run that has killed its process so often would do so for ever."""

_SUCCEEDED = frozenset((0, 11))
"""Every row has an answer, or some are listed, no more than were allowed (``cli/exits.py``)."""
_UNAVAILABLE = 8
"""What a run needs is away or overloaded, such as a registry that is only just being started."""
AGAIN_AFTER = timedelta(seconds=15)
AWAY = timedelta(minutes=10)
"""So long a run is begun again after what it needs was away first: a registry of one's own is
there within a minute, that of a team is back from being upgraded."""
_KILLED = 128
"""From here on exit codes are of what was ended by a signal."""

_log = logging.getLogger("modelway.schedules")


class Going(Protocol):
    """A run that was begun.

    ``exit_code`` is None while it goes on. ``said`` is what it said last. ``interrupt`` has it end
    soon, ``stop`` returns once it has. ``forget`` removes what would tell a later attempt that it
    was done.
    """

    def exit_code(self) -> int | None:
        """How it ended."""
        ...

    def said(self) -> str:
        """Its last lines."""
        ...

    def interrupt(self) -> None:
        """Have it end."""
        ...

    def stop(self) -> None:
        """End it."""
        ...

    def forget(self) -> None:
        """Leave nothing behind, now that its end is kept."""
        ...


Begin = Callable[[Schedule, ScheduledRun], Going]
"""Begins a run, or goes on with it from its second attempt on. Raises ModelwayError."""


@dataclass(slots=True)
class _Own:
    """A run of this process's own."""

    run: ScheduledRun
    going: Going
    until: datetime


class Timekeeper:
    """Runs the schedules of one home on one host; one thread calls it."""

    def __init__(
        self,
        runs: ScheduleRuns,
        home: str,
        host: str,
        begin: Begin,
        now: Callable[[], datetime],
    ) -> None:
        self._runs = runs
        self._home = home
        self._host = host
        self._begin = begin
        self._now = now
        self._own: dict[tuple[str, datetime], _Own] = {}
        self._away_since: dict[tuple[str, datetime], datetime] = {}

    def once(self) -> None:
        """See to what goes on, to what others have left, and to what is due.

        Raises:
            StoreUnavailable: what is due is not known, or what became of a run cannot be kept.
            InvalidInput: this machine does not know the zone of a schedule.
            Exception: what nobody foresaw of one of them; the others were seen to.
        """
        failed = [_tried(partial(self._see_to, own)) for own in list(self._own.values())]
        due = self._runs.due(self._home, self._now())
        # Looked at after what is due: a run is entered as its schedule is moved on.
        under_way = self._runs.under_way(self._home)
        for schedule, run in under_way:
            is_own = (run.schedule, run.due_at) in self._own
            if not is_own and (run.until is None or run.until <= self._now()):
                failed.append(_tried(partial(self._take_over, schedule, run)))
        running = {run.schedule for _, run in under_way}
        waiting = {(run.schedule, run.due_at) for _, run in under_way}
        self._away_since = {key: at for key, at in self._away_since.items() if key in waiting}
        for schedule in due:
            is_running = schedule.name in running
            see = partial(self._see_to_due, schedule, is_running=is_running)
            failed.append(_tried(see))
        for error in failed:
            if error is not None:
                raise error

    def end(self) -> None:
        """End what goes on, so that whoever comes next goes on with it at once.

        Raises:
            StoreUnavailable: it could not be said; then it is taken over once its lease is over.
        """
        for own in self._own.values():
            own.going.interrupt()
        for own in self._own.values():
            own.going.stop()
        for key, own in list(self._own.items()):
            del self._own[key]
            if own.going.exit_code() in _SUCCEEDED:
                self._end(own)
            else:
                self._runs.give_back(own.run, self._now(), counts=False)

    def _see_to(self, own: _Own) -> None:
        """Keep what became of a run of one's own, or its lease for longer."""
        key = (own.run.schedule, own.run.due_at)
        code = own.going.exit_code()
        if code is not None:
            if code >= _KILLED:
                _log.warning("schedule %s: its run was killed (%d)", own.run.schedule, code)
                self._runs.give_back(own.run, self._now(), counts=True)
            elif code != _UNAVAILABLE or not self._waits(own):
                self._end(own)
            del self._own[key]
            return
        at = self._now()
        if own.until - at > LEASE - _EXTENDED_EVERY:
            return
        try:
            held = self._runs.extend(own.run, at + LEASE)
        except StoreUnavailable:
            if self._now() >= own.until:  # by now another may have it
                self._lose(own, "the lease of its run is lost")
            raise
        if held:
            own.until = at + LEASE
        elif at < own.until:  # before that nobody else can have taken it
            self._lose(own, f"it was removed, so its run is ended; {_LEFT}")
        else:
            self._lose(own, "the lease of its run is lost")

    def _waits(self, own: _Own) -> bool:
        """Leave a run for a while, as what it needs is away; False where it has been for long."""
        at, run = self._now(), own.run
        since = self._away_since.setdefault((run.schedule, run.due_at), at)
        if at - since >= AWAY:
            return False
        if since == at:
            why = own.going.said().splitlines()[-1:]
            _log.warning("schedule %s: its run waits for what is away: %s", run.schedule, *why)
        self._runs.give_back(run, at + AGAIN_AFTER, counts=False)
        return True

    def _lose(self, own: _Own, why: str) -> None:
        _log.warning("schedule %s: %s", own.run.schedule, why)
        own.going.stop()
        del self._own[own.run.schedule, own.run.due_at]

    def _end(self, own: _Own) -> None:
        code = own.going.exit_code()
        state = RunState.SUCCEEDED if code in _SUCCEEDED else RunState.FAILED
        if self._keep(own.run, state, code, own.going.said()):
            own.going.forget()

    def _keep(self, run: ScheduledRun, state: RunState, code: int | None, detail: str) -> bool:
        """Keep how a run ended; whether it was this attempt's to say."""
        ended = Ended(state, code, detail[-DETAIL_CHARACTERS:], self._now())
        if not self._runs.end(run, ended):
            return False
        level = logging.INFO if state is RunState.SUCCEEDED else logging.WARNING
        _log.log(level, "schedule %s: the run of %s %s", run.schedule, _shown(run.due_at), state)
        return True

    def _take_over(self, schedule: Schedule, run: ScheduledRun) -> None:
        at = self._now()
        taken = self._runs.take(run, self._host, at, at + LEASE)
        if taken is None:
            return
        _log.info("schedule %s: going on with the run of %s", run.schedule, _shown(run.due_at))
        if taken.tries > MOST_TRIES:
            self._keep(taken, RunState.FAILED, None, f"{MOST_TRIES} attempts died")
        else:
            self._begun(schedule, taken)

    def _see_to_due(self, schedule: Schedule, *, is_running: bool) -> None:
        """Run what is due, or enter that it was missed."""
        at, first = self._now(), schedule.next_due
        cron = Cron(schedule.cron, schedule.zone)
        run = ScheduledRun(
            schedule.name, first, RunState.RUNNING, 1, 1, self._host, at, until=at + LEASE
        )
        if first < at - GRACE:
            n = cron.count(first, at - GRACE)
            why = f"nobody saw to it when {_due_in_words(n)}"
            self._miss(schedule, replace(run, dues=n), cron.after(at - GRACE - _INSTANT), why)
        elif is_running:
            self._miss(schedule, run, cron.after(first), "the run before was still under way")
        elif self._runs.enter(schedule, run, cron.after(first)):
            _log.info("schedule %s: running what is due at %s", schedule.name, _shown(first))
            self._begun(schedule, run)

    def _miss(self, schedule: Schedule, run: ScheduledRun, next_due: datetime, why: str) -> None:
        at = run.started_at
        missed = replace(
            run, state=RunState.MISSED, attempt=0, tries=0, until=None, ended_at=at, detail=why
        )
        if self._runs.enter(schedule, missed, next_due):
            since = _shown(run.due_at)
            _log.warning("schedule %s: missed what was due at %s: %s", schedule.name, since, why)

    def _begun(self, schedule: Schedule, run: ScheduledRun) -> None:
        """Begin a run; one that cannot be has failed."""
        try:
            going = self._begin(schedule, run)
        except ModelwayError as error:
            self._keep(run, RunState.FAILED, None, error.message)
            return
        until = run.until or run.started_at
        self._own[run.schedule, run.due_at] = _Own(run, going, until)


_INSTANT = timedelta(microseconds=1)
_LEFT = "what is done stays in OUTPUT.parts: go on by modelway batch --resume, or remove it"


def _tried(see: Callable[[], None]) -> Exception | None:
    """See to one of them, whatever becomes of the others; gives why it could not be."""
    try:
        see()
    except Exception as error:  # noqa: BLE001 - the others are seen to, and whoever calls is told
        return error
    return None


def _due_in_words(n: int) -> str:
    if n == 1:
        return "it was due"
    return f"it was due, {n} times{' or more' if n == MOST_COUNTED else ''}"


def _shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
