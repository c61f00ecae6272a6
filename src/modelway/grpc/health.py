"""Health as orchestrators ask it: of the whole, of the service, and of each model by its name.

What is asked is looked up, so a model that is added or taken away is known at once.

Source: gRPC Health Checking Protocol, grpc.health.v1.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from modelway.domain.errors import NotFound
from modelway.grpc.calls import Call, Calls, parsed

SERVICE = "grpc.health.v1.Health"

_TICK_S = 0.5

Ready = Callable[[], bool]
"""Whether something answers now."""


class Health:
    """Answers for ``services`` by name, and for models by ``model``: None for an unknown one."""

    def __init__(self, services: Mapping[str, Ready], model: Callable[[str], bool | None]) -> None:
        self._services = services
        self._model = model

    def methods(self, calls: Calls) -> grpc.GenericRpcHandler:
        """What answers the protocol's methods."""
        check, watch = f"{SERVICE}/Check", f"{SERVICE}/Watch"
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Check": calls.unary(check, self._check),
                "Watch": calls.watched(watch, self._watch),
            },
        )

    def _ready(self, name: str) -> bool | None:
        service = self._services.get(name)
        return self._model(name) if service is None else service()

    async def _check(self, _: Call, message: bytes) -> Message:
        name = parsed(health_pb2.HealthCheckRequest, message).service
        ready = self._ready(name)
        if ready is None:
            raise NotFound(f"nothing is called {name[:80]!r}")
        return _response(ready)

    async def _watch(self, _: Call, message: bytes) -> AsyncIterator[Message]:
        """The status now and whenever it changes."""
        name = parsed(health_pb2.HealthCheckRequest, message).service
        ready = self._ready(name)
        yield _response(ready)
        while True:
            await asyncio.sleep(_TICK_S)
            before, ready = ready, self._ready(name)
            if ready is not before:
                yield _response(ready)


def _response(ready: bool | None) -> Message:
    kind = health_pb2.HealthCheckResponse
    status = kind.SERVICE_UNKNOWN
    if ready is not None:
        status = kind.SERVING if ready else kind.NOT_SERVING
    answer: Message = kind(status=status)
    return answer
