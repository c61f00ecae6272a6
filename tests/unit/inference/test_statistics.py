"""What is counted of answers and failures."""

from __future__ import annotations

import time

import numpy as np

from modelway.domain.errors import InvalidInput
from modelway.domain.inference import InferenceRequest, InferenceResponse
from modelway.domain.signature import Signature, columns_named
from modelway.domain.tables import Table
from modelway.inference.statistics import Statistics

TABLE = Table(Signature(columns_named(["a"])), 3, matrix=np.zeros((3, 1)))


def test_answers_are_counted_by_version_and_failures_by_endpoint() -> None:
    statistics = Statistics()
    request = InferenceRequest("iris", TABLE)
    began = time.time()
    for version, seconds in (("1", 0.5), ("2", 0.25), ("2", 0.25)):
        response = InferenceResponse("iris", version, "id", {}, 3)
        statistics.answered(request, response, seconds)
    statistics.failed(request, InvalidInput("no"), 0.125)
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
