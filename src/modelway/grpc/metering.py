"""gRPC in numbers: calls by status, and the sizes of messages."""

from __future__ import annotations

from modelway.grpc.calls import Ended
from modelway.telemetry import metrics as table
from modelway.telemetry.instruments import Counter, Metrics

_GRPC = "grpc"


class GrpcMetrics:
    """Counts calls that ended; used by one event loop."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._by_status: dict[str, Counter] = {}
        self._seconds = metrics.histogram(table.REQUEST_SECONDS, protocol=_GRPC)
        self._request_bytes = metrics.histogram(table.REQUEST_BYTES, protocol=_GRPC)
        self._response_bytes = metrics.histogram(table.RESPONSE_BYTES, protocol=_GRPC)

    def observe(self, ended: Ended) -> None:
        """A call has ended."""
        code = ended.status.name
        count = self._by_status.get(code)
        if count is None:
            count = self._metrics.counter(table.REQUESTS, protocol=_GRPC, code=code)
            self._by_status[code] = count
        count.add()
        self._seconds.observe(ended.seconds)
        self._request_bytes.observe(ended.request_bytes)
        self._response_bytes.observe(ended.response_bytes)
