"""What is counted of answers and failures."""

from __future__ import annotations

import time

from modelway.domain.errors import InvalidInput
from modelway.inference.statistics import Statistics


def test_answers_are_counted_by_version_and_failures_by_endpoint() -> None:
    statistics = Statistics()
    began = time.time()
    statistics.answered("iris", "1", (3,), (0.5,))
    statistics.answered("iris", "2", (3, 3), (0.25, 0.25))
    statistics.failed("iris", InvalidInput("no"), 0.125)
    first, second = statistics.answers("iris", "1"), statistics.answers("iris", "2")
    assert (first.requests, first.rows, first.seconds) == (1, 3, 0.5)
    assert (second.requests, second.rows, second.seconds) == (2, 6, 0.5)
    assert began <= second.last <= time.time()
    failures = statistics.failures("iris")
    assert (failures.requests, failures.seconds) == (1, 0.125)


def test_what_was_not_asked_has_answered_nothing() -> None:
    statistics = Statistics()
    assert statistics.answers("iris", "1").requests == 0
    assert statistics.answers("iris", "1").last == 0.0
    assert statistics.failures("iris").requests == 0
