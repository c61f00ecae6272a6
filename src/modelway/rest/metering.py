"""HTTP in numbers: requests by status, and the sizes of bodies."""

from __future__ import annotations

from collections.abc import Sequence

from modelway.telemetry import metrics as table
from modelway.telemetry.instruments import Counter, Metrics

_HTTP = "http"


class HttpMetrics:
    """Counts what a server sends; used by one event loop."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._by_status: dict[int, Counter] = {}
        self._seconds = metrics.histogram(table.REQUEST_SECONDS, protocol=_HTTP)
        self._request_bytes = metrics.histogram(table.REQUEST_BYTES, protocol=_HTTP)
        self._response_bytes = metrics.histogram(table.RESPONSE_BYTES, protocol=_HTTP)

    def observe(
        self,
        status: int,
        seconds: Sequence[float],
        came_bytes: Sequence[int],
        sent_bytes: Sequence[int],
    ) -> None:
        """Answers of one status were sent, each in its time, with the sizes of both bodies."""
        count = self._by_status.get(status)
        if count is None:
            count = self._metrics.counter(table.REQUESTS, protocol=_HTTP, code=str(status))
            self._by_status[status] = count
        count.add(len(came_bytes))
        self._seconds.observe_all(seconds)
        self._request_bytes.observe_all(came_bytes)
        self._response_bytes.observe_all(sent_bytes)
