"""The administration API: what answers, and changing it; on a port of its own, with a key.

    GET    /models          every version of every model, in each process that answers
    PUT    /models/{name}   {"bundle": "/path"}: have that bundle answer under the name
    DELETE /models/{name}   have nothing answer under it
    GET    /metrics         for Prometheus; needs no key, nor does /health/live

``access/routes.py`` says which scope each of them needs; the home's own key may do everything. With
a home that ``modelway up`` runs there is more: everything that ``composition/operations.py`` has.
Its store says what answers, so there nothing is loaded or unloaded by name.

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

from modelway.access.admitting import Keys, claimed_id
from modelway.access.auditing import Audited, LoggedTrail
from modelway.access.permitting import permit_endpoint, permit_scopes
from modelway.access.ports import AuditTrail
from modelway.access.refusals import Refusals
from modelway.access.routes import ADMIN_ONLY, Concerns, Door, Rule, rule_of
from modelway.domain.errors import (
    MalformedPayload,
    MethodNotAllowed,
    NotPermitted,
    RouteNotFound,
    Unauthenticated,
    Unavailable,
)
from modelway.inference.ports import Deployment, ModelState
from modelway.rest.error_texts import error_text
from modelway.rest.hosts import Hosts
from modelway.rest.http import Headers, Principal, Request, Response, constant
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


HOME_KEY = "admin"
"""What the key of the home is called, where it is written down who did something."""


ACTS: Mapping[tuple[str, str], str] = {
    ("PUT", "/models/{name}"): "model.load",
    ("DELETE", "/models/{name}"): "model.unload",
    ("POST", "/v2/repository/models/{name}/load"): "model.load",
    ("POST", "/v2/repository/models/{name}/unload"): "model.unload",
}
"""What the audit trail calls a method and a path."""


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    bundle: str


class Administration:
    """Answers on the administration port; begun outside a task, as ``connection.py`` says.

    ``key`` is the home's own, ``keys`` are others with scopes. ``numbers`` gives the text of all
    metrics; it may read files. ``further`` are routes beside its own. Refusals and what ``ACTS``
    names are entered in ``trail``, or the log; ``further`` enter what they do themselves.
    """

    def __init__(
        self,
        service: Administered,
        key: str,
        numbers: Callable[[], bytes],
        *,
        loopback: bool,
        keys: Keys | None = None,
        further: Iterable[tuple[str, Route]] = (),
        trail: AuditTrail | None = None,
    ) -> None:
        self._service = service
        self._keys = keys or Keys()
        self._audited = Audited(trail or LoggedTrail())
        self._refusals = Refusals(self._audited)
        self._expected = b"Bearer " + key.encode()
        self._numbers = numbers
        self._check_host = Hosts(loopback=loopback).check
        self._table = RouteTable()
        for path, route in (*self._routes(), *further):
            self._table.add(path, route)
        self._table.refuse_as("/v2", error_text)

    async def answer(self, request: Request) -> Response:
        """The response to one request, whatever happens."""
        try:
            return await self._answered(request)
        except asyncio.CancelledError:
            error: Exception = Unavailable("the service ended before the answer")
        except Exception as raised:  # noqa: BLE001 - whatever it is, the caller gets an answer
            error = raised
        return self._table.refusal(request.path)(error, request)

    async def _answered(self, request: Request) -> Response:
        """The response, with what the audit trail is to have entered in it."""
        self._check_host(request)
        try:
            route = self._found(request)
            answer = route.answers.get(request.method)
            if answer is None:
                raise MethodNotAllowed(request.method[:20], request.path, route.allowed)
            act = ACTS.get((request.method, route.path))
            if act is None:
                return await answer(request)
            named = (_actor(request), act, request.captures["name"])
            async with self._audited.act(*named, _detail(request.body)):
                return await answer(request)
        except NotPermitted as error:
            asked = f"{request.method[:20]} {request.path}"
            place = (request.client, _actor(request))
            claims = claimed_id(Headers(request.headers))
            await self._refusals.refused(place, asked, claims, error)
            raise

    def _found(self, request: Request) -> Route:
        """The request's route, which whoever calls may ask; what there is only a key is told."""
        try:
            route = self._table.find(request)
        except RouteNotFound:
            self._check(request, ADMIN_ONLY)
            raise
        self._check(request, rule_of(Door.ADMINISTRATION, request.method, route.path))
        return route

    def _check(self, request: Request, rule: Rule) -> None:
        """Note in the request who calls. Raises NotPermitted."""
        if rule.scopes is None:
            return
        brought = request.headers.get(b"authorization", b"")
        if hmac.compare_digest(brought, self._expected):
            request.principal = Principal(HOME_KEY)
            return
        headers = Headers(request.headers)
        if not (brought or b"x-api-key" in request.headers):
            raise Unauthenticated(
                "administration needs a key",
                hint="send authorization: Bearer KEY; one is in admin.key of the service's home",
            )
        key = self._keys.key(headers)
        request.principal = Principal(key.actor, key)
        permit_scopes(key, rule.scopes)
        if rule.concerns is not Concerns.RECORD:  # which one that is of is looked up by the route
            one = request.captures.get("name") if rule.concerns is Concerns.ENDPOINT else None
            permit_endpoint(key, one)

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


def _actor(request: Request) -> str:
    return "" if request.principal is None else request.principal.actor


def _detail(body: bytes) -> Mapping[str, object]:
    """What a body asks for; nothing where it cannot be read, which its route says."""
    try:
        found = msgspec.json.decode(body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
