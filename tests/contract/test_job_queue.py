"""The contract of ``JobQueue`` and ``JobStore``, on databases and on RabbitMQ over two of them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from modelway.backends.sql.store import Store, open_store
from modelway.domain.errors import (
    IdempotencyKeyReused,
    IdempotencyMismatch,
    IllegalTransition,
    InvalidInput,
    JobNotFound,
    PayloadTooLarge,
)
from modelway.domain.jobs import JobState, Payload
from modelway.jobs.ports import JobEnds, JobErasing, JobQueue, JobStore, QueueDepth, Succeeded
from support.brokers import DispatchedJobs, own_queues
from support.ending import together
from support.jobs import JSON, failed, held, lease, new_job, now, succeeded
from support.stores import KINDS, SERVERS, cut_connections, empty_database, rows_of

SOON = timedelta(seconds=0.1)
OVER = "rabbitmq over "
SPREAD = [pytest.param(OVER + on, marks=pytest.mark.services) for on in ("sqlite", "postgresql")]
Opened = Callable[[], AbstractContextManager[Store]]


@pytest.fixture(scope="module", params=(*KINDS, *SPREAD))
def kind(request: pytest.FixtureRequest) -> str:
    """Which database it is on, and whether a broker spreads its jobs."""
    return str(request.param)


@pytest.fixture(scope="module")
def module_url(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with tables, for the tests of one module."""
    with empty_database(kind.removeprefix(OVER), tmp_path_factory.mktemp("store")) as url:
        open_store(url).close()
        yield url


@pytest.fixture
def opened(kind: str, url: str) -> Iterator[Opened]:
    """What opens the store as one process does."""
    if not kind.startswith(OVER):
        yield lambda: open_store(url)
        return
    with own_queues("loan", "iris", "other", "a", "b", "c", "A") as broker:

        @contextmanager
        def spread() -> Iterator[Store]:
            with open_store(url, announces=True) as store:
                jobs: Any = DispatchedJobs(store.jobs, url, broker)
                with closing(jobs):
                    store.jobs = jobs
                    yield store

        yield spread


@pytest.fixture
def store(kind: str, opened: Opened, module_store: Store) -> Iterator[Store]:
    """The store, in which nothing is."""
    if kind.startswith(OVER):
        with opened() as store:
            yield store
    else:
        yield module_store


def test_it_is_what_its_ports_ask_for(store: Store) -> None:
    queue: JobQueue = store.jobs
    jobs: JobStore = store.jobs
    ends: JobEnds = store.jobs
    erasing: JobErasing = store.jobs
    assert erasing.erase([]) == 0
    assert ends.ended([]) == set()
    assert queue.enqueue([]) == []
    assert jobs.page(None, None, None, 9) == []


class TestEnqueueing:
    def test_jobs_are_kept_as_they_were_handed_in(self, store: Store) -> None:
        job = new_job(
            version="7", priority=9, principal="k1", callback="https://a/b", content=b"\0"
        )
        (kept,) = store.jobs.enqueue([job])
        assert kept == store.jobs.get(job.id)
        assert (kept.state, kept.attempt, kept.priority) == (JobState.QUEUED, 0, 9)
        assert (kept.created_at, kept.expires_at) == (job.created_at, job.expires_at)
        (leased,) = lease(store)
        assert (leased.input, leased.version, leased.principal) == (job.input, "7", "k1")

    def test_all_of_them_are_kept_or_none(self, store: Store) -> None:
        with pytest.raises(InvalidInput, match="endpoint: expected text"):
            store.jobs.enqueue([new_job("a"), new_job("b", endpoint="\0")])
        with pytest.raises(InvalidInput, match="priority: expected 0 to 9"):
            store.jobs.enqueue([new_job("a"), new_job("b", priority=10)])
        store.jobs.enqueue([new_job("b", fingerprint=b"1")])
        with pytest.raises(IdempotencyMismatch):
            store.jobs.enqueue([new_job("a"), new_job("b", fingerprint=b"2")])
        with pytest.raises(JobNotFound, match="'a'"):
            store.jobs.get("a")

    def test_the_same_key_gives_the_earlier_job_and_other_inputs_are_refused(
        self, store: Store
    ) -> None:
        first = new_job(idempotency_key="k" * 2000, fingerprint=b"1", principal="ann")
        again = replace(new_job(), idempotency_key=first.idempotency_key, fingerprint=b"1")
        (kept,) = store.jobs.enqueue([first])
        other = new_job()
        given = store.jobs.enqueue([other, replace(again, principal="ann")])
        assert [one.id for one in given] == [other.id, first.id]
        assert given[1] == replace(kept, position=None)
        with pytest.raises(IdempotencyKeyReused, match="kkkk"):
            store.jobs.enqueue([replace(again, principal="ann", fingerprint=b"2")])
        (own,) = store.jobs.enqueue([again])
        assert own.id == again.id
        assert len(lease(store)) == 3


class TestLeasing:
    def test_the_highest_priority_comes_first_and_of_one_priority_the_oldest(
        self, store: Store
    ) -> None:
        at = now()
        old = new_job("old", created_at=at - timedelta(seconds=1))
        jobs = [new_job("new", created_at=at), old, new_job("high", priority=9, created_at=at)]
        store.jobs.enqueue([*jobs, new_job("low", priority=0, created_at=at)])
        assert [one.id for one in lease(store, 3)] == ["high", "old", "new"]
        assert [one.id for one in lease(store)] == ["low"]
        assert lease(store) == []

    def test_a_token_is_the_number_of_the_attempt(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a")])
        for number in (1, 2, 3):
            (job,) = lease(store)
            assert (job.token, job.tries) == (number, number)
            assert store.jobs.fail([failed(job, now())]) == {"a"}

    def test_endpoints_take_turns_where_several_have_jobs_of_the_highest_priority(
        self, store: Store
    ) -> None:
        for name in ("a", "b", "c"):
            store.jobs.enqueue([new_job(endpoint=name) for _ in range(3)])
        store.jobs.enqueue([new_job(endpoint="c", priority=5)])
        taken = [lease(store, 1, "a", "b", "c")[0].endpoint for _ in range(10)]
        assert taken[0] == "c"
        assert [sorted(taken[k : k + 3]) for k in (1, 4, 7)] == [["a", "b", "c"]] * 3
        assert lease(store, 1, "a", "b", "c") == []

    # At a broker each worker has turns of its own.
    @pytest.mark.parametrize("kind", KINDS, indirect=True, scope="module")
    def test_several_workers_share_the_turns(self, store: Store, url: str) -> None:
        for name in ("a", "b"):
            store.jobs.enqueue([new_job(endpoint=name) for _ in range(3)])
        with open_store(url) as other:
            taken = [lease(one, 1, "a", "b")[0].endpoint for one in (store, other) * 3]
        assert sorted(taken) == ["a"] * 3 + ["b"] * 3
        assert [taken[k] for k in (0, 2, 4)] in (["a"] * 3, ["b"] * 3)

    def test_jobs_are_of_one_endpoint_and_of_none_that_was_not_asked(self, store: Store) -> None:
        store.jobs.enqueue([new_job(endpoint="a"), new_job(endpoint="b"), new_job(endpoint="A")])
        assert [one.endpoint for one in lease(store, 9, "a")] == ["a"]
        assert lease(store, 9, "a", "loan") == []

    def test_only_so_many_that_their_inputs_have_at_most_n_bytes_but_one_at_least(
        self, store: Store
    ) -> None:
        store.jobs.enqueue([new_job(str(n), content=bytes(100)) for n in range(5)])
        for most, n in ((0, 1), (250, 2), (100, 1)):
            assert len(store.jobs.lease({"loan": 9}, most, "w", 60)) == n

    def test_a_result_is_kept_with_the_version_that_gave_it(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a")])
        (job,) = lease(store)
        result = Payload(b"[1]", JSON, "7")
        assert store.jobs.complete([Succeeded(job.id, job.token, result)]) == {"a"}
        assert store.jobs.result("a") == result

    def test_a_lease_that_ran_out_is_given_to_another_and_the_first_counts_not(
        self, store: Store
    ) -> None:
        store.jobs.enqueue([new_job("a")])
        (first,) = lease(store, lease_s=1)
        assert lease(store) == []
        time.sleep(1.01)
        (second,) = lease(store)
        assert (second.id, second.token, second.tries) == ("a", 2, 2)
        assert store.jobs.complete([succeeded(first)]) == set()
        assert store.jobs.fail([failed(first)]) == set()
        assert store.jobs.extend([held(first), held(second)], 60) == {"a"}
        assert store.jobs.complete([succeeded(first), succeeded(second, b"[3]")]) == {"a"}
        assert store.jobs.result("a") == Payload(b"[3]", JSON)
        assert [one.outcome for one in store.jobs.attempts("a")] == ["lapsed", "succeeded"]

    def test_a_lease_that_ran_out_counts_until_it_is_given_to_another(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a")])
        (job,) = lease(store, lease_s=0)
        assert store.jobs.complete([succeeded(job)]) == {"a"}

    def test_extended_leases_last(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a")])
        (job,) = lease(store, lease_s=0.05)
        assert store.jobs.extend([held(job)], 60) == {"a"}
        time.sleep(0.06)
        assert lease(store) == []
        assert store.jobs.cancel("a").state is JobState.CANCELLED
        assert store.jobs.extend([held(job)], 60) == set()

    def test_how_far_an_attempt_is_is_noted_until_it_ends(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a", rows=1000), new_job("b", rows=7), new_job("c")])
        first, second, unknown = lease(store)
        extended = [held(first, 300), held(second), held(unknown)]
        assert store.jobs.extend(extended, 60) == {"a", "b", "c"}
        assert _progress(store, "abc") == [(1000, 300), (7, 0), (None, 0)]
        store.jobs.complete([succeeded(first), succeeded(unknown)])
        store.jobs.extend([held(second, 4)], 60)
        assert _progress(store, "abc") == [(1000, 1000), (7, 4), (None, 0)]
        store.jobs.fail([failed(second, now())])
        assert _progress(store, "b") == [(7, 0)]

    def test_of_each_endpoint_at_most_as_many_as_are_wanted_are_leased(self, store: Store) -> None:
        store.jobs.enqueue([new_job(f"{name}{k}", endpoint=name) for name in "xy" for k in "12"])
        wanted = {"x": 1, "y": 2}
        found = [store.jobs.lease(wanted, 2**20, "w", 60) for _ in range(4)]
        assert sorted(sorted(one.id for one in some) for some in found) == [
            *([], ["x1"], ["x2"], ["y1", "y2"])
        ]

    def test_one_whose_time_is_over_is_never_leased(self, store: Store) -> None:
        store.jobs.enqueue([new_job("late", hours=0), new_job("held", hours=2 / 3600)])
        assert [one.id for one in lease(store, lease_s=0.05)] == ["held"]
        time.sleep(2.02)
        assert lease(store) == []
        assert {store.jobs.get(id).state for id in ("late", "held")} == {JobState.EXPIRED}
        assert [one.outcome for one in store.jobs.attempts("held")] == ["expired"]

    def test_however_many_are_over_the_next_is_found(self, store: Store) -> None:
        over = [new_job(hours=-1, created_at=now() - timedelta(hours=2)) for _ in range(1500)]
        store.jobs.enqueue([*over, new_job("a")])
        assert [one.id for one in lease(store)] == ["a"]

    def test_a_retry_waits_for_its_time(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a"), new_job("b")])
        jobs = lease(store)
        at = now() + timedelta(seconds=2)
        assert store.jobs.fail([failed(one, at) for one in jobs]) == {"a", "b"}
        waiting = store.jobs.get("a")
        assert (waiting.state, waiting.error) == (JobState.QUEUED, "no")
        assert lease(store) == []
        time.sleep(2.01)
        assert [one.token for one in lease(store)] == [2, 2]
        assert [one.outcome for one in store.jobs.attempts("a")] == ["retried", None]

    def test_what_was_given_back_was_not_tried(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a")])
        (job,) = lease(store)
        assert store.jobs.fail([replace(failed(job, now()), counts=False)]) == {"a"}
        (again,) = lease(store)
        assert (again.token, again.tries) == (2, 1)


class TestWaiting:
    def test_it_returns_at_once_where_there_is_something_to_lease(self, store: Store) -> None:
        store.jobs.enqueue([new_job()])
        assert waited(store, 20) < 10

    def test_it_returns_at_the_latest_after_its_seconds(self, store: Store) -> None:
        store.jobs.enqueue([new_job(endpoint="other")])
        assert 0.3 <= waited(store, 0.3) < 10

    def test_it_returns_when_a_job_comes(self, store: Store, opened: Opened) -> None:
        waited(store, 0.1)
        with opened() as other:
            later = threading.Timer(0.3, lambda: other.jobs.enqueue([new_job()]))
            later.start()
            assert 0.25 <= waited(store, 20) < 10
            later.join()

    @pytest.mark.parametrize("kind", SERVERS, indirect=True, scope="module")
    def test_a_connection_that_broke_between_two_waits_is_replaced(
        self, store: Store, url: str
    ) -> None:
        waited(store, 0.05)
        assert cut_connections(url) > 0
        assert 0.2 <= waited(store, 0.2) < 10

    def test_it_returns_when_a_retry_or_a_lapsed_lease_becomes_due(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a")])
        (job,) = lease(store, lease_s=0.2)
        assert waited(store, 20) < 10
        (job,) = lease(store)
        store.jobs.fail([failed(job, now() + 2 * SOON)])
        assert waited(store, 20) < 10
        assert len(lease(store)) == 1


class TestEnding:
    def test_what_is_complete_has_its_result_and_counts_once(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a"), new_job("b")])
        first, second = lease(store)
        assert store.jobs.complete([succeeded(first), succeeded(first, b"x")]) == {"a"}
        assert store.jobs.complete([succeeded(first), succeeded(second)]) == {"b"}
        assert store.jobs.result("a") == Payload(b"[2]", JSON)
        assert store.jobs.get("a").state is JobState.SUCCEEDED
        assert store.jobs.fail([failed(first)]) == set()

    def test_what_fails_for_good_has_its_error(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a")])
        (job,) = lease(store)
        assert store.jobs.fail([failed(job, error="a\0b \ud800")]) == {"a"}
        dead = store.jobs.get("a")
        assert (dead.state, dead.error_code) == (JobState.FAILED, "predict-failed")
        assert dead.error == "a\N{REPLACEMENT CHARACTER}b ?"
        assert store.jobs.result("a") is None
        assert lease(store) == []

    def test_results_are_kept_all_of_them_or_none(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a"), new_job("b")])
        first, second = lease(store)
        wrong = replace(succeeded(second), result=Payload(b"", "\0"))
        with pytest.raises(InvalidInput, match="media_type"):
            store.jobs.complete([succeeded(first), wrong])
        assert store.jobs.get("a").state is JobState.LEASED
        assert store.jobs.result("a") is None
        assert store.jobs.complete([succeeded(first), succeeded(second)]) == {"a", "b"}

    def test_large_payloads_come_back_and_too_large_ones_are_refused(
        self, store: Store, kind: str
    ) -> None:
        large = os.urandom(6 * 2**20)
        store.jobs.enqueue([new_job("a", content=large)])
        (job,) = lease(store)
        assert job.input.content == large
        assert store.jobs.complete([succeeded(job, large)]) == {"a"}
        assert store.jobs.result("a") == Payload(large, JSON)
        assert store.jobs.result("a", len(large)) == Payload(large, JSON)
        assert store.jobs.result("a", len(large) - 1) is None
        if kind == "mariadb":
            with pytest.raises(PayloadTooLarge, match="the store takes at most"):
                store.jobs.enqueue([new_job("b", content=bytes(9 * 2**20))])

    def test_cancel_ends_a_job_that_is_not_done_also_a_leased_one(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a"), new_job("b")])
        (job,) = lease(store, 1)
        for id in ("a", "b", "a", "b"):
            assert store.jobs.cancel(id).state is JobState.CANCELLED
        assert store.jobs.complete([succeeded(job)]) == set()
        assert [one.outcome for one in store.jobs.attempts(job.id)] == ["cancelled"]
        assert lease(store) == []
        with pytest.raises(JobNotFound):
            store.jobs.cancel("c")

    def test_what_is_done_cannot_be_cancelled(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a")])
        store.jobs.complete([succeeded(one) for one in lease(store)])
        with pytest.raises(IllegalTransition, match="'a' is succeeded, and cannot be cancelled"):
            store.jobs.cancel("a")


class TestReading:
    def test_a_queued_job_has_its_position(self, store: Store) -> None:
        kept = store.jobs.enqueue([new_job("other", endpoint="a"), new_job("a"), new_job("b")])
        kept = [*kept, *store.jobs.enqueue([new_job("high", priority=9), new_job("last")])]
        assert [one.position for one in kept] == [1, 1, 2, 1, 4]
        assert [store.jobs.get(id).position for id in ("high", "a", "b", "other")] == [1, 2, 3, 1]
        lease(store, 1)
        assert [store.jobs.get(id).position for id in ("high", "a", "b")] == [None, 1, 2]

    def test_a_page_has_the_newest_first(self, store: Store) -> None:
        at = now()
        for n in range(6):
            endpoint = "loan" if n % 2 else "iris"
            created_at = at + n * SOON
            job = new_job(f"j{n}", endpoint=endpoint, priority=9 - n, created_at=created_at)
            store.jobs.enqueue([job])
        store.jobs.cancel("j3")

        def page(*asked: Any) -> list[str]:
            return [one.id for one in store.jobs.page(*asked)]

        assert page(None, None, None, 4) == ["j5", "j4", "j3", "j2"]
        assert page(None, None, "j2", 4) == ["j1", "j0"]
        assert page(JobState.QUEUED, None, None, 9) == ["j5", "j4", "j2", "j1", "j0"]
        assert page(JobState.QUEUED, "loan", "j5", 9) == ["j1"]
        for of, before in ((None, "nobody"), ("iris", "nobody"), ("iris", "j5")):
            with pytest.raises(JobNotFound) as refused:
                page(None, of, before, 9)
            assert refused.value.message == JobNotFound(before).message

    def test_attempts_are_every_lease_in_order(self, store: Store) -> None:
        store.jobs.enqueue([new_job("a")])
        assert store.jobs.attempts("a") == []
        (job,) = lease(store)
        (running,) = store.jobs.attempts("a")
        assert (running.number, running.worker, running.outcome) == (1, "worker", None)
        store.jobs.fail([failed(job)])
        (ended,) = store.jobs.attempts("a")
        assert (ended.outcome, ended.error_code, ended.error) == ("failed", "predict-failed", "no")
        assert ended.ended_at is not None
        assert ended.started_at == running.started_at <= ended.ended_at

    def test_those_that_are_done_have_ended_and_those_that_are_gone(self, store: Store) -> None:
        store.jobs.enqueue([new_job(id) for id in ("waits", "runs", "done", "dead", "cancelled")])
        store.jobs.cancel("cancelled")
        leased = {one.id: one for one in lease(store)}
        store.jobs.complete([succeeded(leased["done"])])
        store.jobs.fail([failed(leased["dead"]), failed(leased["waits"], now())])
        asked = ["waits", "runs", "done", "dead", "cancelled", "gone"]
        assert store.jobs.ended(asked) == {"done", "dead", "cancelled", "gone"}
        store.jobs.retry("dead", now())
        assert "dead" not in store.jobs.ended(asked)

    def test_depths_are_what_waits_by_endpoint(self, store: Store) -> None:
        old = now() - timedelta(hours=1)
        store.jobs.enqueue([new_job("a", hours=2, created_at=old), new_job("b"), new_job("c")])
        store.jobs.enqueue([new_job(endpoint="iris")])
        first, second = lease(store, 2)
        store.jobs.fail([failed(first, now() + timedelta(hours=1)), failed(second)])
        assert store.jobs.depths() == {
            "iris": QueueDepth(
                "iris", 1, 0, 0, store.jobs.page(None, "iris", None, 1)[0].created_at
            ),
            "loan": QueueDepth("loan", 2, 0, 1, old),
        }
        lease(store)
        assert store.jobs.depths()["loan"].leased == 1

    def test_a_dead_letter_is_queued_again_with_all_its_attempts_and_time(
        self, store: Store
    ) -> None:
        store.jobs.enqueue([new_job("a", hours=1, created_at=now() - timedelta(minutes=59))])
        (job,) = lease(store)
        with pytest.raises(IllegalTransition, match="'a' is leased, and cannot be queued"):
            # Whose lease ran out is queued by the queue alone.
            store.jobs.retry("a", now())
        store.jobs.fail([failed(job)])
        at = now()
        again = store.jobs.retry("a", at)
        assert (again.state, again.expires_at) == (JobState.QUEUED, at + timedelta(hours=1))
        (job,) = lease(store)
        assert (job.token, job.tries) == (2, 1)
        store.jobs.cancel("a")
        assert store.jobs.retry("a", now()).ended_at is None
        store.jobs.complete([succeeded(one) for one in lease(store)])
        with pytest.raises(IllegalTransition, match="'a' is succeeded, and cannot be queued"):
            store.jobs.retry("a", now())
        with pytest.raises(JobNotFound):
            store.jobs.retry("b", now())

    def test_forget_removes_what_ended_before_with_all_that_belongs_to_it(
        self, store: Store, url: str
    ) -> None:
        store.jobs.enqueue([new_job("a"), new_job("b"), new_job("c")])
        done = lease(store, 2)
        store.jobs.complete([succeeded(done[0])])
        store.jobs.fail([failed(done[1])])
        assert store.jobs.forget(now() - timedelta(hours=1), now()) == 0
        assert store.jobs.forget(now(), now()) == 2
        assert [one.id for one in store.jobs.page(None, None, None, 9)] == ["c"]
        assert store.jobs.result("a") is None
        assert rows_of(url, "SELECT job FROM modelway_job_payloads") == [("c",)]
        assert rows_of(url, "SELECT job FROM modelway_job_attempts") == []

    def test_erase_removes_jobs_whatever_their_state_with_all_that_belongs_to_them(
        self, store: Store, url: str
    ) -> None:
        ids = ("waits", "runs", "again", "done", "dead", "cancelled")
        store.jobs.enqueue([new_job(id, callback="https://a/b") for id in ids[1:]])
        store.jobs.cancel("cancelled")
        leased = {one.id: one for one in lease(store)}
        store.jobs.complete([succeeded(leased["done"])])
        store.jobs.fail([failed(leased["dead"]), failed(leased["again"], now() + SOON)])
        store.jobs.enqueue([new_job("waits"), new_job("other")])
        assert store.jobs.erase([*ids, "done", "nobody"]) == len(ids)
        for kept in ("payloads", "callbacks", "attempts", "outbox"):
            found = rows_of(url, f"SELECT DISTINCT job FROM modelway_job_{kept}")
            assert set(found) <= {("other",)}, kept
        assert store.jobs.extend([held(leased["runs"])], 60.0) == set()
        assert store.jobs.complete([succeeded(leased["runs"])]) == set()
        assert store.jobs.ended(["runs"]) == {"runs"}
        assert store.jobs.erase(ids) == 0
        assert [one.id for one in store.jobs.page(None, None, None, 9)] == ["other"]
        assert [one.id for one in lease(store)] == ["other"]
        (again,) = store.jobs.enqueue([new_job("done", content=b"[3]", fingerprint=b"other")])
        assert again.state == JobState.QUEUED

    def test_a_result_that_is_kept_while_its_job_is_erased_goes_with_it(
        self, store: Store, url: str
    ) -> None:
        ids = [f"job-{k}" for k in range(20)]
        store.jobs.enqueue([new_job(id) for id in ids])
        leased = lease(store)
        assert len(leased) == len(ids)
        together(
            lambda: [store.jobs.complete([succeeded(one)]) for one in leased],
            lambda: [store.jobs.erase([id]) for id in ids],
        )
        assert rows_of(url, "SELECT job FROM modelway_job_payloads") == []


def waited(store: Store, seconds: float) -> float:
    """How long a wait for jobs of ``loan`` took."""
    began = time.monotonic()
    store.jobs.wait(["loan"], seconds)
    return time.monotonic() - began


def _progress(store: Store, ids: str) -> list[tuple[int | None, int]]:
    """How many rows the jobs have, and how many of them are answered."""
    jobs = [store.jobs.get(id) for id in ids]
    return [(one.rows, one.rows_done) for one in jobs]
