"""The queue equals a model of it in memory, whatever is done in whatever order and at what time."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from modelway.backends.sql.connecting import database_of
from modelway.backends.sql.jobs.jobs import SqlJobs
from modelway.backends.sql.store import open_store
from modelway.domain.errors import IllegalTransition
from modelway.domain.jobs import ALONE_FROM, JobState
from modelway.jobs.ports import Failed, Leased
from support.jobs import failed, held, new_job, succeeded
from support.moves import NOON

SECOND = timedelta(seconds=1)
ENDPOINTS = ("a", "b")
LIVES_S = 60


@dataclass
class Known:
    """A job as it should be; ``outcomes`` are those of its attempts that ended."""

    id: str
    endpoint: str
    priority: int
    created_at: datetime
    over: datetime
    lives: timedelta
    not_before: datetime
    state: JobState = JobState.QUEUED
    attempt: int = 0
    tries: int = 0
    until: datetime | None = None
    outcomes: list[str] = field(default_factory=list)


@cache
def empty_store() -> bytes:
    """A store with tables; to make them takes longer than all that is done with them."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store.sqlite"
        open_store(f"sqlite:///{store}").close()
        return store.read_bytes()


class Queue(RuleBasedStateMachine):
    """Jobs on SQLite beside the same jobs in memory, with a clock that is moved by hand."""

    def __init__(self) -> None:
        super().__init__()
        self._open = ExitStack()
        store = Path(self._open.enter_context(tempfile.TemporaryDirectory())) / "store.sqlite"
        store.write_bytes(empty_store())
        url = f"sqlite:///{store}"
        database = self._open.enter_context(closing(database_of(url, durable=False)))
        self.at = NOON
        self.jobs = SqlJobs(database, lambda: self.at)
        self.known: dict[str, Known] = {}
        self.leases: list[Leased] = []

    def teardown(self) -> None:
        self.jobs.close()
        self._open.close()

    @rule(
        n=st.integers(1, 4),
        endpoint=st.sampled_from(ENDPOINTS),
        priority=st.sampled_from([0, 4, 9]),
        lives_s=st.sampled_from([2, LIVES_S]),
    )
    def enqueue(self, n: int, endpoint: str, priority: int, lives_s: int) -> None:
        new = [
            new_job(
                f"j{len(self.known) + k:04}",
                endpoint=endpoint,
                priority=priority,
                created_at=self.at,
                hours=lives_s / 3600,
            )
            for k in range(n)
        ]
        assert [one.id for one in self.jobs.enqueue(new)] == [one.id for one in new]
        for one in new:
            self.known[one.id] = Known(
                *(one.id, endpoint, priority, self.at, one.expires_at),
                *(one.expires_at - one.created_at, one.created_at),
            )

    @rule(seconds=st.integers(1, 20))
    def pass_time(self, seconds: int) -> None:
        self.at += seconds * SECOND

    @rule(n=st.integers(1, 4), lease_s=st.sampled_from([1, 10]))
    def lease(self, n: int, lease_s: int) -> None:
        self._tend()
        leased = self.jobs.lease(dict.fromkeys(ENDPOINTS, n), 2**20, "w", lease_s)
        free = {e: self._line(e) for e in ENDPOINTS if self._line(e)}
        if not free:
            assert leased == []
            return
        endpoint = leased[0].endpoint
        highest = max(line[0].priority for line in free.values())
        assert free[endpoint][0].priority == highest
        line = free[endpoint][:n]
        together = [one for one in line if one.tries + 1 < ALONE_FROM]
        wanted = together if line[0].tries + 1 < ALONE_FROM else line[:1]
        assert [one.id for one in leased] == [one.id for one in wanted]
        for one in leased:
            job = self.known[one.id]
            job.state, job.attempt, job.tries = JobState.LEASED, job.attempt + 1, job.tries + 1
            died = job.tries >= ALONE_FROM and job.outcomes[-1] == "lapsed"
            assert (one.tries, one.alone) == (job.tries, died)
            job.until = self.at + lease_s * SECOND
            assert (one.token, one.until) == (job.attempt, job.until)
        self.leases += leased

    @precondition(lambda self: self.leases)
    @rule(picks=st.lists(st.integers(0, 50), min_size=1, max_size=4), seconds=st.integers(1, 20))
    def extend(self, picks: list[int], seconds: int) -> None:
        some = self._some(picks)
        there = self._held(some)
        assert self.jobs.extend([held(one) for one in some], seconds) == there
        for id in there:
            self.known[id].until = min(self.at + seconds * SECOND, self.known[id].over)

    @precondition(lambda self: self.leases)
    @rule(picks=st.lists(st.integers(0, 50), min_size=1, max_size=4))
    def complete(self, picks: list[int]) -> None:
        some = self._some(picks)
        held = self._held(some)
        assert self.jobs.complete([succeeded(one, one.id.encode()) for one in some]) == held
        self._end(held, JobState.SUCCEEDED, "succeeded")
        for id in held:
            result = self.jobs.result(id)
            assert result is not None
            assert result.content == id.encode()

    @precondition(lambda self: self.leases)
    @rule(
        picks=st.lists(st.integers(0, 50), min_size=1, max_size=4),
        retry_s=st.none() | st.integers(0, 5),
    )
    def fail(self, picks: list[int], retry_s: int | None) -> None:
        some = self._some(picks)
        held = self._held(some)
        later = None if retry_s is None else self.at + retry_s * SECOND
        told: list[Failed] = [failed(one, later) for one in some]
        assert self.jobs.fail(told) == held
        if later is None:
            self._end(held, JobState.FAILED, "failed")
        else:
            self._end(held, JobState.QUEUED, "retried")
            for id in held:
                self.known[id].not_before = later

    @precondition(lambda self: self.known)
    @rule(pick=st.integers(0, 50))
    def cancel(self, pick: int) -> None:
        job = list(self.known.values())[pick % len(self.known)]
        try:
            assert self.jobs.cancel(job.id).state is JobState.CANCELLED
        except IllegalTransition:
            assert job.state.is_done
            assert job.state is not JobState.CANCELLED
        else:
            assert job.state in (JobState.QUEUED, JobState.LEASED, JobState.CANCELLED)
            self._end([job.id], JobState.CANCELLED, "cancelled")

    @precondition(lambda self: self.known)
    @rule(pick=st.integers(0, 50))
    def retry(self, pick: int) -> None:
        job = list(self.known.values())[pick % len(self.known)]
        try:
            self.jobs.retry(job.id, self.at)
        except IllegalTransition:
            assert job.state not in (JobState.FAILED, JobState.CANCELLED)
        else:
            assert job.state in (JobState.FAILED, JobState.CANCELLED)
            job.state, job.not_before, job.over = JobState.QUEUED, self.at, self.at + job.lives
            job.tries = 0

    @invariant()
    def every_job_is_as_it_should_be(self) -> None:
        found = {one.id: one for one in self.jobs.page(None, None, None, 10_000)}
        assert {id: (one.state, one.attempt) for id, one in found.items()} == {
            id: (one.state, one.attempt) for id, one in self.known.items()
        }
        for id, one in self.known.items():
            ended = [a.outcome for a in self.jobs.attempts(id) if a.outcome is not None]
            assert ended == one.outcomes

    def _some(self, picks: list[int]) -> list[Leased]:
        return [self.leases[pick % len(self.leases)] for pick in picks]

    def _held(self, leases: list[Leased]) -> set[str]:
        return {
            one.id
            for one in leases
            if (job := self.known[one.id]).state is JobState.LEASED and job.attempt == one.token
        }

    def _end(self, ids: Collection[str], state: JobState, outcome: str) -> None:
        for id in ids:
            job = self.known[id]
            if job.state is JobState.LEASED:
                job.outcomes.append(outcome)
            job.state = state

    def _line(self, endpoint: str) -> list[Known]:
        """The jobs of an endpoint that may be leased, in order."""
        free = [
            one
            for one in self.known.values()
            if (one.endpoint, one.state) == (endpoint, JobState.QUEUED)
            and one.not_before <= self.at
        ]
        return sorted(free, key=lambda one: (-one.priority, one.created_at, one.id))

    def _tend(self) -> None:
        """What happens by itself until now."""
        for job in self.known.values():
            ran_out = job.state is JobState.LEASED and job.until and job.until <= self.at
            if ran_out and job.over > self.at:
                self._end([job.id], JobState.QUEUED, "lapsed")
                job.not_before = self.at
            elif ran_out or (job.state is JobState.QUEUED and job.over <= self.at):
                self._end([job.id], JobState.EXPIRED, "expired")


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
