"""Every answer of a turn is counted once, for the version that gave it."""

from __future__ import annotations

import asyncio
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


def test_answers_of_a_turn_are_counted_by_version() -> None:
    told = (Told(), Told())
    counting = Counting(*told)

    async def turn() -> None:
        given = [("iris", "1", 1), ("iris", "2", 5), ("iris", "1", 2), ("loan", "1", 3)]
        for k, (endpoint, version, rows) in enumerate(given):
            response = InferenceResponse(endpoint, version, "id", {}, rows)
            counting.answered(REQUEST, response, float(k))
        await asyncio.sleep(0)

    asyncio.run(turn())
    for one in told:
        assert one.answers == [
            ("iris", "1", (1, 2), (0.0, 2.0)),
            ("iris", "2", (5,), (1.0,)),
            ("loan", "1", (3,), (3.0,)),
        ]


def test_failures_are_told_at_once() -> None:
    told = Told()
    Counting(told).failed(REQUEST, InvalidInput("no"), 0.5)
    assert told.failures == [("iris", InvalidInput("no").code, 0.5)]
