from __future__ import annotations

import logging

import pytest
from grpc import StatusCode

from modelway.grpc.calls import Call, Ended
from modelway.grpc.metering import GrpcMetrics
from modelway.telemetry import metrics as table
from modelway.telemetry.access import AccessLog
from modelway.telemetry.instruments import Metrics
from modelway.telemetry.slots import Slot
from modelway.telemetry.spans import PassedOn


def test_calls_are_counted_by_status_and_their_messages_measured() -> None:
    metrics = Metrics(Slot.in_memory())
    meter = GrpcMetrics(metrics, AccessLog(0.0))
    call = Call("a/b", "the-call", {}, None, PassedOn().start("a", None, {}), 0.0)
    for status in (StatusCode.OK, StatusCode.NOT_FOUND, StatusCode.OK):
        meter.observe(Ended(call, status, 0.1, 100, 200, "ipv4:127.0.0.1:1"))
    found = {(one.metric.name, one.values): one.cells for one in metrics.read().series}
    assert found[table.REQUESTS.name, ("grpc", "OK")] == [2.0]
    assert found[table.REQUESTS.name, ("grpc", "NOT_FOUND")] == [1.0]
    assert found[table.REQUEST_SECONDS.name, ("grpc",)][-1] == pytest.approx(0.3)
    assert sum(found[table.REQUEST_BYTES.name, ("grpc",)][:-1]) == 3
    assert found[table.RESPONSE_BYTES.name, ("grpc",)][-1] == 600.0


@pytest.mark.parametrize(
    ("peer", "client"),
    [("ipv4:127.0.0.1:50000", "127.0.0.1"), ("ipv6:[::1]:50000", "::1"), ("unix:", "")],
)
def test_calls_are_logged_where_that_is_wanted(
    caplog: pytest.LogCaptureFixture, peer: str, client: str
) -> None:
    call = Call("a/b", "the-call", {}, None, PassedOn().start("a", None, {}), 0.0)
    ended = Ended(call, StatusCode.NOT_FOUND, 0.25, 100, 200, peer)
    with caplog.at_level(logging.INFO, logger="modelway.access"):
        GrpcMetrics(Metrics(Slot.in_memory()), AccessLog(0.0)).observe(ended)
        assert not caplog.records
        GrpcMetrics(Metrics(Slot.in_memory()), AccessLog(1.0)).observe(ended)
    (record,) = caplog.records
    assert record.getMessage() == "gRPC /a/b NOT_FOUND"
    said = vars(record)
    assert (said["client"], said["request_id"], said["seconds"]) == (client, "the-call", 0.25)
