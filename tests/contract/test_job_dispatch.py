"""The contract of ``JobDispatch``, over SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from modelway.backends.sql.store import Store, open_store
from modelway.domain.errors import IdempotencyMismatch
from modelway.domain.jobs import JobState
from modelway.jobs.dispatching import (
    AnnouncingQueue,
    Claimed,
    Enqueued,
    JobDispatch,
    Line,
)
from support.ending import together
from support.jobs import failed, lease, new_job, now, succeeded


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A store in which nothing is, and which announces its jobs."""
    with open_store(url, announces=True) as opened:
        yield opened


def claim(store: Store, *ids: str, n_bytes: int = 2**20, lease_s: float = 60.0) -> Claimed:
    """What comes of a claim."""
    return store.jobs.claim(ids, n_bytes, "worker", lease_s)


def told(store: Store, n: int = 100) -> list[str]:
    """The jobs that are to be told, which are told by that."""
    some = store.jobs.announcements(n, 60.0)
    store.jobs.announced([one.number for one in some])
    return [one.job for one in some]


def test_it_is_what_the_port_asks_for(store: Store) -> None:
    dispatch: JobDispatch = store.jobs
    assert dispatch.announcements(9, 1.0) == []
    assert dispatch.claim(["nobody"], 1, "worker", 1.0) == Claimed([], set())
    assert list(dispatch.lines([])) == []


class TestAnnouncing:
    def test_whatever_makes_a_job_one_that_may_be_leased_announces_it(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a"), new_job("b")])
        assert told(store) == ["a", "b"]
        assert told(store) == []
        (first, second) = claim(store, "a", "b", lease_s=0.01).leased
        time.sleep(0.02)
        assert store.jobs.tend() == 2
        assert told(store) == ["a", "b"]
        (first, second) = claim(store, "a", "b").leased
        store.jobs.fail([failed(first, now()), failed(second)])
        assert told(store) == []
        assert store.jobs.tend() == 1
        assert told(store) == ["a"]
        store.jobs.retry("b", now())
        assert told(store) == ["b"]

    def test_a_lease_of_the_queue_announces_too_what_it_sees_to(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a"), new_job("b", endpoint="other")])
        told(store)
        claim(store, "a", lease_s=0.01)
        time.sleep(0.02)
        assert len(lease(store, 9, "other")) == 1
        assert told(store) == ["a"]

    def test_those_of_one_time_are_told_by_their_age_and_with_their_line(
        self, store: Store
    ) -> None:
        at = now()
        old = new_job("old", priority=9, created_at=at - timedelta(seconds=1))
        store.jobs.enqueue([new_job("new", created_at=at), old])
        found = store.jobs.announcements(9, 60.0)
        assert [(one.job, one.line) for one in found] == [
            ("old", Line("loan", 9)),
            ("new", Line("loan", 4)),
        ]

    def test_nobody_else_is_given_them_while_they_are_held(self, store: Store, url: str) -> None:
        store.jobs.enqueue([new_job() for _ in range(100)])
        given: list[str] = []

        def take() -> None:
            with open_store(url) as other:
                for _ in range(10):
                    given.extend(one.job for one in other.jobs.announcements(5, 60.0))

        together(*[take] * 3)
        given += [one.job for one in store.jobs.announcements(100, 60.0)]
        assert len(given) == len(set(given)) == 100

    def test_who_hands_jobs_in_is_given_what_is_new_and_nobody_else_while_it_is_held(
        self, store: Store
    ) -> None:
        first = new_job("a")
        store.jobs.enqueue([first])
        told(store)
        at = now()
        old = new_job("old", priority=9, created_at=at - timedelta(seconds=1))
        queue: AnnouncingQueue = store.jobs
        enqueued = queue.enqueue_held([first, new_job("new", created_at=at), old], 0.5)
        assert [one.id for one in enqueued.jobs] == ["a", "new", "old"]
        given = [(one.job, one.line) for one in enqueued.announcements]
        assert given == [("old", Line("loan", 9)), ("new", Line("loan", 4))]
        assert told(store) == []
        store.jobs.announced([enqueued.announcements[1].number])
        time.sleep(0.6)
        assert told(store) == ["old"]
        assert queue.enqueue_held([], 60.0) == Enqueued([], [])

    def test_what_was_not_told_is_given_again(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a"), new_job("b")])
        first, _ = store.jobs.announcements(9, 0.05)
        store.jobs.announced([first.number])
        time.sleep(0.06)
        assert told(store) == ["b"]

    def test_a_refused_job_is_not_announced(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a", fingerprint=b"1")])
        told(store)
        with pytest.raises(IdempotencyMismatch):
            store.jobs.enqueue([new_job("b"), new_job("a", fingerprint=b"2")])
        assert told(store) == []

    def test_a_job_that_came_before_under_its_key_is_not_announced_again(
        self, store: Store
    ) -> None:
        store.jobs.enqueue([new_job("a", idempotency_key="key")])
        again = new_job("another", idempotency_key="key")
        enqueued = store.jobs.enqueue_held([again], 60.0)
        assert ([one.id for one in enqueued.jobs], enqueued.announcements) == (["a"], [])
        assert told(store) == ["a"]
        (kept,) = store.jobs.enqueue([again])
        assert (kept.id, told(store)) == ("a", [])

    def test_some_jobs_are_announced_again_where_they_may_be_leased(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a"), new_job("b"), new_job("c")])
        told(store)
        claim(store, "b")
        store.jobs.cancel("c")
        assert store.jobs.announce_again(["a", "b", "c", "nobody"]) == 1
        assert told(store) == ["a"]

    def test_a_line_is_announced_again_but_for_what_is_to_be_told(self, store: Store) -> None:
        at = now()
        ages = {"a": 60, "b": 60, "young": 0}
        jobs = [new_job(id, created_at=at - timedelta(seconds=age)) for id, age in ages.items()]
        store.jobs.enqueue([*jobs, new_job("other", endpoint="iris"), new_job("high", priority=9)])
        some = store.jobs.announcements(9, 60.0)
        store.jobs.announced([one.number for one in some if one.job != "b"])
        since = at - timedelta(seconds=30)
        assert store.jobs.announce_line(Line("loan", 4), since) == 1
        assert told(store) == ["a"]

    def test_what_is_forgotten_is_not_announced_any_more(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a"), new_job("b")])
        store.jobs.cancel("a")
        assert store.jobs.forget(now(), now()) == 1
        assert told(store) == ["b"]


class TestClaiming:
    def test_the_highest_priority_is_first_and_of_one_priority_the_oldest(
        self, store: Store
    ) -> None:
        at = now()
        old = new_job("old", created_at=at - timedelta(seconds=1))
        store.jobs.enqueue([new_job("new", created_at=at), old, new_job("high", priority=9)])
        claimed = claim(store, "new", "old", "high")
        assert [one.id for one in claimed.leased] == ["high", "old", "new"]
        assert [one.token for one in claimed.leased] == [1, 1, 1]
        assert claimed.left == set()

    def test_only_what_may_be_leased_now_is(self, store: Store) -> None:
        names = ("a", "leased", "done", "cancelled", "later")
        store.jobs.enqueue([new_job("over", hours=0), *map(new_job, names)])
        (_,) = claim(store, "leased").leased
        (done,) = claim(store, "done").leased
        store.jobs.complete([succeeded(done)])
        store.jobs.cancel("cancelled")
        (later,) = claim(store, "later").leased
        store.jobs.fail([failed(later, now() + timedelta(hours=1))])
        claimed = claim(store, "over", *names)
        assert [one.id for one in claimed.leased] == ["a"]
        assert claimed.left == set()
        assert store.jobs.get("leased").attempt == 1

    def test_what_has_too_many_bytes_is_left_but_one_is_taken(self, store: Store) -> None:
        jobs = [new_job(str(n), content=bytes(100)) for n in range(4)]
        store.jobs.enqueue(jobs)
        claimed = claim(store, "0", "1", "2", "3", n_bytes=250)
        assert len(claimed.leased) == 2
        assert {one.id for one in claimed.leased} | set(claimed.left) == {"0", "1", "2", "3"}
        assert len(claim(store, *claimed.left, n_bytes=0).leased) == 1

    def test_many_may_be_claimed_at_once(self, store: Store) -> None:
        jobs = [new_job() for _ in range(1200)]
        store.jobs.enqueue(jobs)
        claimed = claim(store, *(one.id for one in jobs))
        assert [one.id for one in claimed.leased] == [one.id for one in jobs]

    def test_two_who_claim_the_same_have_each_job_once(self, store: Store, url: str) -> None:
        ids = [one.id for one in store.jobs.enqueue([new_job() for _ in range(200)])]
        had: list[str] = []
        begin = threading.Barrier(3, timeout=30)

        def take() -> None:
            with open_store(url) as other:
                other.generation.now()
                begin.wait()
                for k in range(0, 200, 20):
                    had.extend(one.id for one in claim(other, *ids[k : k + 20]).leased)

        together(*[take] * 3)
        assert sorted(had) == sorted(ids)
        assert {one.state for one in store.jobs.page(None, None, None, 500)} == {JobState.LEASED}


def test_lines_are_where_something_may_be_leased_now_and_might_be_since(store: Store) -> None:
    old = now() - timedelta(minutes=1)
    store.jobs.enqueue([new_job(created_at=old), new_job("high", priority=9)])
    store.jobs.enqueue([new_job(endpoint="iris", priority=0), new_job("gone", endpoint="gone")])
    store.jobs.cancel("gone")
    all_three = ["loan", "iris", "gone", "absent"]
    everywhere = {Line("loan", 4), Line("loan", 9), Line("iris", 0)}
    assert set(store.jobs.lines(all_three)) == everywhere
    assert set(store.jobs.lines(["iris"])) == {Line("iris", 0)}
    since = now() - timedelta(seconds=30)
    assert set(store.jobs.lines(all_three, since)) == {Line("loan", 4)}


def test_a_store_has_an_identity_of_its_own(store: Store, url: str) -> None:
    with open_store(url) as other:
        assert other.identity() == store.identity() > 0
