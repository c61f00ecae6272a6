"""Deliveries: the highest priority first, endpoints in turn, and back where they stood."""

from __future__ import annotations

import threading
import time

from modelway.backends.rabbitmq.deliveries import Deliveries, Delivery
from modelway.jobs.dispatching import Line

BOTH = {"a", "b"}


def delivered(*jobs: str) -> Deliveries:
    """What came in this order: ``a4`` is a job of the endpoint a, of priority 4."""
    found = Deliveries()
    for tag, job in enumerate(jobs):
        found.add(Delivery(job, Line(job[0], int(job[1])), 1, tag))
    return found


def taken(deliveries: Deliveries, n: int, endpoints: set[str] = BOTH) -> list[str]:
    """The jobs of the next ones."""
    return [one.job for one in deliveries.take(dict.fromkeys(endpoints, n))]


def test_the_highest_priority_is_taken_first_and_of_one_what_came_first() -> None:
    deliveries = delivered("a4x", "a9x", "a4y", "a0x")
    assert taken(deliveries, 3) == ["a9x", "a4x", "a4y"]
    assert taken(deliveries, 3) == ["a0x"]
    assert taken(deliveries, 3) == []


def test_endpoints_of_the_highest_priority_take_turns() -> None:
    deliveries = delivered("a4", "a4", "a4", "b4", "b4", "b9")
    assert [taken(deliveries, 1)[0] for _ in range(6)] == ["b9", "a4", "b4", "a4", "b4", "a4"]


def test_they_are_of_one_endpoint_and_of_none_that_was_not_asked() -> None:
    deliveries = delivered("a4", "b4", "b9")
    assert taken(deliveries, 9, {"a", "c"}) == ["a4"]
    assert taken(deliveries, 9, {"a", "c"}) == []
    assert len(deliveries) == 2


def test_what_is_put_back_is_next() -> None:
    deliveries = delivered("a4x", "a4y", "a4z")
    first = deliveries.take(dict.fromkeys(BOTH, 2))
    deliveries.put_back(first)
    assert taken(deliveries, 9) == ["a4x", "a4y", "a4z"]


def test_dropped_lines_are_empty() -> None:
    deliveries = delivered("a4x", "a9x", "b4x")
    assert [one.job for one in deliveries.drop(Line("a", 9))] == ["a9x"]
    assert [one.job for one in deliveries.drop(Line("c", 9))] == []
    assert sorted(one.job for one in deliveries.drop()) == ["a4x", "b4x"]
    assert len(deliveries) == 0


def test_waiting_ends_when_one_comes_of_those_that_are_asked() -> None:
    deliveries = delivered("b4")
    assert deliveries.wait({"b"}, 0)
    assert not deliveries.wait({"a"}, 0.01)
    coming = Delivery("a4", Line("a", 4), 1, 7)
    later = threading.Timer(0.05, lambda: deliveries.add(coming))
    later.start()
    begun = time.monotonic()
    assert deliveries.wait({"a"}, 30)
    assert time.monotonic() - begun < 10
    later.join()
