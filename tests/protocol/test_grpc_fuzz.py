"""Nothing a gRPC client sends may be the service's fault or a hang, and known rows are answered."""

from __future__ import annotations

import contextlib
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc import StatusCode
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from modelway.domain.signature import Datatype
from modelway.grpc import messages
from modelway.inference.raw_contents import raw_of
from modelway.settings import GrpcSettings
from support.fuzzing import quietly
from support.grpc_fuzzing import fuzz_messages
from support.grpc_serving import OIP, Caller, served_grpc
from support.served import (
    FLOWER,
    compiled_bundle,
    flower_graph,
    loaded,
    plane_of,
    tensor_bundle,
)
from support.triton_models import identity_bundle, simple_bundle

BATCH = 50
INFER_BATCHES = 120
OTHER_BATCHES = 12
RAW_BATCHES = 4
FEWEST_CALLS = 6_000
TIMEOUT_S = 20.0

OTHERS = (
    *(f"{OIP}/{name}" for name in ("ModelMetadata", "ModelReady", "ServerLive", "RepositoryIndex")),
    "grpc.health.v1.Health/Check",
)
OURS = {StatusCode.INTERNAL, StatusCode.UNKNOWN, StatusCode.UNAVAILABLE, StatusCode.DATA_LOSS}
"""Statuses that would say it was the service's fault."""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("bundles")
    bundles: dict[str, Path] = {
        "iris": compiled_bundle(folder / "iris", flower_graph(), FLOWER, classes=(0, 1, 2)),
        "tensor": tensor_bundle(folder / "tensor"),
        "simple": simple_bundle(folder / "simple"),
        "identity": identity_bundle(folder / "identity"),
    }
    plane = plane_of([loaded(at, name) for name, at in bundles.items()])
    with served_grpc(plane, GrpcSettings(max_message_bytes=200_000, max_rows=1000)) as port:
        yield port


def _valid() -> list[messages.ModelInferRequest]:
    """A request of each kind of model, raw and typed."""
    iris = messages.ModelInferRequest(model_name="iris")
    iris.inputs.add(name="rows", datatype="FP64", shape=[1, 2])
    iris.raw_input_contents.append(np.array([5.0, 0.3]).tobytes())
    columns = messages.ModelInferRequest(model_name="iris")
    for name, value in (("sepal_length", 5.0), ("petal width", 2.2)):
        columns.inputs.add(name=name, datatype="FP64", shape=[1]).contents.fp64_contents.append(
            value
        )
    tensor = messages.ModelInferRequest(model_name="tensor")
    tensor.inputs.add(name="X", datatype="FP64", shape=[2, 3]).contents.fp64_contents.extend(
        range(6)
    )
    simple = messages.ModelInferRequest(model_name="simple")
    for name in ("INPUT0", "INPUT1"):
        simple.inputs.add(name=name, datatype="INT32", shape=[1, 16])
        simple.raw_input_contents.append(bytes(64))
    identity = messages.ModelInferRequest(model_name="identity")
    identity.inputs.add(name="INPUT0", datatype="BYTES", shape=[1, 2])
    texts = np.array([["a", "grün"]], dtype=object)
    identity.raw_input_contents.append(bytes(raw_of(Datatype.BYTES, texts)))
    return [iris, columns, tensor, simple, identity]


def _ended(call: grpc.Future[bytes]) -> StatusCode:
    """The status of a call. Fails where there is no answer in time."""
    try:
        call.result(timeout=TIMEOUT_S)
    except grpc.RpcError as error:
        return error.code()
    return StatusCode.OK


def test_nothing_that_a_client_sends_is_the_services_fault(port: int) -> None:
    statuses: Counter[StatusCode] = Counter()
    valid = _valid()
    started = time.time_ns() % 2**32
    print(f"seed {started}")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        door = Caller(channel)

        def sent(method: str, contents: list[bytes]) -> None:
            call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{method}")
            calls = [(one, call.future(one)) for one in contents]
            for content, one in calls:
                status = _ended(one)
                statuses[status] += 1
                assert status not in OURS, (method, content)
            answer = door.get(messages.ModelInferResponse, "ModelInfer", valid[0])
            assert np.frombuffer(answer.raw_output_contents[0], "<i8").tolist() == [0]

        @seed(started)
        @settings(quietly, max_examples=INFER_BATCHES)
        @given(st.lists(fuzz_messages(valid), min_size=BATCH, max_size=BATCH))
        def inferences(contents: list[bytes]) -> None:
            sent(f"{OIP}/ModelInfer", contents)

        @seed(started)
        @settings(quietly, max_examples=OTHER_BATCHES)
        @given(st.sampled_from(OTHERS), st.lists(st.binary(max_size=60), min_size=20, max_size=20))
        def others(method: str, contents: list[bytes]) -> None:
            sent(method, contents)

        @seed(started)
        @settings(quietly, max_examples=RAW_BATCHES)
        @given(st.lists(st.binary(max_size=200), min_size=10, max_size=10))
        def hardly_http(payloads: list[bytes]) -> None:
            for payload in payloads:
                _send(port, payload)
                _send(port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + payload)
            sent(f"{OIP}/ServerLive", [b""])

        inferences()
        others()
        hardly_http()
        print(f"{statuses.total()} calls: {dict(statuses)}")
        assert statuses.total() >= FEWEST_CALLS
        assert statuses[StatusCode.OK] > 200
        assert statuses[StatusCode.INVALID_ARGUMENT] > 1000


def _send(port: int, payload: bytes) -> None:
    """Send bytes as they are and wait for the end of the connection, or for an answer."""
    address = ("127.0.0.1", port)
    with (
        socket.create_connection(address, timeout=TIMEOUT_S) as connection,
        contextlib.suppress(ConnectionError),
    ):
        connection.sendall(payload)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65536)
