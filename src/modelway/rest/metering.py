"""HTTP in numbers: requests by status, and the sizes of bodies."""

from __future__ import annotations

from modelway.rest.http import Request, Response
from modelway.telemetry import metrics as table
from modelway.telemetry.instruments import Counter, Metrics

_HTTP = "http"


class HttpMetrics:
    """Counts what a server sends; used by one event loop."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._by_status: dict[int, Counter] = {}
        self._request_bytes = metrics.histogram(table.REQUEST_BYTES, protocol=_HTTP)
        self._response_bytes = metrics.histogram(table.RESPONSE_BYTES, protocol=_HTTP)

    def observe(self, request: Request, response: Response) -> None:
        """An answer was sent."""
        count = self._by_status.get(response.status)
        if count is None:
            code = str(response.status)
            count = self._metrics.counter(table.REQUESTS, protocol=_HTTP, code=code)
            self._by_status[response.status] = count
        count.add()
        self._request_bytes.observe(request.body_bytes)
        self._response_bytes.observe(len(response.body))
