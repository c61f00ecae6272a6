"""A worker on a real queue: jobs that fail, cannot be kept, or cost workers their lives."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import pytest

from modelway.backends.sql.store import Store, open_store
from modelway.domain.errors import (
    InvalidInput,
    LoadFailed,
    ModelwayError,
    PredictFailed,
    Unavailable,
)
from modelway.domain.jobs import JobState, Payload
from modelway.jobs.ports import Held, Leased
from modelway.jobs.retrying import Retrying
from modelway.jobs.under_way import UnderWay
from modelway.jobs.working import Tell, WorkBounds, Worker
from support.jobs import JSON, lease, new_job

MOST_S = 20.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'jobs.sqlite'}") as store:
        yield store


class Answers:
    """Answers each job by a rule; ``asked`` are the jobs of every call."""

    def __init__(self, rule: Callable[[Leased], Payload | ModelwayError]) -> None:
        self._rule = rule
        self.asked: list[list[str]] = []

    def endpoints(self) -> Sequence[str]:
        """The one of the tests."""
        return ["loan"]

    async def answer(self, jobs: Sequence[UnderWay], tell: Tell) -> None:
        """What the rule says; what it raises fails them all."""
        self.asked.append([one.job.id for one in jobs])
        await tell([(one, self._rule(one.job)) for one in jobs])


class Ended:
    """Counts attempts by how they ended."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()

    def ended(self, endpoint: str, outcome: str, jobs: int) -> None:
        """Attempts ended."""
        assert endpoint == "loan"
        self.found[outcome] += jobs


def worked(store: Store, answers: Answers, attempts: int = 3, lease_s: float = 5.0) -> Counter[str]:
    """Work until every job is done; how attempts ended."""
    ended = Ended()
    bounds = WorkBounds(jobs=8, lease_s=lease_s, turns=2)
    worker = Worker(
        store.jobs, answers, ended, "w", bounds, Retrying(attempts, first_s=0.01, longest_s=0.02)
    )

    async def run() -> None:
        stopped = asyncio.Event()
        working = asyncio.create_task(worker.run(stopped))
        async with asyncio.timeout(MOST_S):
            while not working.done() and await asyncio.to_thread(left, store) > 0:
                await asyncio.sleep(0.02)
            stopped.set()
            await working

    asyncio.run(run())
    return ended.found


def left(store: Store) -> int:
    waiting = store.jobs.depths().values()
    return sum(one.queued + one.leased for one in waiting)


def states(store: Store, ids: Sequence[str]) -> list[JobState]:
    return [store.jobs.get(id).state for id in ids]


def right(job: Leased) -> Payload:
    return Payload(job.input.content + b"!", JSON)


def test_many_are_answered_at_a_time_and_each_has_its_own_answer(store: Store) -> None:
    jobs = [new_job(str(k), content=str(k).encode()) for k in range(30)]
    store.jobs.enqueue(jobs)
    answers = Answers(right)
    assert worked(store, answers) == {"succeeded": 30}
    assert max(map(len, answers.asked)) == 8
    for job in jobs:
        assert store.jobs.result(job.id) == Payload(job.input.content + b"!", JSON)


def test_what_fails_is_tried_again_and_what_is_wrong_is_not(store: Store) -> None:
    store.jobs.enqueue([new_job(id) for id in ("good", "fails", "wrong")])

    def rule(job: Leased) -> Payload | ModelwayError:
        if job.id == "fails":
            return PredictFailed("not now")
        return InvalidInput("never") if job.id == "wrong" else right(job)

    assert worked(store, Answers(rule)) == {"succeeded": 1, "retried": 2, "failed": 2}
    assert states(store, ["good", "fails", "wrong"]) == ["succeeded", "failed", "failed"]
    failed = store.jobs.get("fails")
    assert (failed.attempt, failed.error_code, failed.error) == (3, "predict-failed", "not now")
    assert store.jobs.get("wrong").attempt == 1
    outcomes = [one.outcome for one in store.jobs.attempts("fails")]
    assert outcomes == ["retried", "retried", "failed"]


def test_a_call_that_raises_is_tried_again_and_the_one_at_fault_alone(store: Store) -> None:
    store.jobs.enqueue([new_job(str(k)) for k in range(5)])

    def rule(job: Leased) -> Payload:
        if job.id == "3":
            raise ValueError("strange")
        return right(job)

    answers = Answers(rule)
    worked(store, answers)
    assert states(store, list("01234")) == [*["succeeded"] * 3, "failed", "succeeded"]
    assert [asked for asked in answers.asked if asked == ["3"]]
    assert "ValueError: strange" in str(store.jobs.get("3").error)


def test_a_result_that_cannot_be_kept_costs_no_other(store: Store) -> None:
    store.jobs.enqueue([new_job(str(k)) for k in range(5)])

    def rule(job: Leased) -> Payload:
        return Payload(b"", "x" * 300) if job.id == "2" else right(job)

    assert worked(store, Answers(rule)) == {"succeeded": 4, "failed": 1}
    assert states(store, list("01234")) == [*["succeeded"] * 2, "failed", *["succeeded"] * 2]


@pytest.mark.parametrize("attempts", [1, 2, 3, 4])
def test_what_cost_workers_their_lives_costs_its_neighbours_nothing(
    store: Store, attempts: int
) -> None:
    store.jobs.enqueue([new_job(str(k)) for k in range(5)])
    for _ in range(2):
        assert len(lease(store, lease_s=0.05)) == 5  # by somebody who dies
        time.sleep(0.1)
    for _ in range(max(attempts, 3) - 2):
        (culprit,) = lease(store, lease_s=0.05)
        assert (culprit.id, culprit.alone) == ("0", True)
        time.sleep(0.1)
    answers = Answers(right)
    assert worked(store, answers, attempts) == {"succeeded": 4, "failed": 1}
    assert sorted(answers.asked) == [["1"], ["2"], ["3"], ["4"]]
    job = store.jobs.get("0")
    assert (job.state, job.error_code) == ("failed", "model-crashed")
    assert "their workers died" in str(job.error)


def test_who_is_answered_alone_has_no_others_beside_it(store: Store) -> None:
    store.jobs.enqueue([new_job("suspect")])
    for _ in range(2):
        assert len(lease(store, lease_s=0.05)) == 1
        time.sleep(0.1)
    store.jobs.enqueue([new_job(str(k)) for k in range(9)])
    under_way: set[str] = set()
    beside: list[set[str]] = []

    class Watched(Answers):
        async def answer(self, jobs: Sequence[UnderWay], tell: Tell) -> None:
            under_way.update(one.job.id for one in jobs)
            await asyncio.sleep(0.2)
            beside.append(set(under_way))
            under_way.difference_update(one.job.id for one in jobs)
            await super().answer(jobs, tell)

    assert worked(store, Watched(right)) == {"succeeded": 10}
    assert [some for some in beside if "suspect" in some] == [{"suspect"}]
    assert max(map(len, beside)) > 1


def test_a_worker_that_cannot_open_a_model_leaves_its_jobs_to_others(store: Store) -> None:
    store.jobs.enqueue([new_job(str(k)) for k in range(40)])
    broken, sound = Answers(lambda _: LoadFailed("no such library")), Answers(right)
    ended = Ended()
    bounds = WorkBounds(jobs=8, lease_s=5.0, turns=2)
    workers = [Worker(store.jobs, one, ended, "w", bounds) for one in (broken, sound)]

    async def run() -> None:
        stopped = asyncio.Event()
        working = [asyncio.create_task(one.run(stopped)) for one in workers]
        async with asyncio.timeout(MOST_S):
            while await asyncio.to_thread(left, store) > 0:
                await asyncio.sleep(0.02)
            stopped.set()
            await asyncio.gather(*working)

    asyncio.run(run())
    assert set(states(store, [str(k) for k in range(40)])) == {JobState.SUCCEEDED}
    assert 1 <= len(broken.asked) <= 2
    assert max(store.jobs.get(str(k)).attempt for k in range(40)) <= 2


def test_what_is_away_for_a_while_costs_a_job_no_try(store: Store) -> None:
    store.jobs.enqueue([new_job("a")])
    away_until = time.monotonic() + 1.0

    def rule(job: Leased) -> Payload | ModelwayError:
        return Unavailable("away") if time.monotonic() < away_until else right(job)

    answers = Answers(rule)
    assert worked(store, answers, attempts=2)["succeeded"] == 1
    assert len(answers.asked) > 2


def test_leases_of_long_work_are_extended(store: Store) -> None:
    store.jobs.enqueue([new_job("long")])

    class Slow(Answers):
        async def answer(self, jobs: Sequence[UnderWay], tell: Tell) -> None:
            await asyncio.sleep(4.5)
            await super().answer(jobs, tell)

    answers = Slow(right)
    assert worked(store, answers, lease_s=2.0) == {"succeeded": 1}
    assert answers.asked == [["long"]]


def test_leases_are_extended_again_after_a_surprise(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.jobs.enqueue([new_job("long")])
    extend = store.jobs.extend
    refused: list[Sequence[Held]] = []

    def once_refused(leases: Sequence[Held], lease_s: float) -> Collection[str]:
        if not refused:
            refused.append(leases)
            raise InvalidInput("a surprise")
        return extend(leases, lease_s)

    class Slow(Answers):
        async def answer(self, jobs: Sequence[UnderWay], tell: Tell) -> None:
            await asyncio.sleep(3.0)
            await super().answer(jobs, tell)

    monkeypatch.setattr(store.jobs, "extend", once_refused)
    answers = Slow(right)
    assert worked(store, answers, lease_s=1.5) == {"succeeded": 1}
    assert (len(refused), answers.asked) == (1, [["long"]])


def test_an_answer_is_told_while_others_of_the_turn_are_awaited(store: Store) -> None:
    store.jobs.enqueue([new_job(id, rows=100) for id in ("first", "quick", "slow")])
    seen: list[tuple[JobState, int]] = []

    class OneByOne(Answers):
        async def answer(self, jobs: Sequence[UnderWay], tell: Tell) -> None:
            for one in jobs:
                if one.job.id == "slow":
                    one.progressed(40)
                    await asyncio.sleep(1.5)
                    quick, slow = (store.jobs.get(id) for id in ("quick", "slow"))
                    seen.append((quick.state, slow.rows_done))
                await tell([(one, right(one.job))])

    assert worked(store, OneByOne(right)) == {"succeeded": 3}
    assert seen == [(JobState.SUCCEEDED, 40)]
    assert store.jobs.get("slow").rows_done == 100


def test_a_job_that_is_cancelled_meanwhile_is_given_up(store: Store) -> None:
    store.jobs.enqueue([new_job("unwanted")])
    given_up: list[str] = []

    class Endless(Answers):
        async def answer(self, jobs: Sequence[UnderWay], tell: Tell) -> None:
            (one,) = jobs
            store.jobs.cancel(one.job.id)
            one.answering = asyncio.create_task(_never())
            try:
                await one.answering
            except asyncio.CancelledError:
                given_up.append(one.job.id)

    assert worked(store, Endless(right), lease_s=0.6) == {"lost": 1}
    assert given_up == ["unwanted"]
    assert states(store, ["unwanted"]) == ["cancelled"]


def test_of_what_takes_long_a_worker_takes_little(store: Store) -> None:
    store.jobs.enqueue([new_job(str(k)) for k in range(4)])

    class Slow(Answers):
        async def answer(self, jobs: Sequence[UnderWay], tell: Tell) -> None:
            await asyncio.sleep(1.2)
            await super().answer(jobs, tell)

    answers = Slow(right)
    assert worked(store, answers) == {"succeeded": 4}
    assert sorted(answers.asked) == [["0"], ["1"], ["2"], ["3"]]


async def _never() -> ModelwayError:
    await asyncio.Event().wait()
    return PredictFailed("it was awaited")
