"""Schedules in numbers: what became of their runs, and nothing of one that is gone."""

from __future__ import annotations

from datetime import UTC, datetime

from modelway.batch.schedules import RunState, Tally
from modelway.composition.schedule_metrics import ScheduleMetrics
from modelway.telemetry.instruments import Metrics
from modelway.telemetry.slots import Slot
from support.metrics import shown

NOON = datetime(2026, 5, 17, 12, tzinfo=UTC)
NEVER = Tally({}, {})


def test_what_became_of_runs_is_said_of_each_schedule() -> None:
    metrics = Metrics(Slot.in_memory())
    told = ScheduleMetrics(metrics)
    runs = {RunState.SUCCEEDED: 3, RunState.FAILED: 1, RunState.MISSED: 9}
    last = {RunState.SUCCEEDED: NOON, RunState.FAILED: NOON, RunState.MISSED: NOON.replace(hour=13)}
    told.say({"nightly": Tally(runs, last), "weekly": NEVER})
    found = shown(metrics)
    assert {name: value for name, value in found.items() if "nightly" in name} == {
        'modelway_schedule_runs{schedule="nightly",state="running"}': 0,
        'modelway_schedule_runs{schedule="nightly",state="succeeded"}': 3,
        'modelway_schedule_runs{schedule="nightly",state="failed"}': 1,
        'modelway_schedule_runs{schedule="nightly",state="missed"}': 9,
        'modelway_schedule_last_success_timestamp_seconds{schedule="nightly"}': NOON.timestamp(),
        'modelway_schedule_last_missed_timestamp_seconds{schedule="nightly"}': NOON.timestamp()
        + 3600,
    }
    weekly = {name: value for name, value in found.items() if "weekly" in name}
    assert (len(weekly), set(weekly.values())) == (4, {0})


def test_of_a_schedule_that_was_removed_nothing_is_said() -> None:
    metrics = Metrics(Slot.in_memory())
    told = ScheduleMetrics(metrics)
    told.say({"nightly": Tally({RunState.SUCCEEDED: 1}, {RunState.SUCCEEDED: NOON})})
    told.say({"weekly": NEVER})
    assert not any("nightly" in name for name in shown(metrics))
