"""The administration port of a service: its key, its socket, its server."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelway.access.admitting import Keys
from modelway.access.ports import AuditTrail
from modelway.access.tls import Certificate
from modelway.composition.plan import ServePlan
from modelway.composition.secret_files import secret_in
from modelway.composition.securing import certificate_of
from modelway.domain.errors import Conflict, EndpointNotFound, ModelwayError, PortInUse
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
    return secret_in(home / KEY_FILE, lambda: secrets.token_urlsafe(_KEY_BYTES))


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


class _Followed:
    """A service that follows a store: its models are shown, and the store says which there are."""

    def __init__(self, service: Administered) -> None:
        self.folders = service.folders
        self.states = service.states
        self.states_by_slot = service.states_by_slot

    async def load(self, name: str, _: Path) -> str:
        """Raises Conflict."""
        raise _decided_elsewhere(
            f"modelway endpoint create {name} --live MODEL:VERSION has it answer, "
            f"modelway endpoint set {name} --live MODEL:VERSION something else answer"
        )

    async def unload(self, name: str) -> None:
        """Raises Conflict."""
        raise _decided_elsewhere(f"modelway endpoint remove {name}")


def _decided_elsewhere(hint: str) -> Conflict:
    return Conflict(
        "the control store says what answers here: modelway endpoint changes it", hint=hint
    )


@dataclass(frozen=True, slots=True)
class Extra:
    """What an administration has beside its own: keys with scopes, and further routes.

    Acts and refusals are entered in ``trail``, or the log. Where the service ``follows`` a store,
    its models are not loaded or unloaded by name.
    """

    keys: Keys | None = None
    routes: Sequence[tuple[str, Route]] = ()
    follows: bool = False
    trail: AuditTrail | None = None


async def administer(
    service: Administered, listener: socket.socket, plan: ServePlan, extra: Extra
) -> Server:
    """Answer on the administration's socket; the caller drains the server."""
    if extra.follows:
        service = _Followed(service)
    host = listener.getsockname()[0]
    metrics_folder = Path(plan.metrics_folder)
    administration = Administration(
        service,
        admin_key(Path(plan.home)),
        lambda: exposition(read_slots(metrics_folder)),
        loopback=host in ("127.0.0.1", "::1"),
        keys=extra.keys,
        further=[*repository_routes(_Repository(service)), *extra.routes],
        trail=extra.trail,
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
