"""Health, reflection and the end of a gRPC door, asked by the protocols' own clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc import StatusCode
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from modelway.endpoints.router import Routing
from modelway.grpc import messages
from modelway.grpc.door import GrpcDoor
from modelway.inference.dataplane import DataPlane
from modelway.inference.statistics import Statistics
from modelway.settings import GrpcSettings
from support.grpc_serving import OIP, Caller, served_grpc
from support.protocol_files import FOLDER, generated
from support.served import FLOWER, compiled_bundle, flower_graph, loaded, plane_of

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "iris"
    return compiled_bundle(folder, flower_graph(), FLOWER, classes=(0, 1, 2))


@pytest.fixture
def plane(bundle: Path) -> DataPlane:
    return plane_of([loaded(bundle, "iris")])


@pytest.fixture
def channel(plane: DataPlane) -> Iterator[grpc.Channel]:
    with (
        served_grpc(plane, GrpcSettings()) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield channel


@pytest.mark.parametrize("name", ["", OIP, "iris"])
def test_what_answers_serves(channel: grpc.Channel, name: str) -> None:
    asked = health_pb2.HealthCheckRequest(service=name)
    assert HealthStub(channel).Check(asked).status == SERVING
    first = next(HealthStub(channel).Watch(asked, timeout=20))
    assert first.status == SERVING


def test_what_is_not_known_is_not_found_and_is_watched_all_the_same(
    channel: grpc.Channel, plane: DataPlane, bundle: Path
) -> None:
    asked = health_pb2.HealthCheckRequest(service="other")
    refused = Caller(channel).ask("grpc.health.v1.Health/Check", asked)
    assert refused.status is StatusCode.NOT_FOUND
    watched = HealthStub(channel).Watch(asked, timeout=20)
    assert next(watched).status == UNKNOWN
    other = plane.catalogue.add("other", loaded(bundle, "other").bundle)
    plane.router.set(Routing(other))  # type: ignore[attr-defined] # an EndpointRouter
    assert next(watched).status == SERVING


def test_the_services_describe_themselves(channel: grpc.Channel) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    assert set(database.get_services()) == {OIP, "grpc.health.v1.Health"}
    pool = DescriptorPool(database)
    service = pool.FindServiceByName(OIP)
    described = {one.name: one.input_type.full_name for one in service.methods}
    assert described["ModelInfer"] == "inference.ModelInferRequest"
    assert described.keys() == {
        one.name for one in messages.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods
    }
    assert pool.FindServiceByName("grpc.health.v1.Health").FindMethodByName("Watch")


def test_reflection_has_its_newer_name_too_and_refuses_what_it_cannot_read(
    channel: grpc.Channel,
) -> None:
    call: grpc.StreamStreamMultiCallable[bytes, bytes]
    call = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    asked = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
    answers = [
        reflection_pb2.ServerReflectionResponse.FromString(one)
        for one in call(iter([asked, b"\xff", asked]), timeout=20)
    ]
    assert [bool(one.list_services_response.service) for one in answers] == [True, False, True]
    assert answers[1].error_response.error_code == StatusCode.INVALID_ARGUMENT.value[0]


def test_every_method_that_is_described_answers(channel: grpc.Channel) -> None:
    door = Caller(channel)
    for one in messages.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods:
        if not one.client_streaming:
            assert door.ask(one.name).status is not StatusCode.UNIMPLEMENTED, one.name


def test_the_generated_files_are_current() -> None:
    for name, content in generated().items():
        assert (FOLDER / name).read_bytes() == content, "python -m support.protocol_files"


def test_a_door_that_ends_is_not_ready_and_refuses_what_comes(plane: DataPlane) -> None:
    async def ended() -> list[object]:
        door = GrpcDoor(Statistics())
        port = await door.start(plane, GrpcSettings(), "127.0.0.1:0")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            infer: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
            infer = channel.unary_unary(f"/{OIP}/ModelInfer")
            ready: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
            ready = channel.unary_unary(f"/{OIP}/ServerReady")
            before = messages.ServerReadyResponse.FromString(await ready(b""))
            stopping = asyncio.create_task(door.stop(10))
            await asyncio.sleep(0)
            after = messages.ServerReadyResponse.FromString(await ready(b""))
            refused = infer(messages.ModelInferRequest(model_name="iris").SerializeToString())
            found = [before.ready, after.ready, await refused.code()]
            await stopping
            return found

    assert asyncio.run(ended()) == [True, False, StatusCode.UNAVAILABLE]
    plane.close()


def test_a_door_that_ends_lets_calls_finish_and_tells_streams(plane: DataPlane) -> None:
    """Without waiting for streams on which nothing is under way."""

    async def ended() -> tuple[list[Any], float]:
        door = GrpcDoor(Statistics())
        port = await door.start(plane, GrpcSettings(), "127.0.0.1:0")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            watch: grpc.aio.UnaryStreamMultiCallable[bytes, bytes]
            watch = channel.unary_stream("/grpc.health.v1.Health/Watch")
            watched = watch(b"")
            first = health_pb2.HealthCheckResponse.FromString(await watched.read())
            assert first.status == SERVING
            infer: grpc.aio.StreamStreamMultiCallable[bytes, bytes]
            infer = channel.stream_stream(f"/{OIP}/ModelStreamInfer")
            stream = infer()
            await stream.write(b"")
            assert await stream.read()
            loop = asyncio.get_running_loop()
            began = loop.time()
            await door.stop(10)
            took_s = loop.time() - began
            codes = []
            for call in (watched, stream):
                try:
                    while await call.read() is not grpc.aio.EOF:
                        pass
                except grpc.aio.AioRpcError:
                    pass
                codes.append(await call.code())
            return codes, took_s

    codes, took_s = asyncio.run(ended())
    assert codes == [StatusCode.UNAVAILABLE] * 2
    assert took_s < 5
    plane.close()
