"""The administration port of a service: its key, its socket, its server."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelway.access.admitting import Keys
from modelway.access.tls import Certificate
from modelway.composition.plan import ServePlan
from modelway.composition.securing import certificate_of
from modelway.domain.errors import BadValue, EndpointNotFound, ModelwayError, PortInUse
from modelway.rest.admin import Administered, Administration
from modelway.rest.oip_repository import repository_routes
from modelway.rest.routes import Route
from modelway.rest.server import Server
from modelway.settings import Settings
from modelway.supervisor.sockets import bind
from modelway.telemetry.exposition import exposition
from modelway.telemetry.machine import EVERY_S
from modelway.telemetry.slots import read_slots

KEY_FILE = "admin.key"
_LARGEST_BODY_BYTES = 1024 * 1024
_KEY_BYTES = 32

_log = logging.getLogger(__name__)


def admin_key(home: Path) -> str:
    """The key of the home's administration, made with mode 0600 when it is first asked for.

    Raises:
        BadValue: the file cannot be made or read.
    """
    path = home / KEY_FILE
    try:
        home.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(_KEY_BYTES) + "\n")
        key = path.read_text().strip()
    except OSError as error:
        raise BadValue(f"the administration's key {path}: {error.strerror}") from error
    if not key:
        raise BadValue(f"{path} is empty", hint="remove it, and a new key is made")
    return key


def admin_listener(settings: Settings) -> socket.socket:
    """The administration's socket; where its port was not named and is in use, a free one.

    Raises:
        PortInUse, BadValue: it cannot be listened on.
    """
    admin = settings.admin
    try:
        return bind(admin.host, admin.port, "--admin-port")
    except PortInUse:
        if settings.origins.get("admin.port", "default") != "default":
            raise
        return bind(admin.host, 0, "--admin-port")


class _Repository:
    """The models of a service, loaded by name from the folders that it knows."""

    def __init__(self, service: Administered) -> None:
        self._service = service
        self.unload = service.unload
        self.states = service.states

    async def load(self, name: str) -> None:
        """Have a model answer, anew where it answers already. Raises EndpointNotFound."""
        folder = self._service.folders.get(name)
        if folder is None:
            raise EndpointNotFound(name[:128], list(self._service.folders))
        await self._service.load(name, folder)


@dataclass(frozen=True, slots=True)
class Extra:
    """What an administration has beside its own: keys with scopes, and further routes."""

    keys: Keys | None = None
    routes: Sequence[tuple[str, Route]] = ()


async def administer(
    service: Administered, listener: socket.socket, plan: ServePlan, extra: Extra
) -> Server:
    """Answer on the administration's socket; the caller drains the server."""
    host = listener.getsockname()[0]
    metrics_folder = Path(plan.metrics_folder)
    administration = Administration(
        service,
        admin_key(Path(plan.home)),
        lambda: exposition(read_slots(metrics_folder)),
        loopback=host in ("127.0.0.1", "::1"),
        keys=extra.keys,
        further=[*repository_routes(_Repository(service)), *extra.routes],
    )
    server = Server(administration.answer, max_body_bytes=_LARGEST_BODY_BYTES)
    certificate = certificate_of(plan.serve)
    await server.start([listener], tls=None if certificate is None else certificate.context)
    if certificate is not None:
        _keep_renewed(certificate)
    return server


def _keep_renewed(certificate: Certificate) -> None:
    """Look for a renewed certificate now and then, as long as the event loop runs."""
    try:
        certificate.renew()
    except ModelwayError as error:
        _log.error("the administration's certificate is not renewed: %s", error.message)
    asyncio.get_running_loop().call_later(EVERY_S, _keep_renewed, certificate)
