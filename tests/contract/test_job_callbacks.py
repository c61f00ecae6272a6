"""The contract of ``Callbacks``: owed by the end of a job, taken by one at a time, settled once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from modelway.backends.sql.jobs import store as jobs_store
from modelway.backends.sql.store import Store
from modelway.domain.errors import IllegalTransition
from modelway.domain.jobs import JobState
from modelway.jobs.callbacks import Callback, Callbacks, origin_of
from support.jobs import failed, lease, new_job, now, succeeded

URL = "https://hooks.example.com/jobs?of=7"
SOON = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def taken(store: Store, n: int = 100, lease_s: float = 60.0) -> list[Callback]:
    callbacks: Callbacks = store.jobs
    return list(callbacks.take(n, now() + SOON, lease_s))


def left(store: Store) -> set[str]:
    """The ids of the jobs that are there."""
    return {one.id for one in store.jobs.page(None, None, None, 99)}


def ended(store: Store, *ids: str) -> None:
    """Have jobs be handed in and answered."""
    store.jobs.enqueue([new_job(id, callback=URL) for id in ids])
    store.jobs.complete([succeeded(one) for one in lease(store)])


def test_the_end_of_a_job_is_owed_to_who_asked_for_it(store: Store) -> None:
    states = ("done", "dead", "cancelled", "expired")
    store.jobs.enqueue([new_job(id, callback=URL) for id in states[:3]])
    store.jobs.enqueue([new_job("quiet"), new_job("expired", callback=URL, hours=-1)])
    assert taken(store) == []
    store.jobs.cancel("cancelled")
    leased = {one.id: one for one in lease(store)}
    store.jobs.complete([succeeded(leased[id]) for id in ("done", "quiet")])
    store.jobs.fail([failed(leased["dead"])])
    owed = {one.job: one for one in taken(store)}
    assert {one.job: one.state for one in owed.values()} == {
        "done": JobState.SUCCEEDED,
        "dead": JobState.FAILED,
        "cancelled": JobState.CANCELLED,
        "expired": JobState.EXPIRED,
    }
    assert {one.url for one in owed.values()} == {URL}
    assert {one.tries for one in owed.values()} == {1}
    assert len({one.id for one in owed.values()}) == 4


def test_what_ended_a_second_time_or_too_late_is_owed_once(store: Store) -> None:
    store.jobs.enqueue([new_job("a", callback=URL)])
    (leased,) = lease(store)
    store.jobs.cancel("a")
    store.jobs.cancel("a")
    assert not store.jobs.complete([succeeded(leased)])
    assert len(taken(store)) == 1
    ended(store, "b")
    with pytest.raises(IllegalTransition):
        store.jobs.cancel("b")
    assert [one.job for one in taken(store)] == ["b"]


def test_one_is_taken_by_one_at_a_time_and_again_where_they_died(store: Store) -> None:
    ended(store, *"abc")
    first = taken(store, 2, lease_s=3600)
    assert len(first) == 2
    (last,) = taken(store, lease_s=-10)
    assert last.job not in {one.job for one in first}
    (again,) = taken(store)
    assert (again.id, again.tries) == (last.id, 2)
    assert taken(store) == []
    store.jobs.settle(last, None, None)  # by who was taken for dead
    assert not store.jobs.callbacks(last.job)[0].told


def test_those_of_some_origins_are_left(store: Store) -> None:
    urls = {
        "path": "https://hooks.example.com/jobs",
        "case": "HTTPS://Hooks.example.com/jobs",
        "query": "https://hooks.example.com?of=7",
        "bare": "https://hooks.example.com",
        "port": "https://hooks.example.com:444/jobs",
        "longer": "https://hooks.example.com.net/jobs",
        "like": "https://hooks_example.com/jobs",
    }
    store.jobs.enqueue([new_job(id, callback=url) for id, url in urls.items()])
    store.jobs.complete([succeeded(one) for one in lease(store)])
    but = [origin_of(urls["case"]), origin_of(urls["port"])]
    callbacks: Callbacks = store.jobs
    found = callbacks.take(100, now() + SOON, 60, but)
    assert {one.job for one in found} == {"longer", "like"}
    assert callbacks.take(100, now() + SOON, 60, but) == []
    assert len(taken(store)) == 5


def test_what_came_of_one_is_kept(store: Store) -> None:
    ended(store, "a")
    (one,) = taken(store)
    store.jobs.settle(one, "it answers 503\x00", now() - SOON)
    (later,) = taken(store)
    assert (later.id, later.tries) == (one.id, 2)
    assert later.error == "it answers 503 "
    store.jobs.settle(later, None, None)
    (told,) = store.jobs.callbacks("a")
    assert (told.told, told.tries, told.error, told.next_at) == (True, 2, None, None)
    assert taken(store) == []
    ended(store, "b")
    (other,) = taken(store)
    store.jobs.settle(other, "it answers 410", None)
    (given_up,) = store.jobs.callbacks("b")
    assert (given_up.told, given_up.error) == (False, "it answers 410")
    assert taken(store) == []


def test_what_is_queued_again_is_owed_when_it_ends_again(store: Store) -> None:
    store.jobs.enqueue([new_job("a", callback=URL), new_job("b", callback=URL)])
    leased = {one.id: one for one in lease(store)}
    store.jobs.fail([failed(leased["a"])])
    (first,) = taken(store)
    store.jobs.settle(first, None, None)
    store.jobs.fail([failed(leased["b"])])
    for id in "ab":
        store.jobs.retry(id, now())
    assert taken(store) == []
    store.jobs.complete([succeeded(one) for one in lease(store)])
    assert sorted(one.state for one in store.jobs.callbacks("a")) == ["failed", "succeeded"]
    assert [one.state for one in store.jobs.callbacks("b")] == ["succeeded"]
    assert len(taken(store)) == 2


def test_they_are_forgotten_with_their_job_once_nobody_is_to_be_told(store: Store) -> None:
    since = now()
    ended(store, "told", "later", "given up", "untried")
    owed = {one.job: one for one in taken(store) if one.job != "untried"}
    store.jobs.settle(owed["told"], None, None)
    store.jobs.settle(owed["given up"], "it answers 410", None)
    store.jobs.settle(owed["later"], "it answers 503", now() + HOUR)
    assert store.jobs.forget(now() + SOON, since) == 2
    assert left(store) == {"later", "untried"}
    assert store.jobs.callbacks("told") == store.jobs.callbacks("given up") == []
    assert store.jobs.result("later") is not None
    store.jobs.settle(owed["later"], None, None)
    assert store.jobs.forget(now() + SOON, since) == 1
    # Whoever was to tell of it does not any more, or would have by then.
    assert store.jobs.forget(now() + SOON, now()) == 1
    assert left(store) == set()
    assert store.jobs.callbacks("untried") == []
    assert taken(store) == []


def test_one_that_is_owed_keeps_no_other_job_from_being_forgotten(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_store, "_FORGOTTEN", 2)
    since = now()
    for owed in ("a", "bc", "def", "ghij"):  # some of them at the same moment, and in a row
        at = now()
        store.jobs.enqueue([new_job(f"{id}-owed", created_at=at, callback=URL) for id in owed])
        store.jobs.enqueue([new_job(f"{id}-{owed}", created_at=at) for id in owed])
    for id in ("a-owed", "a-a"):
        store.jobs.cancel(id)
    store.jobs.complete([succeeded(one) for one in lease(store)])
    assert store.jobs.forget(now() + SOON, since) == 10
    assert len(left(store)) == 10
    assert {id.partition("-")[2] for id in left(store)} == {"owed"}
    assert store.jobs.forget(now() + SOON, since) == 0
