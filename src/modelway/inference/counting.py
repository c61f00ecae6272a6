"""The observer that has answers counted: all those of one turn of the event loop together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from modelway.telemetry.noting import Notes

if TYPE_CHECKING:
    from modelway.domain.errors import ModelwayError
    from modelway.domain.inference import InferenceRequest, InferenceResponse

_Note = tuple[str, str, int, float]


class Counts(Protocol):
    """Who counts; must neither block nor raise."""

    def answered(
        self, endpoint: str, version: str, rows: Sequence[int], seconds: Sequence[float]
    ) -> None:
        """Requests of so many rows each were answered by one version, each in its time."""
        ...

    def failed(self, endpoint: str, error: ModelwayError, seconds: float) -> None:
        """A request could not be answered."""
        ...


class Counting:
    """Tells ``counts`` of what a data plane does; used by one event loop."""

    def __init__(self, *counts: Counts) -> None:
        self._counts = counts
        self._answered: Notes[_Note] = Notes(self._add_up)

    def answered(
        self, request: InferenceRequest, response: InferenceResponse, seconds: float
    ) -> None:
        """A request was answered, in this time."""
        self._answered.add((response.endpoint, response.version, response.n_rows, seconds))

    def failed(self, request: InferenceRequest, error: ModelwayError, seconds: float) -> None:
        """A request could not be answered."""
        for one in self._counts:
            one.failed(request.endpoint, error, seconds)

    def _add_up(self, answered: list[_Note]) -> None:
        while answered:
            endpoint, version, _, _ = answered[0]
            alike = [one for one in answered if one[0] == endpoint and one[1] == version]
            _, _, rows, seconds = zip(*alike, strict=True)
            for counts in self._counts:
                counts.answered(endpoint, version, rows, seconds)
            if len(alike) == len(answered):
                return
            answered = [one for one in answered if one[0] != endpoint or one[1] != version]
