"""Jobs in numbers: how much waits, also once there are none, and while nobody knows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from modelway.composition.job_metrics import AttemptMetrics, DepthMetrics
from modelway.domain.errors import BadValue, StoreUnavailable
from modelway.jobs.ports import JobStore, QueueDepth
from modelway.telemetry.instruments import Metrics
from modelway.telemetry.slots import Slot
from support.metrics import shown

NOW = datetime(2026, 5, 17, tzinfo=UTC)


def depth(
    endpoint: str, queued: int, leased: int, dead: int, oldest: datetime | None = None
) -> Mapping[str, QueueDepth]:
    return {endpoint: QueueDepth(endpoint, queued, leased, dead, oldest)}


def test_what_waits_is_said_of_each_endpoint_and_state() -> None:
    metrics = Metrics(Slot.in_memory())
    depths = DepthMetrics(metrics)
    oldest = NOW - timedelta(seconds=90)
    depths.say({**depth("iris", 3, 2, 1, oldest=oldest), **depth("loan", 0, 1, 0)}, NOW)
    assert shown(metrics) == {
        'modelway_jobs{endpoint="iris",state="queued"}': 3,
        'modelway_jobs{endpoint="iris",state="leased"}': 2,
        'modelway_jobs{endpoint="iris",state="failed"}': 1,
        'modelway_jobs{endpoint="loan",state="queued"}': 0,
        'modelway_jobs{endpoint="loan",state="leased"}': 1,
        'modelway_jobs{endpoint="loan",state="failed"}': 0,
        'modelway_job_oldest_seconds{endpoint="iris"}': 90,
        'modelway_job_oldest_seconds{endpoint="loan"}': 0,
    }
    depths.say(depth("loan", 1, 0, 0, oldest=NOW + timedelta(seconds=1)), NOW)
    found = shown(metrics)
    assert {value for name, value in found.items() if "iris" in name} == {0}
    assert found['modelway_job_oldest_seconds{endpoint="loan"}'] == 0


def test_while_the_store_is_away_nothing_is_said() -> None:
    metrics = Metrics(Slot.in_memory())
    depths = DepthMetrics(metrics)

    class Away:
        def depths(self) -> Any:
            raise StoreUnavailable("it is away")

    async def look() -> None:
        following = asyncio.create_task(depths.follow(cast(JobStore, Away())))
        async with asyncio.timeout(10):
            while shown(metrics):
                await asyncio.sleep(0.01)
        following.cancel()

    depths.say(depth("iris", 3, 2, 1, oldest=NOW), NOW)
    assert shown(metrics)
    asyncio.run(look())


def test_what_cannot_be_told_for_another_reason_is_not_said_and_raised() -> None:
    metrics = Metrics(Slot.in_memory())
    depths = DepthMetrics(metrics)

    class Refused:
        def depths(self) -> Any:
            raise BadValue("jobs.durability: it would not wait for the disk")

    depths.say(depth("iris", 3, 2, 1, oldest=NOW), NOW)
    assert shown(metrics)
    with pytest.raises(BadValue):
        asyncio.run(depths.follow(cast(JobStore, Refused())))
    assert not shown(metrics)


def test_attempts_are_counted_by_what_came_of_them() -> None:
    metrics = Metrics(Slot.in_memory())
    attempts = AttemptMetrics(metrics)
    for jobs in (2, 3):
        attempts.ended("iris", "succeeded", jobs)
    attempts.ended("iris", "retried", 1)
    assert shown(metrics) == {
        'modelway_job_attempts_total{endpoint="iris",outcome="succeeded"}': 5,
        'modelway_job_attempts_total{endpoint="iris",outcome="retried"}': 1,
    }
