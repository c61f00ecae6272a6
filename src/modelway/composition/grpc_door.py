"""The gRPC door of a service: its port, kept by whoever starts it, and its opening in a process.

gRPC's library binds for itself, so no socket can be handed to it. The port is bound here without
listening, for as long as the service lives, and every process that answers binds it too. It is
bound alone at first, which fails where anybody else has it, and only then shared.

Source: socket(7), SO_REUSEPORT; unix(7), abstract sockets.
"""

from __future__ import annotations

import socket
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self

from modelway.domain.errors import BadValue, MissingExtra, PortInUse
from modelway.inference.statistics import Statistics
from modelway.settings import GrpcSettings
from modelway.supervisor.sockets import holder
from modelway.telemetry.spans import Spans

if TYPE_CHECKING:
    from modelway.access.admitting import Keys
    from modelway.access.tls import Certificate
    from modelway.grpc.door import GrpcDoor
    from modelway.inference.dataplane import DataPlane
    from modelway.telemetry.access import AccessLog
    from modelway.telemetry.instruments import Metrics

_LIBRARIES = {
    "grpc": "grpcio",
    "google.protobuf": "protobuf",
    "grpc_health": "grpcio-health-checking",
    "grpc_reflection": "grpcio-reflection",
}


class ReservedPort:
    """A port that is bound and takes no connection; ``address`` is what every process binds."""

    def __init__(self, bound: socket.socket, lock: socket.socket | None) -> None:
        self._bound = bound
        self._lock = lock
        host, port = bound.getsockname()[:2]
        self.address = f"[{host}]:{port}" if bound.family == socket.AF_INET6 else f"{host}:{port}"

    def __enter__(self) -> Self:
        """Keep it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give it up."""
        self._bound.close()
        if self._lock is not None:
            self._lock.close()


def reserve(host: str, port: int) -> ReservedPort:
    """Reserve a port; 0 takes a free one.

    Raises:
        PortInUse: another process has it; the message names it where that can be seen.
        BadValue: the host is no address of this machine, or the port is not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise BadValue(f"serve.host: {host!r} is not an address: {error}") from error
    bound = socket.socket(family, kind, protocol)
    try:
        # What closed connections leave behind must not keep a restarted service from its port.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        if hasattr(socket, "SO_REUSEPORT"):
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        return ReservedPort(bound, _lock(bound.getsockname()[1]))
    except OSError as error:
        bound.close()
        if isinstance(error, PermissionError) or "requested address" in str(error).lower():
            raise BadValue(f"cannot listen on {host}:{port}: {error.strerror}") from error
        held = holder(port)
        raise PortInUse(
            f"port {port} on {host} is in use{f' by {held}' if held else ''}",
            hint="choose another with --grpc-port, or --grpc-port 0 for a free one",
        ) from error


def _lock(port: int) -> socket.socket | None:
    """What only one service has of those that reserve a port; None where there is no such thing.

    A port that nobody listens on yet may be bound twice, and two services that start at once would
    share their callers. Names of this kind belong to the network as ports do, and end with their
    process. Raises OSError.
    """
    if sys.platform != "linux":
        return None
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        lock.bind(f"\0modelway-grpc-{port}")
    except OSError:
        lock.close()
        raise
    return lock


def check_installed() -> None:
    """Do nothing if gRPC can be served, without importing any of it. Raises MissingExtra."""
    for module, library in _LIBRARIES.items():
        try:
            found = find_spec(module)
        except ModuleNotFoundError:  # not even the package that it is in
            found = None
        if found is None:
            raise MissingExtra(library, "grpc", "answering over gRPC")


async def open_door(
    plane: DataPlane,
    settings: GrpcSettings,
    address: str,
    metrics: Metrics,
    access: AccessLog,
    spans: Spans | None = None,
    statistics: Statistics | None = None,
    certificate: Certificate | None = None,
    keys: Keys | None = None,
) -> GrpcDoor:
    """The door over a data plane, answering at an address; it is to be stopped.

    ``statistics`` are an observer of the data plane; without them every number told is 0. With a
    ``certificate`` it speaks TLS and nothing else. ``keys`` are asked for what is not inference.

    Raises:
        MissingExtra: gRPC's libraries are not installed.
        PortInUse: the address cannot be listened on.
    """
    check_installed()
    from modelway.grpc.door import GrpcDoor
    from modelway.grpc.metering import GrpcMetrics

    door = GrpcDoor(statistics or Statistics(), spans, GrpcMetrics(metrics, access).observe, keys)
    await door.start(plane, settings, address, certificate)
    return door
