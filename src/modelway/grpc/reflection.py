"""Reflection: which services there are and what their messages look like, told to those who ask.

It is served by its two names; tools try the newer and some know the older only. Their messages are
the same.

Source: gRPC Server Reflection Protocol.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import aio as library

from modelway.grpc.calls import Call, Calls, parsed
from modelway.grpc.statuses import Told

SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


def methods(
    calls: Calls, services: Iterable[str], pool: DescriptorPool
) -> Sequence[grpc.GenericRpcHandler]:
    """What answers for ``services``, whose files are in ``pool``."""
    servicer = library.ReflectionServicer(tuple(services), pool)

    async def answer(_: Call, message: bytes) -> Message:
        asked = parsed(reflection_pb2.ServerReflectionRequest, message)
        async for one in servicer.ServerReflectionInfo(_alone(asked), None):
            found: Message = one
        return found

    return [
        grpc.method_handlers_generic_handler(
            name,
            {"ServerReflectionInfo": calls.each(f"{name}/ServerReflectionInfo", answer, _refused)},
        )
        for name in SERVICES
    ]


async def _alone(one: Any) -> AsyncIterator[Any]:
    yield one


def _refused(said: Told, _: bytes) -> Message:
    error = reflection_pb2.ErrorResponse(
        error_code=said.status.value[0], error_message=said.message
    )
    answer: Message = reflection_pb2.ServerReflectionResponse(error_response=error)
    return answer
