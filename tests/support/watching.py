"""Who watches shadows: what they could not answer, how many were asked, and how many shed."""

from __future__ import annotations

from modelway.domain.errors import ModelwayError
from modelway.domain.inference import InferenceRequest


class Watcher:
    """A meter of shadows, and half of an observer: ``answered`` is the test's own."""

    def __init__(self) -> None:
        self.failures: list[tuple[str | None, str, str | None]] = []
        self.seen = self.shed = 0

    def failed(
        self,
        request: InferenceRequest,
        error: ModelwayError,
        seconds: float,
        version: str | None = None,
    ) -> None:
        """A shadow could not answer."""
        self.failures.append((request.prediction_id, error.code, version))

    def shadowed(self, _: str, requests: int) -> None:
        """Shadows have seen requests."""
        self.seen += requests

    def shadow_shed(self, _: str, requests: int) -> None:
        """There was no room for requests."""
        self.shed += requests
