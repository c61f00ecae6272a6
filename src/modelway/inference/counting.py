"""The observer that has answers counted, those of one turn of the event loop together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from modelway.domain.errors import ModelwayError
    from modelway.domain.inference import InferenceRequest
    from modelway.inference.ports import Answered


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

    def answered(self, answered: Sequence[Answered]) -> None:
        """Requests were answered, all by one version of one endpoint."""
        _, response, _ = answered[0]
        rows = [response.n_rows for _, response, _ in answered]
        seconds = [seconds for _, _, seconds in answered]
        for one in self._counts:
            one.answered(response.endpoint, response.version, rows, seconds)

    def failed(
        self,
        request: InferenceRequest,
        error: ModelwayError,
        seconds: float,
        version: str | None = None,
    ) -> None:
        """A request could not be answered."""
        for one in self._counts:
            one.failed(request.endpoint, error, seconds)
