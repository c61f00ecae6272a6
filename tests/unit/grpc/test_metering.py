from __future__ import annotations

from grpc import StatusCode

from modelway.grpc.calls import Call, Ended
from modelway.grpc.metering import GrpcMetrics
from modelway.telemetry import metrics as table
from modelway.telemetry.instruments import Metrics
from modelway.telemetry.slots import Slot
from modelway.telemetry.spans import PassedOn


def test_calls_are_counted_by_status_and_their_messages_measured() -> None:
    metrics = Metrics(Slot.in_memory())
    meter = GrpcMetrics(metrics)
    call = Call("a/b", "the-call", {}, None, PassedOn().start("a", None, {}), 0.0)
    for status in (StatusCode.OK, StatusCode.NOT_FOUND, StatusCode.OK):
        meter.observe(Ended(call, status, 0.1, 100, 200, "ipv4:127.0.0.1:1"))
    found = {(one.metric.name, one.values): one.cells for one in metrics.read().series}
    assert found[table.REQUESTS.name, ("grpc", "OK")] == [2.0]
    assert found[table.REQUESTS.name, ("grpc", "NOT_FOUND")] == [1.0]
    assert sum(found[table.REQUEST_BYTES.name, ("grpc",)][:-1]) == 3
    assert found[table.RESPONSE_BYTES.name, ("grpc",)][-1] == 600.0
