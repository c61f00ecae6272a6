"""The administration API: what answers, and changing it; on a port of its own, with a key.

    GET    /models          every version of every model, in each process that answers
    PUT    /models/{name}   {"bundle": "/path"}: have that bundle answer under the name
    DELETE /models/{name}   have nothing answer under it
    GET    /metrics         for Prometheus; needs no key, nor does /health/live

A bundle is a folder of this machine. It is loaded, verified and warmed up in every process before
any of them answers with it; if that fails anywhere, nothing has changed. Nothing heavy is imported
here: the process that administers need not be one that answers.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from modelway.domain.errors import (
    Forbidden,
    MalformedPayload,
    MethodNotAllowed,
    Unauthenticated,
    Unavailable,
)
from modelway.inference.ports import Deployment, ModelState
from modelway.rest.error_texts import error_text
from modelway.rest.hosts import Hosts
from modelway.rest.http import Request, Response, constant
from modelway.rest.routes import Route, RouteTable
from modelway.telemetry.exposition import CONTENT_TYPE


class Administered(Deployment, Protocol):
    """A service that can be administered, in one process or many.

    ``folders`` are those of every bundle that answers or did, by name.
    """

    @property
    def folders(self) -> Mapping[str, Path]:
        """The folder of each name."""
        ...

    async def states_by_slot(self) -> Mapping[int, Collection[ModelState]]:
        """The states of every process that answers."""
        ...


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    bundle: str


class Administration:
    """Answers on the administration port; begun outside a task, as ``connection.py`` says.

    ``numbers`` gives the text of all metrics; it may read files. ``further`` are the routes of the
    Open Inference Protocol's repository.
    """

    def __init__(
        self,
        service: Administered,
        key: str,
        numbers: Callable[[], bytes],
        *,
        loopback: bool,
        further: Iterable[tuple[str, Route]] = (),
    ) -> None:
        self._service = service
        self._expected = b"Bearer " + key.encode()
        self._numbers = numbers
        self._check_host = Hosts(loopback=loopback).check
        self._table = RouteTable()
        for path, route in (*self._routes(), *further):
            self._table.add(path, route)
        self._table.refuse_as("/v2", error_text)
        self._free = {"/metrics", "/health/live"}

    async def answer(self, request: Request) -> Response:
        """The response to one request, whatever happens."""
        try:
            self._check_host(request)
            if request.path not in self._free:
                self._check_key(request)
            route = self._table.find(request)
            answer = route.answers.get(request.method)
            if answer is None:
                raise MethodNotAllowed(request.method[:20], request.path, route.allowed)
            return await answer(request)
        except asyncio.CancelledError:
            error: Exception = Unavailable("the service ended before the answer")
        except Exception as raised:  # noqa: BLE001 - whatever it is, the caller gets an answer
            error = raised
        return self._table.refusal(request.path)(error, request)

    def _check_key(self, request: Request) -> None:
        brought = request.headers.get(b"authorization")
        if brought is None:
            raise Unauthenticated(
                "administration needs its key",
                hint="send authorization: Bearer KEY; it is in admin.key of the service's home",
            )
        if not hmac.compare_digest(brought, self._expected):
            raise Forbidden("this is not the key of the service's administration")

    def _routes(self) -> Iterable[tuple[str, Route]]:
        async def numbers(_: Request) -> Response:
            return Response(await asyncio.to_thread(self._numbers), CONTENT_TYPE.encode())

        async def listed(_: Request) -> Response:
            slots = await self._service.states_by_slot()
            shown = [{"slot": slot, "models": states} for slot, states in slots.items()]
            return Response(msgspec.json.encode({"workers": shown}))

        async def load(request: Request) -> Response:
            try:
                wanted = msgspec.json.decode(request.body, type=_Wanted)
            except msgspec.MsgspecError as error:
                raise MalformedPayload(
                    f"the body cannot be read: {error}", hint='send {"bundle": "/path/to/bundle"}'
                ) from None
            name = request.captures["name"]
            version = await self._service.load(name, Path(wanted.bundle))
            return Response(msgspec.json.encode({"name": name, "version": version}))

        async def unload(request: Request) -> Response:
            await self._service.unload(request.captures["name"])
            return Response(b"", status=204)

        yield "/health/live", Route(GET=constant(b'{"live":true}'))
        yield "/metrics", Route(GET=numbers)
        yield "/models", Route(GET=listed)
        yield "/models/{name}", Route(PUT=load, DELETE=unload)
