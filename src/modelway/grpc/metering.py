"""gRPC in numbers and in the access log: calls by status, their time, the sizes of messages."""

from __future__ import annotations

from modelway.grpc.calls import Ended
from modelway.telemetry import metrics as table
from modelway.telemetry.access import Access, AccessLog
from modelway.telemetry.instruments import Counter, Metrics

_GRPC = "grpc"


class GrpcMetrics:
    """Counts calls that ended, and logs those that are wanted; used by one event loop."""

    def __init__(self, metrics: Metrics, access: AccessLog) -> None:
        self._metrics = metrics
        self._access = access
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
        if self._access.on and self._access.wants(ended.call.id):
            self._access.write(
                Access(
                    method="gRPC",
                    route=f"/{ended.call.method}",
                    status=code,
                    seconds=ended.seconds,
                    request_id=ended.call.id,
                    trace_id=ended.call.span.context.trace_id,
                    request_bytes=ended.request_bytes,
                    response_bytes=ended.response_bytes,
                    client=_address(ended.peer),
                )
            )


def _address(peer: str) -> str:
    """The address of ``ipv4:127.0.0.1:50000`` or ``ipv6:[::1]:50000``; empty for a Unix socket."""
    kind, _, place = peer.partition(":")
    return place.rpartition(":")[0].strip("[]") if kind.startswith("ip") else ""
