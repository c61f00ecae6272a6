"""Schedules as tests have them, and a clock that goes on when it is told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from modelway.batch.schedules import RunState, Schedule, ScheduledRun

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Clock:
    """A time that goes on when it is told to."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at

    def goes_on(self, **by: float) -> None:
        self.at += timedelta(**by)


def schedule(name: str = "nightly", **said: Any) -> Schedule:
    """A schedule that is due every minute, at noon next."""
    return Schedule(
        **{
            "name": name,
            "cron": "* * * * *",
            "zone": "UTC",
            "arguments": ("loan", "--input", "é.csv", "--output", "{due}.csv"),
            "folder": "/srv/scores",
            "home": "home-1",
            "host": "host-1",
            "created_at": NOON - MINUTE,
            "created_by": "ann",
            "next_due": NOON,
            **said,
        }
    )


def run(due_at: datetime = NOON, **said: Any) -> ScheduledRun:
    """The first attempt of a run of ``nightly``, with a lease of half a minute."""
    return ScheduledRun(
        **{
            "schedule": "nightly",
            "due_at": due_at,
            "state": RunState.RUNNING,
            "attempt": 1,
            "tries": 1,
            "host": "host-1",
            "started_at": due_at,
            "until": due_at + MINUTE / 2,
            **said,
        }
    )
