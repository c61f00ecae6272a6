"""The gRPC door as a client of no particular make sees it, over models of every kind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc import StatusCode

from modelway.domain.errors import Forbidden, Unauthenticated
from modelway.domain.signature import Datatype
from modelway.grpc import messages
from modelway.grpc.calls import Ended
from modelway.inference.counting import Counting
from modelway.inference.raw_contents import array_of, raw_of
from modelway.inference.statistics import Statistics
from modelway.settings import GrpcSettings
from modelway.telemetry.spans import Attributes, PassedOn, PassedSpan
from modelway.telemetry.trace import TraceContext
from support.grpc_serving import OIP, Caller, served_grpc
from support.served import (
    FLOWER,
    PAIR,
    compiled_bundle,
    flower_graph,
    function_bundle,
    loaded,
    plane_of,
    tensor_bundle,
)
from support.triton_models import identity_bundle, simple_bundle

MOST_BYTES = 200_000
NAMES = ("iris", "tensor", "simple", "identity", "fails", "slow")
RULES = """
import time

def fails(a, b):
    if a == 13:
        raise ValueError("secret")
    return "fine"

def slow(a, b):
    time.sleep(a)
    return a
"""
ROWS = np.array([[5.0, 0.3], [6.0, 1.5], [6.5, 2.3]])
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
"""An example of the recommendation's own."""


class _Keys:
    """Who calls: nobody may who brings the key ``bad``, and ``none`` is no key."""

    def principal(self, endpoint: str, headers: Any) -> str | None:
        key = headers.get("key")
        if key == "none":
            raise Unauthenticated("bring a key")
        if key == "bad":
            raise Forbidden("not you")
        return None


class _Spans(PassedOn):
    """Keeps the parents of spans."""

    def __init__(self) -> None:
        self.parents: list[TraceContext | None] = []

    def start(self, name: str, parent: TraceContext | None, attributes: Attributes) -> PassedSpan:
        self.parents.append(parent)
        return super().start(name, parent, attributes)


REQUEST_ID = "modelway-request-id"
SEEN: list[Ended] = []
SPANS = _Spans()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where endpoints iris (the default), tensor, simple, identity, fails, slow answer."""
    folder = tmp_path_factory.mktemp("bundles")
    bundles: dict[str, Path] = {
        "iris": compiled_bundle(folder / "iris", flower_graph(), FLOWER, classes=(0, 1, 2)),
        "tensor": tensor_bundle(folder / "tensor"),
        "simple": simple_bundle(folder / "simple"),
        "identity": identity_bundle(folder / "identity"),
        "fails": function_bundle(folder / "fails", RULES, "fails", PAIR),
        "slow": function_bundle(folder / "slow", RULES, "slow", PAIR),
    }
    statistics = Statistics()
    models = [loaded(at, name) for name, at in bundles.items()]
    plane = plane_of(models, observers=[Counting(statistics)], admission=_Keys())
    settings = GrpcSettings(max_message_bytes=MOST_BYTES, max_rows=1000, receive_s=1.0)
    with served_grpc(plane, settings, SEEN.append, SPANS, statistics) as port:
        yield port


@pytest.fixture(scope="module")
def door(port: int) -> Iterator[Caller]:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Caller(channel)


def request_of(
    model: str = "iris", rows: Any = ROWS, datatype: str = "FP64", **members: Any
) -> messages.ModelInferRequest:
    """A request of one matrix, raw."""
    request = messages.ModelInferRequest(model_name=model, **members)
    request.inputs.add(name="rows", datatype=datatype, shape=rows.shape)
    request.raw_input_contents.append(rows.tobytes())
    return request


def numbers(answer: messages.ModelInferResponse, name: str) -> Any:
    """An output of an answer as an array."""
    dtypes = {"INT64": "<i8", "FP64": "<f8", "INT32": "<i4"}
    for one, raw in zip(answer.outputs, answer.raw_output_contents, strict=True):
        if one.name == name:
            return np.frombuffer(raw, dtypes[one.datatype]).reshape(tuple(one.shape))
    raise AssertionError(name)


def infer(door: Caller, request: messages.ModelInferRequest) -> messages.ModelInferResponse:
    return door.get(messages.ModelInferResponse, "ModelInfer", request)


def test_the_server_is_live_and_ready_and_says_what_it_is(door: Caller) -> None:
    assert door.get(messages.ServerLiveResponse, "ServerLive").live
    assert door.get(messages.ServerReadyResponse, "ServerReady").ready
    server = door.get(messages.ServerMetadataResponse, "ServerMetadata")
    assert server.name == "modelway"
    assert server.version
    assert list(server.extensions) == sorted(server.extensions)


def test_a_model_is_ready_if_it_is_there(door: Caller) -> None:
    def ready(name: str, version: str = "") -> bool:
        asked = messages.ModelReadyRequest(name=name, version=version)
        return door.get(messages.ModelReadyResponse, "ModelReady", asked).ready

    assert ready("iris")
    assert not ready("nope")
    assert not ready("iris", "7")


def test_metadata_describes_a_tabular_model(door: Caller) -> None:
    asked = messages.ModelMetadataRequest(name="iris")
    model = door.get(messages.ModelMetadataResponse, "ModelMetadata", asked)
    assert (model.name, model.platform) == ("iris", "onnx")
    assert [version[:7] for version in model.versions] == ["sha256:"]
    assert [one.datatype for one in model.inputs] == ["FP64", "FP64"]
    outputs = {one.name: (one.datatype, list(one.shape)) for one in model.outputs}
    assert outputs["prediction"][0] == "INT64"
    assert outputs["probabilities"] == ("FP64", [-1, 3])


def test_metadata_describes_a_tensor_model(door: Caller) -> None:
    asked = messages.ModelMetadataRequest(name="simple")
    model = door.get(messages.ModelMetadataResponse, "ModelMetadata", asked)
    described = [(one.name, one.datatype, list(one.shape)) for one in model.inputs]
    assert described == [("INPUT0", "INT32", [-1, 16]), ("INPUT1", "INT32", [-1, 16])]
    assert [one.name for one in model.outputs] == ["OUTPUT0", "OUTPUT1"]


def test_a_matrix_is_answered(door: Caller) -> None:
    answer = infer(door, request_of(id="the caller's"))
    assert (answer.model_name, answer.id) == ("iris", "the caller's")
    assert answer.model_version.startswith("sha256:")
    assert numbers(answer, "prediction").tolist() == [0, 1, 2]
    assert numbers(answer, "probabilities").tolist() == [
        [0.75, 0.125, 0.125],
        [0.125, 0.75, 0.125],
        [0.125, 0.125, 0.75],
    ]


def test_typed_contents_are_answered_alike_and_raw(door: Caller) -> None:
    request = messages.ModelInferRequest(model_name="iris")
    for k, column in enumerate(("petal width", "sepal length (cm)")):
        one = request.inputs.add(name=column, datatype="FP64", shape=[3])
        one.contents.fp64_contents.extend(ROWS[:, 1 - k])
    typed, raw = infer(door, request), infer(door, request_of())
    assert typed.raw_output_contents == raw.raw_output_contents
    assert typed.outputs == raw.outputs


def test_outputs_are_chosen_by_name(door: Caller) -> None:
    request = request_of()
    request.outputs.add(name="probabilities")
    assert [one.name for one in infer(door, request).outputs] == ["probabilities"]
    request.outputs.add(name="nope")
    refused = door.ask("ModelInfer", request)
    assert refused.status is StatusCode.INVALID_ARGUMENT
    assert "nope" in refused.details


def test_what_is_large_is_answered_alike(door: Caller) -> None:
    """It is read and written on a thread."""
    rows = np.tile(ROWS, (300, 1))
    padding = {"id": "x" * 70_000}
    small, large = infer(door, request_of()), infer(door, request_of(rows=rows, **padding))
    assert numbers(large, "prediction").tolist() == numbers(small, "prediction").tolist() * 300


def test_the_largest_classes_are_told_in_words(door: Caller) -> None:
    request = request_of(rows=ROWS[1:2])
    wanted = request.outputs.add(name="probabilities")
    wanted.parameters["classification"].int64_param = 2
    answer = infer(door, request)
    assert (answer.outputs[0].datatype, list(answer.outputs[0].shape)) == ("BYTES", [1, 2])
    texts = array_of(answer.raw_output_contents[0], Datatype.BYTES, 2).tolist()
    assert texts == [b"0.750000:1:versicolor", b"0.125000:0:setosa"]
    wanted.parameters["classification"].int64_param = -1
    assert door.ask("ModelInfer", request).status is StatusCode.INVALID_ARGUMENT


def test_no_memory_is_shared(door: Caller) -> None:
    request = request_of()
    wanted = request.outputs.add(name="probabilities")
    wanted.parameters["shared_memory_region"].string_param = "theirs"
    assert door.ask("ModelInfer", request).status is StatusCode.INVALID_ARGUMENT


def test_statistics_count_what_was_answered_and_what_was_not(door: Caller) -> None:
    def told() -> messages.ModelStatistics:
        asked = messages.ModelStatisticsRequest(name="tensor")
        (one,) = door.get(messages.ModelStatisticsResponse, "ModelStatistics", asked).model_stats
        return one

    before = told()
    request = messages.ModelInferRequest(model_name="tensor")
    contents = request.inputs.add(name="X", datatype="FP64", shape=[2, 3]).contents
    contents.fp64_contents.extend(range(6))
    infer(door, request)
    request.inputs[0].shape[0] = 3
    assert door.ask("ModelInfer", request).status is StatusCode.INVALID_ARGUMENT
    after = told()
    assert after.version.startswith("sha256:")
    assert after.inference_count - before.inference_count == 2
    assert after.execution_count - before.execution_count == 1
    success, failed = after.inference_stats.success, after.inference_stats.fail
    assert success.count - before.inference_stats.success.count == 1
    assert success.ns > before.inference_stats.success.ns
    assert failed.count - before.inference_stats.fail.count == 1
    assert abs(after.last_inference / 1000 - time.time()) < 60
    every = door.get(messages.ModelStatisticsResponse, "ModelStatistics").model_stats
    assert {one.name for one in every} == set(NAMES)
    unknown = messages.ModelStatisticsRequest(name="tensor", version="7")
    assert door.ask("ModelStatistics", unknown).status is StatusCode.NOT_FOUND


def test_tensor_models_are_answered(door: Caller) -> None:
    first, second = np.arange(16, dtype="<i4").reshape(1, 16), np.ones((1, 16), "<i4")
    request = messages.ModelInferRequest(model_name="simple")
    for name, array in (("INPUT1", second), ("INPUT0", first)):
        request.inputs.add(name=name, datatype="INT32", shape=[1, 16])
        request.raw_input_contents.append(array.tobytes())
    answer = infer(door, request)
    assert numbers(answer, "OUTPUT0").tolist() == (first + second).tolist()
    assert numbers(answer, "OUTPUT1").tolist() == (first - second).tolist()


def test_text_goes_through_a_tensor_model(door: Caller) -> None:
    texts = np.array([["grün", "", "x" * 300]], dtype=object)
    request = messages.ModelInferRequest(model_name="identity")
    request.inputs.add(name="INPUT0", datatype="BYTES", shape=[1, 3])
    request.raw_input_contents.append(bytes(raw_of(Datatype.BYTES, texts)))
    answer = infer(door, request)
    assert answer.raw_output_contents[0] == request.raw_input_contents[0]


def test_an_answer_is_named_in_its_metadata(door: Caller) -> None:
    named = door.ask("ModelInfer", request_of()).trailing
    assert named["modelway-endpoint"] == "iris"
    assert named["modelway-version"].startswith("sha256:")
    assert named["modelway-prediction-id"] == named["modelway-request-id"]
    brought = (("modelway-prediction-id", "mine-7"), ("modelway-request-id", "r-1"))
    named = door.ask("ModelInfer", request_of(), metadata=brought).trailing
    assert named["modelway-prediction-id"] == "mine-7"
    assert named["modelway-request-id"] == "r-1"
    named = door.ask("ModelInfer", request_of(), metadata=brought[1:]).trailing
    assert named["modelway-request-id"] == "r-1" != named["modelway-prediction-id"]


@pytest.mark.parametrize("key", ["modelway-prediction-id", "modelway-timeout-ms"])
def test_control_that_cannot_be_understood_is_refused(door: Caller, key: str) -> None:
    refused = door.ask("ModelInfer", request_of(), metadata=((key, "a b"),))
    assert refused.status is StatusCode.INVALID_ARGUMENT
    assert refused.trailing["modelway-code"] == "invalid-input"


def test_a_request_id_that_is_none_is_replaced(door: Caller) -> None:
    answered = door.ask("ServerLive", metadata=(("modelway-request-id", "a b"),))
    assert answered.status is StatusCode.OK
    assert len(answered.trailing["modelway-request-id"]) == 36


def test_the_callers_trace_is_continued(door: Caller) -> None:
    door.ask("ServerLive", metadata=(("traceparent", TRACE), ("tracestate", "a=b")))
    parent = SPANS.parents[-1]
    assert parent == TraceContext(
        "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", True, "a=b"
    )
    door.ask("ServerLive", metadata=(("traceparent", "nonsense"),))
    assert SPANS.parents[-1] is None


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (request_of("nope"), StatusCode.NOT_FOUND, "endpoint-not-found"),
        (request_of(model_version="7"), StatusCode.NOT_FOUND, "version-not-found"),
        (
            messages.ModelInferRequest(model_name="iris"),
            StatusCode.INVALID_ARGUMENT,
            "signature-mismatch",
        ),
        (request_of(rows=np.ones((1001, 2))), StatusCode.RESOURCE_EXHAUSTED, "payload-too-large"),
        (
            request_of(rows=np.ones((1, 3))),
            StatusCode.INVALID_ARGUMENT,
            "signature-mismatch",
        ),
        (b"\xff\xff", StatusCode.INVALID_ARGUMENT, "malformed-payload"),
        (
            request_of("fails", np.array([[13.0, 1.0]])),
            StatusCode.INTERNAL,
            "predict-failed",
        ),
    ],
    ids=["endpoint", "version", "no input", "rows", "columns", "message", "model"],
)
def test_what_goes_wrong_has_a_status_and_a_code(
    door: Caller, sent: Any, status: StatusCode, code: str
) -> None:
    refused = door.ask("ModelInfer", sent)
    assert (refused.status, refused.trailing["modelway-code"]) == (status, code)
    assert "secret" not in refused.details
    if status is StatusCode.INTERNAL:
        assert refused.trailing["modelway-request-id"] in refused.details


@pytest.mark.parametrize(
    ("key", "status"),
    [("none", StatusCode.UNAUTHENTICATED), ("bad", StatusCode.PERMISSION_DENIED)],
)
def test_who_may_not_is_told_so(door: Caller, key: str, status: StatusCode) -> None:
    assert door.ask("ModelInfer", request_of(), metadata=(("key", key),)).status is status


def test_a_message_that_is_too_large_is_refused(door: Caller) -> None:
    large = messages.ModelInferRequest(model_name="iris", id="x" * MOST_BYTES)
    for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
        refused = door.ask("ModelInfer", large, compression=compression)
        assert refused.status is StatusCode.RESOURCE_EXHAUSTED


def test_compressed_messages_are_read(door: Caller) -> None:
    for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        answered = door.ask("ModelInfer", request_of(), compression=compression)
        assert answered.status is StatusCode.OK


def test_a_method_that_is_none_is_not_implemented(door: Caller) -> None:
    assert door.ask("ModelExplain").status is StatusCode.UNIMPLEMENTED
    assert door.ask("other.Service/Method").status is StatusCode.UNIMPLEMENTED


def _sent(door: Caller, contents: Iterator[bytes]) -> StatusCode:
    """The status of a call whose messages are sent as they come."""
    call: grpc.StreamUnaryMultiCallable[bytes, bytes]
    call = door.channel.stream_unary(f"/{OIP}/ServerLive")
    try:
        call(contents, timeout=20)
    except grpc.RpcError as error:
        return error.code()
    return StatusCode.OK


def test_a_message_that_does_not_come_is_not_waited_for(door: Caller) -> None:
    left = threading.Event()

    def never() -> Iterator[bytes]:
        left.wait(20)
        yield b""

    started = time.monotonic()
    assert _sent(door, never()) is StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - started < 5
    left.set()


def test_a_call_has_a_message_and_what_follows_it_is_not_read(door: Caller) -> None:
    assert _sent(door, iter(())) is StatusCode.INVALID_ARGUMENT
    assert _sent(door, iter([b"", b"\xff"])) is StatusCode.OK


def _slow(seconds: float) -> messages.ModelInferRequest:
    return request_of("slow", np.array([[seconds, 0.0]]))


def _ended(call_id: str) -> Ended:
    """The call of this id as it ended; it may have ended for its client a little earlier."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for one in SEEN:
            if one.call.id == call_id:
                return one
        time.sleep(0.01)
    raise AssertionError("it did not end")


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0.2, "metadata": ((REQUEST_ID, "deadline-1"),)},
        {"metadata": ((REQUEST_ID, "deadline-2"), ("modelway-timeout-ms", "200"))},
    ],
    ids=["the call's", "in the metadata"],
)
def test_deadlines_are_kept(door: Caller, options: dict[str, Any]) -> None:
    started = time.monotonic()
    refused = door.ask("ModelInfer", _slow(3.0), **options)
    assert refused.status is StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - started < 2.5
    assert _ended(options["metadata"][0][1]).status is StatusCode.DEADLINE_EXCEEDED


def test_tritons_timeout_is_a_deadline_in_microseconds(door: Caller) -> None:
    request = _slow(3.0)
    request.parameters["timeout"].int64_param = 200_000
    started = time.monotonic()
    assert door.ask("ModelInfer", request).status is StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - started < 2.5


def test_a_call_that_is_cancelled_ends(door: Caller) -> None:
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes]
    call = door.channel.unary_unary(f"/{OIP}/ModelInfer")
    first = call.future(_slow(0.5).SerializeToString())
    named = ((REQUEST_ID, "cancelled"),)
    second = call.future(_slow(30.0).SerializeToString(), metadata=named)
    time.sleep(0.2)
    second.cancel()  # it waits for the first, and must never be begun
    assert _ended("cancelled").status is StatusCode.CANCELLED
    assert first.result(timeout=10)
    assert door.ask("ModelInfer", _slow(0.0), timeout=5).status is StatusCode.OK


def test_calls_are_observed(door: Caller) -> None:
    request = request_of()
    answered = door.ask("ModelInfer", request, metadata=((REQUEST_ID, "observed"),))
    seen = _ended("observed")
    assert seen.call.method == f"{OIP}/ModelInfer"
    assert seen.status is StatusCode.OK
    assert seen.request_bytes == request.ByteSize()
    assert seen.response_bytes == len(answered.message)
    assert seen.peer.startswith("ipv4:127.0.0.1:")
    assert 0 < seen.seconds < 10


def test_a_stream_answers_each_message_in_order(door: Caller) -> None:
    call: grpc.StreamStreamMultiCallable[bytes, bytes]
    call = door.channel.stream_stream(f"/{OIP}/ModelStreamInfer")
    final = request_of(id="2")
    final.parameters["triton_enable_empty_final_response"].bool_param = True
    sent = [request_of(id="0"), request_of("nope", id="1"), final]
    contents = [*(one.SerializeToString() for one in sent), b"\xff"]
    answers = [
        messages.ModelStreamInferResponse.FromString(one)
        for one in call(iter(contents), timeout=20)
    ]
    assert [one.infer_response.id for one in answers] == ["0", "1", "2", ""]
    assert [bool(one.error_message) for one in answers] == [False, True, False, True]
    assert "nope" in answers[1].error_message
    assert numbers(answers[0].infer_response, "prediction").tolist() == [0, 1, 2]
    assert answers[2].infer_response.parameters["triton_final_response"].bool_param
    named = {
        one.infer_response.parameters["modelway-prediction-id"].string_param for one in answers[::2]
    }
    assert len(named) == 2


def test_the_repository_is_listed(door: Caller) -> None:
    def index(*, ready: bool) -> dict[str, str]:
        asked = messages.RepositoryIndexRequest(ready=ready)
        listed = door.get(messages.RepositoryIndexResponse, "RepositoryIndex", asked)
        return {one.name: one.state for one in listed.models}

    assert index(ready=False) == index(ready=True) == dict.fromkeys(NAMES, "READY")
