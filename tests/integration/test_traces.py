"""Spans as a collector receives them: OTLP over HTTP, parsed with the protocol's own messages."""

from __future__ import annotations

import gzip
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from modelway.composition.tracing import open_spans
from modelway.domain.errors import MissingExtra
from modelway.grpc import messages
from modelway.telemetry.spans import (
    ENDPOINT,
    HTTP_METHOD,
    HTTP_ROUTE,
    HTTP_STATUS,
    PREDICTION_ID,
    ROWS,
    VERSION,
    Spans,
)
from modelway.telemetry.trace import TraceContext, trace_context
from support.ending import joined
from support.live import Serve
from support.served import FLOWER, compiled_bundle, flower_graph

PARENT = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", True, "foo=1,bar=2")


class Collector(ThreadingHTTPServer):
    """Takes what is sent to it; ``patience_s`` is how long it takes to answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.requests: list[ExportTraceServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self.patience_s = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        time.sleep(self.server.patience_s)
        assert self.path == "/v1/traces"
        assert self.headers["content-type"] == "application/x-protobuf"
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.server.headers.append({name.lower(): text for name, text in self.headers.items()})
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as collector:
        listening = threading.Thread(target=collector.serve_forever, args=(0.02,), daemon=True)
        listening.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector
        collector.shutdown()
        joined(listening)


def values(attributes: list[KeyValue]) -> dict[str, str | int]:
    return {
        one.key: one.value.int_value if one.value.HasField("int_value") else one.value.string_value
        for one in attributes
    }


def test_a_request_is_a_server_span_under_its_callers(collector: Collector) -> None:
    spans: Spans = open_spans("worker-3")
    before = time.time_ns()
    route = "/models/{name}/predict"
    span = spans.start(f"POST {route}", PARENT, {HTTP_METHOD: "POST", HTTP_ROUTE: route})
    span.describe({ENDPOINT: "iris", VERSION: "7", ROWS: 3, PREDICTION_ID: "p-1"})
    span.finish({HTTP_STATUS: 200})
    after = time.time_ns()
    spans.close(10.0)
    (sent,) = collector.spans
    assert sent.name == "POST /models/{name}/predict"
    assert sent.kind == Span.SPAN_KIND_SERVER
    assert sent.trace_id.hex() == PARENT.trace_id == span.context.trace_id
    assert sent.parent_span_id.hex() == PARENT.span_id
    assert sent.span_id.hex() == span.context.span_id
    assert sent.trace_state == PARENT.state == span.context.state
    assert before <= sent.start_time_unix_nano <= sent.end_time_unix_nano <= after
    assert sent.status.code == Status.STATUS_CODE_UNSET
    assert values(list(sent.attributes)) == {
        "http.request.method": "POST",
        "http.route": route,
        "http.response.status_code": 200,
        "modelway.endpoint": "iris",
        "modelway.version": "7",
        "modelway.rows": 3,
        "modelway.prediction_id": "p-1",
    }
    resource = values(list(collector.requests[0].resource_spans[0].resource.attributes))
    assert resource["service.name"] == "modelway"
    assert resource["service.instance.id"] == "worker-3"
    assert trace_context(span.context.traceparent, span.context.state) == span.context


def test_a_fault_of_the_server_is_told_by_its_code(collector: Collector) -> None:
    spans = open_spans("0")
    spans.start("POST /predict", None, {}).finish({HTTP_STATUS: 500}, "predict-failed")
    spans.close(10.0)
    (sent,) = collector.spans
    assert sent.status.code == Status.STATUS_CODE_ERROR
    assert values(list(sent.attributes)) == {
        "http.response.status_code": 500,
        "error.type": "predict-failed",
    }
    assert sent.parent_span_id == b""


def test_many_spans_are_each_sent_once(collector: Collector) -> None:
    spans = open_spans("0")
    ids = []
    for _ in range(1500):
        span = spans.start("POST /predict", None, {})
        ids.append(span.context.span_id)
        span.finish({HTTP_STATUS: 200})
    spans.close(20.0)
    assert sorted(one.span_id.hex() for one in collector.spans) == sorted(ids)


def test_the_callers_wish_not_to_be_sampled_is_followed(collector: Collector) -> None:
    spans = open_spans("0")
    quiet = TraceContext(PARENT.trace_id, PARENT.span_id, sampled=False)
    span = spans.start("POST /predict", quiet, {})
    span.finish({HTTP_STATUS: 200})
    spans.close(10.0)
    assert collector.spans == []
    assert span.context.trace_id == PARENT.trace_id
    assert span.context.span_id != PARENT.span_id
    assert not span.context.sampled


def test_the_standard_variables_hold(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "loans")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    spans = open_spans("0")
    spans.start("GET /own", None, {}).finish({})
    spans.start("GET /called", PARENT, {}).finish({})
    spans.close(10.0)
    assert [one.name for one in collector.spans] == ["GET /called"]
    resource = values(list(collector.requests[0].resource_spans[0].resource.attributes))
    assert resource["service.name"] == "loans"
    assert resource["deployment.environment"] == "test"
    assert collector.headers[0]["x-tenant"] == "blue"
    assert collector.headers[0]["content-encoding"] == "gzip"


def test_a_disabled_sdk_keeps_nothing_and_the_trace_goes_on(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    spans = open_spans("0")
    called, own = spans.start("GET /", PARENT, {}), spans.start("GET /", None, {})
    called.finish({HTTP_STATUS: 200})
    own.finish({HTTP_STATUS: 200})
    spans.close(10.0)
    assert collector.spans == []
    assert called.context.trace_id == PARENT.trace_id
    assert called.context.span_id != PARENT.span_id
    assert not own.context.sampled
    assert int(own.context.trace_id, 16)


def test_a_service_sends_spans_of_both_doors(
    collector: Collector, serve: Serve, tmp_path: Path, free_port: int
) -> None:
    bundle = compiled_bundle(tmp_path / "flower", flower_graph(), FLOWER, classes=(0, 1, 2))
    environment = {
        "MODELWAY__TELEMETRY__TRACES": "true",
        "MODELWAY__GRPC__ENABLED": "true",
        "MODELWAY__GRPC__PORT": str(free_port),
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    service = serve(f"flower={bundle}", environment=environment)
    parent = {"traceparent": PARENT.traceparent}
    row = {"sepal_length": 5.0, "petal_width": 2.2}
    answers = [
        service.ask("/models/flower/predict", json=row, headers=parent),
        service.ask("/v1/models/flower:predict", json={"instances": [row]}, headers=parent),
        service.ask("/v1/models/nobody:predict", json={"instances": [row]}),
    ]
    assert [one.status for one in answers] == [200, 200, 404]
    request = messages.ModelInferRequest(model_name="flower")
    request.inputs.add(name="X", datatype="FP64", shape=[1, 2])
    request.raw_input_contents.append(struct.pack("<2d", 5.0, 2.2))
    with grpc.insecure_channel(f"127.0.0.1:{free_port}") as channel:
        infer = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=messages.ModelInferRequest.SerializeToString,
            response_deserializer=messages.ModelInferResponse.FromString,
        )
        assert infer(request, timeout=20).model_name == "flower"
    service.process.terminate()
    assert service.process.wait(20) == 0
    by_name = {one.name: one for one in collector.spans}
    native = by_name["POST /models/flower/predict"]
    assert native.trace_id.hex() == PARENT.trace_id
    assert native.parent_span_id.hex() == PARENT.span_id
    assert answers[0].headers["traceparent"].split("-")[2] == native.span_id.hex()
    assert "POST /v1/models/{name}:predict" in by_name
    rpc = by_name["inference.GRPCInferenceService/ModelInfer"]
    for said in (values(list(native.attributes)), values(list(rpc.attributes))):
        assert said[ENDPOINT] == "flower"
        assert said[PREDICTION_ID]
        assert str(said[VERSION]).startswith("sha256:")


UNHEARD = """
import logging, os, sys, time
logging.basicConfig(stream=sys.stdout)
from modelway.composition.tracing import open_spans
spans = open_spans("0")
started = time.perf_counter()
for _ in range(5000):
    spans.start("POST /predict", None, {}).finish({})
closing = time.perf_counter()
spans.close(0.5)
print(closing - started < 5.0, time.perf_counter() - closing < 2.0, flush=True)
os._exit(0)
"""
"""In a process of its own: the SDK's thread goes on trying, and shares Python's random numbers."""


@pytest.mark.parametrize("patience_s", [30.0, None], ids=["slow", "away"])
def test_a_collector_that_does_not_answer_costs_a_bounded_time(
    collector: Collector, free_port: int, patience_s: float | None
) -> None:
    url = f"http://127.0.0.1:{free_port}" if patience_s is None else collector.url
    collector.patience_s = patience_s or 0.0
    done = subprocess.run(
        [sys.executable, "-c", UNHEARD],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": url},
    )
    assert "spans were dropped" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1] == "True True"


def test_nothing_of_it_is_imported_before_it_is_wanted() -> None:
    code = (
        "import sys, modelway.composition.tracing, modelway.telemetry.spans\n"
        "sys.exit(any(one.startswith('opentelemetry') for one in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(MissingExtra) as raised:
        open_spans("0")
    assert raised.value.hint == "pip install 'modelway[otel]'"
