"""Triton's and KServe's own gRPC clients, each in its environment, against real services."""

from __future__ import annotations

import time
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc import StatusCode

from modelway.domain.signature import Column, Datatype, Signature
from modelway.grpc import messages
from support.clients import run_client
from support.grpc_serving import OIP, Caller
from support.live import Serve, Service, modelway
from support.served import FLOWER, compiled_bundle, flower_graph, function_bundle
from support.triton_models import identity_bundle, simple_bundle

SAID = "gRPC at "


@pytest.fixture
def bundles(tmp_path: Path) -> tuple[Path, ...]:
    """What the scripts ask: iris, simple, identity."""
    return (
        compiled_bundle(tmp_path / "iris", flower_graph(), FLOWER, classes=(0, 1, 2)),
        simple_bundle(tmp_path / "simple"),
        identity_bundle(tmp_path / "identity"),
    )


def address_of(service: Service) -> str:
    """Where a service says it answers over gRPC; its HTTP door may have been open before."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for line in service.log.read_text().splitlines():
            if line.startswith(SAID):
                return line.removeprefix(SAID)
        time.sleep(0.02)
    raise AssertionError(service.log.read_text())


def answers(caller: Caller) -> messages.ModelInferResponse:
    """The answer to a row of iris."""
    request = messages.ModelInferRequest(model_name="iris")
    request.inputs.add(name="rows", datatype="FP64", shape=[1, 2])
    request.raw_input_contents.append(np.array([6.5, 2.3]).tobytes())
    return caller.get(messages.ModelInferResponse, "ModelInfer", request)


@pytest.mark.parametrize(
    ("client", "script", "workers"),
    [("tritonclient", "grpc_triton.py", "2"), ("kserve", "grpc_kserve.py", "1")],
    ids=["triton", "kserve"],
)
def test_a_client_of_another_make_is_served(
    serve: Serve, bundles: tuple[Path, ...], client: str, script: str, workers: str
) -> None:
    service = serve(*bundles, "--grpc", "--grpc-port", "0", "--workers", workers)
    run_client(client, script, address_of(service))
    assert "Traceback" not in service.log.read_text()


def test_workers_share_a_port_and_a_service_that_ends_lets_go_of_it(
    serve: Serve, bundles: tuple[Path, ...]
) -> None:
    service = serve(*bundles, "--grpc", "--grpc-port", "0", "--workers", "2")
    address = address_of(service)
    for _ in range(8):  # connections spread over the workers
        with grpc.insecure_channel(
            address, options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            assert answers(Caller(channel)).outputs[0].name == "prediction"
    refused = modelway(
        *("serve", bundles[0], "--port", "0", "--admin-port", "0"),
        *("--grpc", "--grpc-port", address.rpartition(":")[2]),
        exit_code=2,
    )
    assert "in use" in refused.stderr
    with grpc.insecure_channel(address) as channel:
        answers(Caller(channel))
        service.process.terminate()
        assert service.process.wait(20) == 0
    again = serve(*bundles, "--grpc", "--grpc-port", address.rpartition(":")[2])
    with grpc.insecure_channel(address_of(again)) as channel:
        answers(Caller(channel))


def test_a_call_under_way_is_answered_while_the_service_ends(serve: Serve, tmp_path: Path) -> None:
    source = "import time\n\ndef slow(a):\n    time.sleep(a)\n    return a\n"
    signature = Signature(columns=(Column("a", "a", Datatype.FP64),))
    bundle = function_bundle(tmp_path / "slow", source, "slow", signature)
    service = serve(bundle, "--grpc", "--grpc-port", "0")
    with grpc.insecure_channel(address_of(service)) as channel:
        request = messages.ModelInferRequest(model_name="slow")
        one = request.inputs.add(name="a", datatype="FP64", shape=[1])
        one.contents.fp64_contents.append(1.5)
        asked: grpc.UnaryUnaryMultiCallable[bytes, bytes]
        asked = channel.unary_unary(f"/{OIP}/ModelInfer")
        call = asked.future(request.SerializeToString())
        time.sleep(0.5)
        service.process.terminate()
        answer = messages.ModelInferResponse.FromString(call.result(timeout=20))
        assert np.frombuffer(answer.raw_output_contents[0]).tolist() == [1.5]
        assert service.process.wait(20) == 0
        later = Caller(channel).ask("ServerLive", timeout=5)
        assert later.status is StatusCode.UNAVAILABLE
