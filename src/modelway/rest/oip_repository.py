"""The model repository extension: what there is; and on the administration's port, changing it.

The public port shows the index and changes nothing. A model is loaded from where the service knows
it to be: a request brings neither files nor settings.

Source: Triton Inference Server, "Model Repository Extension".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from modelway.domain.errors import InvalidInput, MalformedPayload
from modelway.inference.ports import ModelState
from modelway.rest.http import Request, Response
from modelway.rest.routes import Route

if TYPE_CHECKING:
    from modelway.inference.dataplane import DataPlane

Read = TypeVar("Read", bound=msgspec.Struct)

INDEX = "/v2/repository/index"
_STATES = {"ready": "READY", "loading": "LOADING"}
_REASONS = {"failed": "it could not be opened", "unloaded": "unloaded"}
"""Why a version is not open, as far as strangers may know."""


class Repository(Protocol):
    """Models that are loaded by name from where the service knows them to be.

    ``load`` has a model answer, anew where it answers already, or raises why not.
    ``unload`` has it answer no more, and raises EndpointNotFound where it did not.
    ``states`` are all versions that are known.
    """

    async def load(self, name: str) -> None:
        """Have a model answer."""
        ...

    async def unload(self, name: str) -> None:
        """Have a model answer no more."""
        ...

    async def states(self) -> Iterable[ModelState]:
        """Every version that is known."""
        ...


class _IndexAsked(msgspec.Struct):
    ready: bool | None = None


class _ChangeAsked(msgspec.Struct):
    parameters: dict[str, msgspec.Raw] | None = None


def index_routes(plane: DataPlane) -> Iterator[tuple[str, Route]]:
    """The index as everybody may see it."""
    router = plane.router

    async def index(request: Request) -> Response:
        asked = _decoded(request.body, _IndexAsked)
        return _index(
            [
                (name, one.version, one.state, _REASONS.get(one.state, ""))
                for name in router.endpoints()
                for one in router.versions(name)
            ],
            ready_only=bool(asked.ready),
        )

    yield INDEX, Route(POST=index)


def repository_routes(models: Repository) -> Iterator[tuple[str, Route]]:
    """The index with its reasons, loading and unloading; for the administration's port."""

    async def index(request: Request) -> Response:
        asked = _decoded(request.body, _IndexAsked)
        states = await models.states()
        return _index(
            [(one.name, one.version, one.state, one.reason or "") for one in states],
            ready_only=bool(asked.ready),
        )

    async def load(request: Request) -> Response:
        brought = _decoded(request.body, _ChangeAsked).parameters or {}
        unread = [key for key in brought if key == "config" or key.startswith("file:")]
        if unread:
            raise InvalidInput(
                f"{unread[0][:80]}: a model is loaded from where it lies, not from a request"
            )
        await models.load(request.captures["name"])
        return Response(b"{}")

    async def unload(request: Request) -> Response:
        _decoded(request.body, _ChangeAsked)
        await models.unload(request.captures["name"])
        return Response(b"{}")

    yield INDEX, Route(POST=index)
    yield "/v2/repository/models/{name}/load", Route(POST=load)
    yield "/v2/repository/models/{name}/unload", Route(POST=unload)


def _index(entries: Iterable[tuple[str, str, str, str]], *, ready_only: bool) -> Response:
    """The index of entries of name, version, state and reason."""
    listed = [
        {
            "name": name,
            "version": version,
            "state": _STATES.get(state, "UNAVAILABLE"),
            "reason": reason,
        }
        for name, version, state, reason in entries
        if state == "ready" or not ready_only
    ]
    return Response(msgspec.json.encode(listed))


def _decoded(body: bytes, kind: type[Read]) -> Read:
    """The body as what it is to be; one that is empty has nothing of it."""
    try:
        return msgspec.json.decode(body.strip() or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedPayload(f"the body cannot be read: {error}") from None
