"""Everybody who counts is told of every answer and failure."""

from __future__ import annotations

from collections.abc import Sequence

from modelway.domain.errors import InvalidInput, ModelwayError
from modelway.domain.inference import InferenceRequest, InferenceResponse
from modelway.domain.signature import Signature, columns_named
from modelway.domain.tables import Table
from modelway.inference.counting import Counting

REQUEST = InferenceRequest("iris", Table(Signature(columns_named(["a"])), 1, cells=[(1.0,)]))


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, str, Sequence[int], Sequence[float]]] = []
        self.failures: list[tuple[str, str, float]] = []

    def answered(
        self, endpoint: str, version: str, rows: Sequence[int], seconds: Sequence[float]
    ) -> None:
        self.answers.append((endpoint, version, rows, seconds))

    def failed(self, endpoint: str, error: ModelwayError, seconds: float) -> None:
        self.failures.append((endpoint, error.code, seconds))


def test_answers_are_counted_for_the_version_that_gave_them() -> None:
    told = (Told(), Told())
    responses = [InferenceResponse("iris", "7", "id", {}, rows) for rows in (1, 5)]
    Counting(*told).answered([(REQUEST, one, 0.25) for one in responses])
    for one in told:
        assert one.answers == [("iris", "7", [1, 5], [0.25, 0.25])]


def test_failures_are_told_at_once() -> None:
    told = Told()
    Counting(told).failed(REQUEST, InvalidInput("no"), 0.5)
    assert told.failures == [("iris", InvalidInput("no").code, 0.5)]
