"""The gRPC server of one process, on the event loop of everything else that answers.

Several processes listen on one address and the kernel spreads connections among them; whoever
starts them keeps the port. With a certificate nothing but TLS is spoken; without one, encrypting is
for what stands in front.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2

from modelway.access.admitting import Keys
from modelway.access.tls import Certificate, Pem
from modelway.domain.errors import PortInUse
from modelway.grpc import health, inference_service, messages, reflection
from modelway.grpc.calls import Calls, Observed, unobserved
from modelway.grpc.health import Health
from modelway.grpc.inference_service import InferenceService
from modelway.grpc.repository import Repository
from modelway.grpc.states import States
from modelway.inference.dataplane import DataPlane
from modelway.inference.statistics import Statistics
from modelway.settings import GrpcSettings
from modelway.telemetry.spans import PassedOn, Spans

_KEEPALIVE_MS = 60_000
_KEEPALIVE_TIMEOUT_MS = 20_000
_LARGEST_METADATA_BYTES = 16 * 1024
_REFUSING_S = 0.2


class GrpcDoor:
    """Serves a data plane; ``observe`` is told of every call, ``spans`` keeps its span.

    ``statistics`` are an observer of the data plane. ``keys`` are asked for what models look like
    and for statistics; for inference the data plane asks.
    """

    def __init__(
        self,
        statistics: Statistics,
        spans: Spans | None = None,
        observe: Observed = unobserved,
        keys: Keys | None = None,
    ) -> None:
        self._statistics = statistics
        self._spans = PassedOn() if spans is None else spans
        self._observe = observe
        self._keys = keys
        self._running: tuple[grpc.aio.Server, States, Calls] | None = None

    async def start(
        self,
        plane: DataPlane,
        settings: GrpcSettings,
        address: str,
        certificate: Certificate | None = None,
    ) -> int:
        """Answer at an address such as ``127.0.0.1:8081``; gives the port, of use where it is 0.

        ``certificate`` has the connections encrypted; one that was renewed is good for the next.

        Raises:
            PortInUse: it cannot be listened on.
        """
        server = grpc.aio.server(
            options=(
                ("grpc.max_receive_message_length", settings.max_message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_metadata_size", _LARGEST_METADATA_BYTES),
                ("grpc.absolute_max_metadata_size", _LARGEST_METADATA_BYTES),
                ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
                ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
                ("grpc.so_reuseport", 1),
            )
        )
        states = States(plane)
        calls = Calls(settings.receive_s, self._spans, self._observe)
        repository = Repository(plane, self._statistics)
        service = InferenceService(plane, states, settings.max_rows, self._keys)
        server.add_generic_rpc_handlers(_methods(service, repository, states, calls))
        try:
            if certificate is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, _credentials(certificate))
        except RuntimeError as error:
            raise PortInUse(f"gRPC cannot listen on {address}: {error}") from error
        await server.start()
        self._running = (server, states, calls)
        return port

    async def stop(self, drain_s: float) -> None:
        """Take nothing new and give open calls so long to end; then cancel them.

        The library cancels what reaches it while it stops, which no client repeats; so what comes
        is refused for a moment before, in a way that clients do repeat.
        """
        if self._running is None:
            return
        server, states, calls = self._running
        states.drain()
        calls.drain()
        refusing_s = min(_REFUSING_S, drain_s)
        await asyncio.sleep(refusing_s)
        await server.stop(drain_s - refusing_s)


def _credentials(certificate: Certificate) -> grpc.ServerCredentials:
    """What the library asks in each handshake, on a thread of its own."""
    told = certificate.pem

    def renewed() -> Any:  # None for no change, which the library's types leave out
        nonlocal told
        if told is certificate.pem:
            return None
        told = certificate.pem
        return _configuration(told)

    return grpc.dynamic_ssl_server_credentials(_configuration(told), renewed)


def _configuration(pem: Pem) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pem.key, pem.chain)])


def _methods(
    service: InferenceService, repository: Repository, states: States, calls: Calls
) -> list[grpc.GenericRpcHandler]:
    name = inference_service.SERVICE
    more = {"RepositoryIndex": repository.index, "ModelStatistics": repository.statistics}
    ready = {"": states.ready, name: states.ready}
    pool = messages.DESCRIPTOR.pool
    pool.AddSerializedFile(health_pb2.DESCRIPTOR.serialized_pb)
    return [
        service.methods(calls, more),
        Health(ready, states.model_ready).methods(calls),
        *reflection.methods(calls, (name, health.SERVICE), pool),
    ]
