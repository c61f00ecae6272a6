"""The intake: what comes while others are kept is kept together, and each is told its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from modelway.domain.errors import IdempotencyKeyReused, QueueFull, StoreUnavailable
from modelway.domain.jobs import Job, JobState, NewJob, Payload
from modelway.jobs.intake import Intake
from modelway.jobs.ports import JobQueue

NOW = datetime(2026, 5, 17, tzinfo=UTC)


class Gated:
    """The part of a queue that keeps jobs, each time once ``opened`` is set."""

    def __init__(self) -> None:
        self.kept: list[list[str]] = []
        self.opened = threading.Event()
        self.away = False

    def enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Job]:
        """Keep all of them or none."""
        assert self.opened.wait(10)
        self.kept.append([job.id for job in jobs])
        if self.away:
            raise StoreUnavailable("it is away")
        for job in jobs:
            if job.idempotency_key is not None:
                raise IdempotencyKeyReused(job.idempotency_key, "earlier")
        return [stored(job) for job in jobs]


def new(id: str, key: str | None = None) -> NewJob:
    body = Payload(b"{}", "application/json")
    until = NOW + timedelta(days=1)
    return NewJob(id, "iris", body, NOW, until, idempotency_key=key)


def stored(job: NewJob) -> Job:
    later: Any = dict.fromkeys(("leased_until", "ended_at", "error_code", "error", "callback"))
    return Job(
        id=job.id,
        endpoint=job.endpoint,
        version=None,
        state=JobState.QUEUED,
        priority=job.priority,
        principal=None,
        created_at=NOW,
        not_before=NOW,
        expires_at=job.expires_at,
        attempt=0,
        idempotency_key=job.idempotency_key,
        **later,
    )


def kept_by(gated: Gated, jobs: Sequence[NewJob]) -> list[Job | BaseException]:
    async def run() -> list[Job | BaseException]:
        intake = Intake(cast(JobQueue, gated))
        first = asyncio.create_task(intake.keep(jobs[0]))
        await asyncio.sleep(0.05)  # its commit is under way
        others = [asyncio.create_task(intake.keep(job)) for job in jobs[1:]]
        await asyncio.sleep(0.05)
        gated.opened.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    return asyncio.run(run())


def test_jobs_that_come_while_one_is_kept_are_kept_together() -> None:
    gated = Gated()
    jobs = kept_by(gated, [new(str(k)) for k in range(6)])
    assert gated.kept == [["0"], ["1", "2", "3", "4", "5"]]
    assert [one.id for one in jobs if isinstance(one, Job)] == ["0", "1", "2", "3", "4", "5"]


def test_one_that_is_refused_costs_no_other() -> None:
    gated = Gated()
    told = kept_by(gated, [new("0"), new("1"), new("2", key="again"), new("3")])
    assert [type(one) for one in told] == [Job, Job, IdempotencyKeyReused, Job]
    assert gated.kept == [["0"], ["1", "2", "3"], ["1"], ["2", "3"], ["2"], ["3"]]


def test_one_that_is_refused_among_many_does_not_have_them_kept_one_by_one() -> None:
    gated = Gated()
    told = kept_by(gated, [new(str(k), key="again" if k == 700 else None) for k in range(1001)])
    assert [k for k, one in enumerate(told) if not isinstance(one, Job)] == [700]
    assert len(gated.kept) <= 2 + 2 * 10  # each half of a half, and so on


def test_where_the_store_is_away_each_is_told_so() -> None:
    gated = Gated()
    gated.away = True
    told = kept_by(gated, [new("0"), new("1"), new("2")])
    assert [type(one) for one in told] == [StoreUnavailable] * 3
    assert gated.kept == [["0"], ["1", "2"]]


def test_a_caller_that_leaves_leaves_the_others() -> None:
    gated = Gated()

    async def run() -> Job:
        intake = Intake(cast(JobQueue, gated))
        leaves = asyncio.create_task(intake.keep(new("0")))
        stays = asyncio.create_task(intake.keep(new("1")))
        await asyncio.sleep(0.05)
        leaves.cancel()
        gated.opened.set()
        with pytest.raises(asyncio.CancelledError):
            await leaves
        return await stays

    assert asyncio.run(run()).id == "1"


def test_more_than_may_wait_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelway.jobs.intake._WAITING_BYTES", 5)
    gated = Gated()
    told = kept_by(gated, [new(str(k)) for k in range(5)])  # each has two bytes
    assert [type(one) for one in told] == [Job, Job, Job, QueueFull, QueueFull]


def test_a_transaction_is_cut_by_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelway.jobs.intake._MOST_BYTES", 5)
    gated = Gated()
    kept_by(gated, [new(str(k)) for k in range(6)])
    assert gated.kept == [["0"], ["1", "2"], ["3", "4"], ["5"]]
