"""The contracts of ``Schedules`` and ``ScheduleRuns``, over SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelway.backends.sql.store import Store
from modelway.batch.schedules import (
    KEPT_RUNS,
    Ended,
    RunState,
    ScheduledRun,
    ScheduleRuns,
    Schedules,
    Tally,
)
from modelway.domain.errors import Conflict, InvalidInput, ScheduleNotFound
from support.schedules import MINUTE, NOON, run, schedule
from support.stores import processes_at_once

TESTS = str(Path(__file__).parents[1])
LATER = NOON + MINUTE
DONE = Ended(RunState.SUCCEEDED, 0, "150 rows", LATER)


@pytest.fixture
def schedules(store: Store) -> Schedules:
    return store.schedules


@pytest.fixture
def runs(store: Store) -> ScheduleRuns:
    """With one schedule, which is due at noon."""
    store.schedules.add(schedule())
    return store.schedule_runs


def kept(store: Store) -> ScheduledRun:
    (one,) = store.schedules.runs("nightly", 10)
    return one


def test_a_schedule_is_kept_under_a_name_that_no_other_has(schedules: Schedules) -> None:
    first = schedule()
    schedules.add(first)
    with pytest.raises(Conflict, match="nightly"):
        schedules.add(schedule(cron="0 0 * * *"))
    schedules.add(schedule("Nightly"))
    assert schedules.get("nightly") == first
    with pytest.raises(ScheduleNotFound, match="weekly"):
        schedules.get("weekly")
    with pytest.raises(InvalidInput):
        schedules.add(schedule("folder", folder="a\0b"))


def test_schedules_are_given_in_the_order_of_their_names(schedules: Schedules) -> None:
    for name in ("b", "a", "c"):
        schedules.add(schedule(name))
    assert [one.name for one in schedules.all()] == ["a", "b", "c"]


def test_what_is_removed_is_forgotten_with_its_runs(store: Store, runs: ScheduleRuns) -> None:
    store.schedules.add(schedule("other"))
    runs.enter(schedule(), run(), LATER)
    runs.enter(schedule("other"), run(schedule="other"), LATER)
    store.schedules.remove("nightly")
    with pytest.raises(ScheduleNotFound):
        store.schedules.remove("nightly")
    assert store.schedules.runs("nightly", 10) == []
    assert len(store.schedules.runs("other", 10)) == 1
    assert not runs.extend(run(), LATER + MINUTE)
    assert not runs.end(run(), DONE)
    assert [one.name for one in store.schedules.all()] == ["other"]


def test_the_schedules_of_a_home_that_are_due_are_given_the_longest_first(
    store: Store, runs: ScheduleRuns
) -> None:
    store.schedules.add(schedule("older", next_due=NOON - MINUTE))
    store.schedules.add(schedule("later", next_due=LATER))
    store.schedules.add(schedule("other", home="home-2"))
    assert [one.name for one in runs.due("home-1", NOON)] == ["older", "nightly"]
    assert runs.due("home-3", LATER) == []


def test_a_run_is_entered_as_its_schedule_is_moved_on_and_once_only(
    store: Store, runs: ScheduleRuns
) -> None:
    assert runs.enter(schedule(), run(), LATER)
    assert not runs.enter(schedule(), run(host="host-2"), LATER)
    assert kept(store) == run()
    assert store.schedules.get("nightly").next_due == LATER
    assert runs.due("home-1", NOON) == []
    assert runs.under_way("home-1") == [(schedule(next_due=LATER), run())]
    assert runs.under_way("home-2") == []


def test_of_a_schedule_that_was_made_anew_no_run_is_entered(
    store: Store, runs: ScheduleRuns
) -> None:
    store.schedules.remove("nightly")
    assert not runs.enter(schedule(), run(), LATER)
    store.schedules.add(schedule(created_at=NOON))
    assert not runs.enter(schedule(), run(), LATER)
    assert store.schedules.runs("nightly", 10) == []


def test_of_many_processes_that_enter_a_run_at_once_one_does(
    store: Store, runs: ScheduleRuns, url: str
) -> None:
    script = """
import sys
sys.path.insert(0, sys.argv[3])
from modelway.backends.sql.store import open_store
from support.schedules import MINUTE, NOON, run, schedule
with open_store(sys.argv[1]) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    dues = [NOON + k * MINUTE for k in range(20)]
    entered = [
        store.schedule_runs.enter(schedule(next_due=due), run(due, host=sys.argv[2]), due + MINUTE)
        for due in dues
    ]
    print(sum(entered))
"""
    hosts = ["host-1", "host-2", "host-3"]
    counts = processes_at_once(script, [(url, host, TESTS) for host in hosts])
    assert sum(map(int, counts)) == 20
    found = store.schedules.runs("nightly", 100)
    assert [one.due_at for one in found] == [NOON + k * MINUTE for k in reversed(range(20))]
    assert [sum(one.host == host for one in found) for host in hosts] == list(map(int, counts))


def test_a_run_is_taken_once_its_lease_ran_out_by_one(store: Store, runs: ScheduleRuns) -> None:
    runs.enter(schedule(), run(), LATER)
    assert runs.take(run(), "host-2", NOON, LATER) is None
    taken = runs.take(run(), "host-2", LATER, LATER + MINUTE)
    assert taken == run(attempt=2, tries=2, host="host-2", until=LATER + MINUTE)
    assert kept(store) == taken
    assert runs.take(run(), "host-3", LATER + 2 * MINUTE, LATER + 3 * MINUTE) is None
    assert not runs.extend(run(), LATER + MINUTE)
    assert not runs.give_back(run(), LATER, counts=True)
    assert not runs.end(run(), DONE)
    assert kept(store) == taken


def test_a_lease_is_kept_for_longer(store: Store, runs: ScheduleRuns) -> None:
    runs.enter(schedule(), run(), LATER)
    assert runs.extend(run(), LATER + MINUTE)
    assert runs.extend(run(), LATER + MINUTE)
    assert kept(store).until == LATER + MINUTE
    assert runs.take(run(), "host-2", LATER, LATER + MINUTE) is None


@pytest.mark.parametrize(("counts", "tries"), [(True, 2), (False, 1)])
def test_what_is_given_back_is_taken_from_a_time_on(
    store: Store, runs: ScheduleRuns, *, counts: bool, tries: int
) -> None:
    runs.enter(schedule(), run(), LATER)
    assert runs.give_back(run(), NOON, counts=counts)
    assert runs.take(kept(store), "host-2", NOON - MINUTE, LATER) is None
    taken = runs.take(kept(store), "host-2", NOON, LATER)
    assert taken is not None
    assert (taken.attempt, taken.tries, taken.host) == (2, tries, "host-2")


def test_what_has_ended_stays_as_it_ended(store: Store, runs: ScheduleRuns) -> None:
    runs.enter(schedule(), run(), LATER)
    failed = Ended(RunState.FAILED, 12, "it said\0\ud800 no", LATER)
    assert runs.end(run(), failed)
    ended = kept(store)
    assert (ended.state, ended.exit_code, ended.ended_at) == (RunState.FAILED, 12, LATER)
    assert (ended.detail, ended.until) == ("it said \\ud800 no", None)
    assert not runs.end(run(), DONE)
    assert not runs.extend(run(), LATER)
    assert runs.take(replace(ended, until=NOON), "host-2", LATER, LATER) is None
    assert runs.under_way("home-1") == []
    assert kept(store) == ended


def test_the_newest_runs_are_kept_and_those_that_have_not_ended(
    store: Store, runs: ScheduleRuns
) -> None:
    runs.enter(schedule(), run(), LATER)
    for k in range(1, KEPT_RUNS + 5):
        due = NOON + k * MINUTE
        missed = run(due, state=RunState.MISSED, attempt=0, tries=0, until=None, dues=1000)
        assert runs.enter(schedule(next_due=due), missed, due + MINUTE)
    found = store.schedules.runs("nightly", 1000)
    assert len(found) == KEPT_RUNS + 1
    assert found[-1] == run()
    assert found[0].due_at == NOON + (KEPT_RUNS + 4) * MINUTE
    assert [one.due_at for one in store.schedules.runs("nightly", 2)] == [
        NOON + (KEPT_RUNS + k) * MINUTE for k in (4, 3)
    ]


def test_the_last_run_that_succeeded_is_kept_until_another_does(
    store: Store, runs: ScheduleRuns
) -> None:
    for k in range(KEPT_RUNS + 5):
        due = NOON + k * MINUTE
        state = RunState.SUCCEEDED if k < 3 else RunState.FAILED
        assert runs.enter(schedule(next_due=due), run(due, state=state, until=None), due + MINUTE)
    found = store.schedules.runs("nightly", 1000)
    assert len(found) == KEPT_RUNS + 1
    assert (found[-1].due_at, found[-1].state) == (NOON + 2 * MINUTE, RunState.SUCCEEDED)


def test_the_runs_of_a_home_are_counted_by_schedule_and_state(
    store: Store, runs: ScheduleRuns
) -> None:
    ends: list[dict[str, Any]] = [
        {"state": RunState.SUCCEEDED},
        {"state": RunState.SUCCEEDED},
        {"state": RunState.FAILED},
        {"state": RunState.MISSED, "attempt": 0, "tries": 0, "dues": 7},
        {"state": RunState.RUNNING},
    ]
    for k, end in enumerate(ends):
        due = NOON + k * MINUTE
        ended_at = None if end["state"] is RunState.RUNNING else due + MINUTE / 2
        assert runs.enter(schedule(next_due=due), run(due, ended_at=ended_at, **end), due + MINUTE)
    store.schedules.add(schedule("weekly"))
    store.schedules.add(schedule("other", home="home-2"))
    counts = {
        RunState.SUCCEEDED: 2,
        RunState.FAILED: 1,
        RunState.MISSED: 7,
        RunState.RUNNING: 1,
    }
    last = {
        RunState.SUCCEEDED: NOON + 1.5 * MINUTE,
        RunState.FAILED: NOON + 2.5 * MINUTE,
        RunState.MISSED: NOON + 3.5 * MINUTE,
    }
    assert store.schedules.tallies("home-1") == {
        "nightly": Tally(counts, last),
        "weekly": Tally({}, {}),
    }
    assert store.schedules.tallies("home-3") == {}
