"""Jobs in numbers: what came of attempts, counted where they are made, and how much waits.

modelway_job_attempts_total      each worker, in its own slot
modelway_jobs and the rest       ``up``, which asks the store now and then
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial

from modelway.composition.control import now
from modelway.composition.store_metrics import followed
from modelway.domain.jobs import JobState
from modelway.jobs.ports import JobStore, QueueDepth
from modelway.telemetry import metrics as table
from modelway.telemetry.instruments import Gauge, Metrics


class AttemptMetrics:
    """Counts what comes of jobs."""

    def __init__(self, metrics: Metrics) -> None:
        self._counter = partial(metrics.counter, table.JOB_ATTEMPTS)

    def ended(self, endpoint: str, outcome: str, jobs: int) -> None:
        """Attempts ended so."""
        self._counter(endpoint=endpoint, outcome=outcome).add(jobs)


class DepthMetrics:
    """Says how much waits of each endpoint."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._gauges: dict[str, Mapping[str, Gauge]] = {}

    async def follow(self, store: JobStore) -> None:
        """Say it as the store has it, as ``followed`` does."""
        await followed(store.depths, lambda depths: self.say(depths, now()), self._clear)

    def say(self, depths: Mapping[str, QueueDepth], at: datetime) -> None:
        """Say this; of an endpoint that has no jobs any more, that there are none."""
        for gauge in self._known():
            gauge.set(0)
        for endpoint, depth in depths.items():
            gauges = self._gauges.get(endpoint)
            if gauges is None:
                gauges = self._gauges[endpoint] = self._made(endpoint)
            gauges[JobState.QUEUED].set(depth.queued)
            gauges[JobState.LEASED].set(depth.leased)
            gauges[JobState.FAILED].set(depth.dead)
            waits_s = 0.0 if depth.oldest is None else (at - depth.oldest).total_seconds()
            gauges[_OLDEST].set(max(0.0, waits_s))

    def _clear(self) -> None:
        for gauge in self._known():
            gauge.clear()

    def _known(self) -> Iterator[Gauge]:
        for gauges in self._gauges.values():
            yield from gauges.values()

    def _made(self, endpoint: str) -> Mapping[str, Gauge]:
        states = (JobState.QUEUED, JobState.LEASED, JobState.FAILED)
        gauges: dict[str, Gauge] = {
            one: self._metrics.gauge(table.JOBS, endpoint=endpoint, state=one.value)
            for one in states
        }
        gauges[_OLDEST] = self._metrics.gauge(table.JOB_OLDEST_SECONDS, endpoint=endpoint)
        return gauges


_OLDEST = "oldest"
