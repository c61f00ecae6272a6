"""HTTP in numbers: requests by status, and the sizes of bodies."""

from __future__ import annotations

from collections import Counter as Tally

from modelway.rest.http import Request, Response
from modelway.telemetry import metrics as table
from modelway.telemetry.instruments import Counter, Metrics
from modelway.telemetry.noting import Notes

_HTTP = "http"


class HttpMetrics:
    """Counts what a server sends; used by one event loop."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._by_status: dict[int, Counter] = {}
        self._request_bytes = metrics.histogram(table.REQUEST_BYTES, protocol=_HTTP)
        self._response_bytes = metrics.histogram(table.RESPONSE_BYTES, protocol=_HTTP)
        self._sent: Notes[tuple[int, int, int]] = Notes(self._add_up)

    def observe(self, request: Request, response: Response) -> None:
        """An answer was sent."""
        self._sent.add((response.status, request.body_bytes, len(response.body)))

    def _add_up(self, sent: list[tuple[int, int, int]]) -> None:
        statuses, request_bytes, response_bytes = zip(*sent, strict=True)
        for status, times in Tally(statuses).items():
            self._of(status).add(times)
        self._request_bytes.observe_all(request_bytes)
        self._response_bytes.observe_all(response_bytes)

    def _of(self, status: int) -> Counter:
        count = self._by_status.get(status)
        if count is None:
            count = self._metrics.counter(table.REQUESTS, protocol=_HTTP, code=str(status))
            self._by_status[status] = count
        return count
