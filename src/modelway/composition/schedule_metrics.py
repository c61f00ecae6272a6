"""Schedules in numbers, as the store has them: what became of their runs, and when last."""

from __future__ import annotations

from collections.abc import Mapping

from modelway.batch.schedules import RunState, Schedules, Tally
from modelway.composition.store_metrics import followed
from modelway.telemetry import metrics as table
from modelway.telemetry.instruments import Gauge, Metrics

_LAST = {
    RunState.SUCCEEDED: table.SCHEDULE_LAST_SUCCESS,
    RunState.MISSED: table.SCHEDULE_LAST_MISSED,
}


class ScheduleMetrics:
    """Says how the schedules of a home fare."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._said: list[Gauge] = []

    async def follow(self, schedules: Schedules, home: str) -> None:
        """Say it as the store has it, as ``followed`` does."""
        await followed(lambda: schedules.tallies(home), self.say, self._clear)

    def say(self, tallies: Mapping[str, Tally]) -> None:
        """Say this, and nothing of a schedule that is not among it."""
        self._clear()
        for name, tally in tallies.items():
            for state in RunState:
                self._set(
                    table.SCHEDULE_RUNS, tally.runs.get(state, 0), schedule=name, state=state.value
                )
            for state, metric in _LAST.items():
                if state in tally.last:
                    self._set(metric, tally.last[state].timestamp(), schedule=name)

    def _set(self, metric: table.Metric, value: float, **labels: str) -> None:
        gauge = self._metrics.gauge(metric, **labels)
        gauge.set(value)
        self._said.append(gauge)

    def _clear(self) -> None:
        for gauge in self._said:
            gauge.clear()
        self._said = []
