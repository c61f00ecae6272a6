"""What is due is run once, on a real store and a clock that goes on when it is told to."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from modelway.backends.sql.store import Store, open_store
from modelway.batch.schedules import RunState, Schedule, ScheduledRun
from modelway.batch.timekeeping import AGAIN_AFTER, AWAY, GRACE, LEASE, MOST_TRIES, Timekeeper
from modelway.domain.errors import InvalidInput, StoreUnavailable
from support.schedules import MINUTE, NOON, Clock, schedule

SECOND = timedelta(seconds=1)


class Program:
    """A run that ends when it is told to, and was ended by a signal when it is stopped."""

    def __init__(self, run: ScheduledRun) -> None:
        self.run = run
        self.code: int | None = None
        self.is_forgotten = False
        self.surprise: OSError | None = None

    def exit_code(self) -> int | None:
        return self.code

    def said(self) -> str:
        if self.surprise is not None:
            raise self.surprise
        return f"it ended with {self.code}"

    def interrupt(self) -> None:
        self.code = 130 if self.code is None else self.code

    def stop(self) -> None:
        self.interrupt()

    def forget(self) -> None:
        self.is_forgotten = True


class Host:
    """A host that tends to ``home-1``, and what it has begun."""

    def __init__(self, store: Store, clock: Clock, name: str = "host-1") -> None:
        self.begun: list[Program] = []
        self.refuses = False
        runs = store.schedule_runs
        self.timekeeper = Timekeeper(runs, "home-1", name, self._begin, clock)

    def _begin(self, of: Schedule, run: ScheduledRun) -> Program:
        assert of.name == run.schedule
        if self.refuses:
            raise InvalidInput("its folder is gone")
        self.begun.append(Program(run))
        return self.begun[-1]

    def looks(self) -> list[Program]:
        """Look once; gives what was begun by that."""
        n = len(self.begun)
        self.timekeeper.once()
        return self.begun[n:]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'control.db'}") as store:
        store.schedules.add(schedule())
        yield store


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def host(store: Store, clock: Clock) -> Host:
    return Host(store, clock)


def told(store: Store) -> list[tuple[int, str, int]]:
    """Of each run, the oldest first: minutes after noon, what became of it, its dues."""
    runs = store.schedules.runs("nightly", 1000)
    return [((one.due_at - NOON) // MINUTE, one.state.value, one.dues) for one in reversed(runs)]


def test_what_is_due_is_run_once_and_its_end_is_kept(
    store: Store, clock: Clock, host: Host
) -> None:
    clock.at = NOON - SECOND
    assert host.looks() == []
    clock.at = NOON + SECOND
    (program,) = host.looks()
    assert host.looks() == []
    assert program.run == ScheduledRun(
        "nightly", NOON, RunState.RUNNING, 1, 1, "host-1", clock.at, clock.at + LEASE
    )
    clock.goes_on(seconds=5)
    program.code = 11
    assert host.looks() == []
    (kept,) = store.schedules.runs("nightly", 10)
    assert (kept.state, kept.exit_code, kept.ended_at) == (RunState.SUCCEEDED, 11, clock.at)
    assert kept.detail == "it ended with 11"
    assert program.is_forgotten
    clock.at = NOON + MINUTE
    assert len(host.looks()) == 1


@pytest.mark.parametrize("code", [1, 4, 12])
def test_what_ends_with_an_error_has_failed_and_the_next_is_run(
    store: Store, clock: Clock, host: Host, code: int
) -> None:
    (program,) = host.looks()
    program.code = code
    host.looks()
    assert told(store) == [(0, "failed", 1)]
    clock.goes_on(minutes=1)
    assert len(host.looks()) == 1


def test_of_two_hosts_one_runs_it(store: Store, clock: Clock) -> None:
    hosts = [Host(store, clock, name) for name in ("host-1", "host-2")]
    for k in range(6):
        first, second = hosts if k % 2 else reversed(hosts)
        (program,) = [*first.looks(), *second.looks()]
        program.code = 0
        first.looks()
        second.looks()
        clock.goes_on(minutes=1)
    assert told(store) == [(k, "succeeded", 1) for k in range(6)]
    assert [len(one.begun) for one in hosts] == [3, 3]


def test_what_was_due_while_nobody_looked_is_one_run_that_was_missed(
    store: Store, clock: Clock, host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    clock.at = NOON + 10 * MINUTE + 20 * SECOND
    with caplog.at_level(logging.WARNING):
        assert host.looks() == []
    assert "schedule nightly: missed what was due at 2026-03-05 12:00 UTC" in caplog.text
    (program,) = host.looks()
    assert program.run.due_at == NOON + 10 * MINUTE
    program.code = 0
    host.looks()
    assert told(store) == [(0, "missed", 10), (10, "succeeded", 1)]
    assert "10 times" in store.schedules.runs("nightly", 10)[1].detail


def test_what_is_looked_at_within_the_grace_is_run(store: Store, clock: Clock, host: Host) -> None:
    store.schedules.remove("nightly")
    store.schedules.add(schedule(cron="0 12 * * *"))
    clock.at = NOON + GRACE
    assert len(host.looks()) == 1


def test_a_clock_that_jumps_makes_one_run(store: Store, clock: Clock, host: Host) -> None:
    clock.goes_on(days=40 * 365)
    host.looks()
    assert told(store) == [(0, "missed", 1000)]
    assert "1000 times or more" in store.schedules.runs("nightly", 1)[0].detail
    next_due = store.schedules.get("nightly").next_due
    assert clock.at - GRACE <= next_due < clock.at + MINUTE


def test_what_comes_due_while_the_run_before_runs_is_missed(
    store: Store, clock: Clock, host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    (program,) = host.looks()
    for _ in range(30):
        clock.goes_on(seconds=5)
        assert host.looks() == []
    assert told(store) == [(0, "running", 1), (1, "missed", 1), (2, "missed", 1)]
    assert "the run before was still under way" in caplog.text
    program.code = 0
    clock.goes_on(seconds=30)
    (program,) = host.looks()
    assert program.run.due_at == NOON + 3 * MINUTE


def test_a_run_of_a_host_that_died_is_gone_on_with_once_its_lease_is_over(
    store: Store, clock: Clock, host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    (first,) = host.looks()
    other = Host(store, clock, "host-2")
    clock.at += LEASE - SECOND
    assert other.looks() == []
    clock.at += SECOND
    (second,) = other.looks()
    assert second.run == replace(
        first.run, attempt=2, tries=2, host="host-2", until=clock.at + LEASE
    )
    # It was not dead: what it finds is that its lease is lost, and nothing it says counts.
    assert host.looks() == []
    assert first.code == 130
    assert "schedule nightly: the lease of its run is lost" in caplog.text
    second.code = 0
    other.looks()
    assert told(store) == [(0, "succeeded", 1)]


def test_an_end_that_is_said_too_late_changes_nothing(
    store: Store, clock: Clock, host: Host
) -> None:
    (first,) = host.looks()
    clock.at += LEASE
    other = Host(store, clock, "host-2")
    (second,) = other.looks()
    first.code = 1
    host.looks()
    assert not first.is_forgotten
    assert told(store) == [(0, "running", 1)]
    second.code = 0
    other.looks()
    assert told(store) == [(0, "succeeded", 1)]


def test_a_run_that_kills_its_process_has_failed_in_the_end(
    store: Store, clock: Clock, host: Host
) -> None:
    for attempt in range(1, MOST_TRIES + 1):
        program = host.looks()[0]
        assert program.run.attempt == attempt
        program.code = 137
    assert host.looks() == []
    assert told(store) == [(0, "failed", 1)]
    assert store.schedules.runs("nightly", 1)[0].detail == f"{MOST_TRIES} attempts died"


def test_a_run_that_finds_away_what_it_needs_is_begun_again_until_it_is_there(
    store: Store, clock: Clock, host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    (program,) = host.looks()
    for attempt in range(2, MOST_TRIES + 4):
        program.code = 8
        assert host.looks() == []
        clock.at += AGAIN_AFTER - SECOND
        assert host.looks() == []
        clock.at += SECOND
        (program,) = host.looks()
        assert (program.run.attempt, program.run.tries) == (attempt, 1)
    assert caplog.text.count("its run waits for what is away: it ended with 8") == 1
    program.code = 0
    host.looks()
    assert told(store)[0] == (0, "succeeded", 1)


def test_a_run_has_failed_where_what_it_needs_is_away_for_long(
    store: Store, clock: Clock, host: Host
) -> None:
    (program,) = host.looks()
    program.code = 8
    host.looks()
    clock.at += AWAY - AGAIN_AFTER
    (program,) = host.looks()
    program.code = 8
    host.looks()
    clock.at += AGAIN_AFTER
    (program,) = host.looks()
    program.code = 8
    host.looks()
    first = store.schedules.runs("nightly", 100)[-1]
    assert (first.state, first.exit_code) == (RunState.FAILED, 8)
    assert first.detail == "it ended with 8"


def test_what_is_left_at_an_end_is_gone_on_with_at_once_and_as_often_as_need_be(
    store: Store, clock: Clock
) -> None:
    for attempt in range(1, MOST_TRIES + 3):
        host = Host(store, clock)
        (program,) = host.looks()
        assert (program.run.attempt, program.run.tries) == (attempt, 1)
        host.timekeeper.end()
        assert program.code == 130
    assert told(store) == [(0, "running", 1)]


def test_what_was_done_as_it_was_ended_was_done(store: Store, host: Host) -> None:
    (program,) = host.looks()
    program.code = 0
    host.timekeeper.end()
    assert told(store) == [(0, "succeeded", 1)]


def test_a_run_of_a_schedule_that_was_removed_is_ended(
    store: Store, clock: Clock, host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    (program,) = host.looks()
    store.schedules.remove("nightly")
    clock.at += LEASE / 2
    host.looks()
    assert program.code == 130
    assert told(store) == []
    assert "schedule nightly: it was removed, so its run is ended; what is done" in caplog.text
    assert "lease" not in caplog.text


def test_a_run_that_cannot_be_begun_has_failed(store: Store, host: Host) -> None:
    host.refuses = True
    host.looks()
    (kept,) = store.schedules.runs("nightly", 10)
    assert (kept.state, kept.exit_code, kept.detail) == (
        RunState.FAILED,
        None,
        "its folder is gone",
    )


def test_who_cannot_reach_the_store_ends_a_run_before_another_may_have_it(
    store: Store, clock: Clock, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    (program,) = host.looks()

    def away(*_: object) -> bool:
        raise StoreUnavailable("the store is away")

    monkeypatch.setattr(store.schedule_runs, "extend", away)
    clock.at += LEASE - SECOND
    with pytest.raises(StoreUnavailable):
        host.looks()
    assert program.code is None
    clock.at += SECOND
    with pytest.raises(StoreUnavailable):
        host.looks()
    assert program.code == 130
    assert [one.run.attempt for one in host.begun] == [1, 2]


def test_a_zone_that_this_machine_does_not_know_holds_up_no_other(
    store: Store, clock: Clock, host: Host
) -> None:
    store.schedules.add(schedule("lost", zone="Mars/Olympus", next_due=NOON - SECOND))
    with pytest.raises(InvalidInput, match="Mars/Olympus"):
        host.looks()
    assert [one.run.schedule for one in host.begun] == ["nightly"]


def test_a_surprise_of_one_schedule_holds_up_no_other(
    store: Store, clock: Clock, host: Host
) -> None:
    (program,) = host.looks()
    store.schedules.add(schedule("other", next_due=NOON))
    program.code, program.surprise = 0, PermissionError("the log is not to be read")
    for _ in range(2):
        with pytest.raises(PermissionError):
            host.looks()
    assert [one.run.schedule for one in host.begun] == ["nightly", "other"]
    program.surprise = None
    host.looks()
    assert told(store) == [(0, "succeeded", 1)]


def test_a_schedule_of_another_home_is_left_alone(store: Store, clock: Clock, host: Host) -> None:
    store.schedules.remove("nightly")
    store.schedules.add(schedule(home="home-2"))
    clock.goes_on(days=1)
    assert host.looks() == []
    assert told(store) == []


def test_dues_of_a_zone_are_those_of_its_clocks(store: Store, clock: Clock, host: Host) -> None:
    store.schedules.remove("nightly")
    due = datetime.fromisoformat("2026-03-28T02:30+01:00")
    created = NOON
    cron = {"cron": "30 2 * * *", "zone": "Europe/Berlin"}
    store.schedules.add(schedule(next_due=due, created_at=created, **cron))
    for expected in ("2026-03-28T01:30Z", "2026-03-29T01:00Z", "2026-03-30T00:30Z"):
        clock.at = datetime.fromisoformat(expected)
        (program,) = host.looks()
        assert program.run.due_at == clock.at
        program.code = 0
        host.looks()
