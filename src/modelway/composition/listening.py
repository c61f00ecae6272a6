"""Where a service listens: its socket, the port of gRPC, and the address that callers are told."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from modelway.composition.grpc_door import ReservedPort, check_installed, reserve
from modelway.composition.plan import Place
from modelway.settings import ServeSettings, Settings
from modelway.supervisor.sockets import bind, bind_unix


def listening(serve: ServeSettings) -> socket.socket:
    """The socket that callers connect to. Raises PortInUse, BadValue."""
    if serve.socket:
        return bind_unix(Path(serve.socket))
    return bind(serve.host, serve.port)


def grpc_port(settings: Settings) -> contextlib.AbstractContextManager[ReservedPort | None]:
    """The port of gRPC, kept; nothing where it is not wanted. Raises PortInUse, MissingExtra."""
    if not settings.grpc.enabled:
        return contextlib.nullcontext()
    check_installed()
    return reserve(settings.serve.host, settings.grpc.port)


def address_of(settings: Settings, listener: socket.socket) -> str:
    """Where callers find the service: a URL, or the path of its Unix socket."""
    if listener.family == socket.AF_UNIX:
        return f"unix:{settings.serve.socket}"
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if listener.family == socket.AF_INET6 else host
    if settings.serve.host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not listened on
        shown = "127.0.0.1"
    return f"{_scheme(settings)}://{shown}:{port}{settings.rest.prefix}"


def place_of(
    settings: Settings, metrics_folder: Path, admin: socket.socket, grpc: ReservedPort | None
) -> Place:
    """Where a service has its things, by the sockets that it has bound."""
    host, port = admin.getsockname()[:2]
    address = "" if grpc is None else grpc.address
    return Place(str(metrics_folder), f"{_scheme(settings)}://{host}:{port}", address)


def _scheme(settings: Settings) -> str:
    return "https" if settings.serve.tls_cert else "http"
