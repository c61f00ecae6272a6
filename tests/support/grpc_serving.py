"""A gRPC door in this process, on an event loop of its own, and calls of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from modelway.grpc.calls import Observed, unobserved
from modelway.grpc.door import GrpcDoor
from modelway.inference.dataplane import DataPlane
from modelway.inference.statistics import Statistics
from modelway.settings import GrpcSettings
from modelway.telemetry.spans import Spans
from support.ending import joined

OIP = "inference.GRPCInferenceService"
Response = TypeVar("Response", bound=Message)


@dataclass(frozen=True)
class Answered:
    """How a call ended: its status, and what came back beside the message."""

    status: grpc.StatusCode
    details: str
    trailing: Mapping[str, str]
    message: bytes = b""


@dataclass(frozen=True)
class Caller:
    """Calls a door by the bytes of its messages."""

    channel: grpc.Channel

    def ask(self, method: str, message: Message | bytes = b"", **options: Any) -> Answered:
        """How one call of ``service/method`` ended, or of the inference service's method."""
        path = f"/{method}" if "/" in method else f"/{OIP}/{method}"
        content = message if isinstance(message, bytes) else message.SerializeToString()
        try:
            asked: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(path)
            answer, call = asked.with_call(content, **{"timeout": 20.0, **options})
        except grpc.RpcError as error:
            return _ended(error)
        return _ended(call, answer)

    def get(self, kind: type[Response], method: str, message: Message | bytes = b"") -> Response:
        """The answer to a call that has to succeed."""
        answered = self.ask(method, message)
        assert answered.status is grpc.StatusCode.OK, answered
        return kind.FromString(answered.message)


def _ended(call: Any, message: bytes = b"") -> Answered:
    trailing = {one.key: one.value for one in call.trailing_metadata() or ()}
    return Answered(call.code(), call.details() or "", trailing, message)


@contextmanager
def served_grpc(
    plane: DataPlane,
    settings: GrpcSettings,
    observe: Observed = unobserved,
    spans: Spans | None = None,
    statistics: Statistics | None = None,
) -> Iterator[int]:
    """The port on which a door answers."""
    ended, started = threading.Event(), threading.Event()
    port = 0

    async def serve() -> None:
        nonlocal port
        door = GrpcDoor(statistics or Statistics(), spans, observe)
        port = await door.start(plane, settings, "127.0.0.1:0")
        started.set()
        await asyncio.to_thread(ended.wait)
        await door.stop(1)
        plane.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        assert started.wait(20)
        yield port
    finally:
        ended.set()
        joined(thread)
