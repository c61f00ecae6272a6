"""The HTTP application: the one place that knows ASGI.

A request is read, found in the route table, answered; what is raised on the way becomes a problem
document. A caller that leaves is no error.

Source: ASGI specification 3.0, HTTP connection scope.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from modelway.domain.errors import (
    InvalidInput,
    MalformedPayload,
    MethodNotAllowed,
    PayloadTooLarge,
    Unavailable,
)
from modelway.domain.identifiers import new_prediction_id
from modelway.inference.dataplane import DataPlane
from modelway.inference.decoding import Limits
from modelway.inference.loading import LoadedModel
from modelway.rest.codecs import Formats
from modelway.rest.encoding import PREDICTION, AnswerEncoder
from modelway.rest.health import health_routes
from modelway.rest.http import Answer, Header, Request, Response, constant
from modelway.rest.models import model_routes
from modelway.rest.openapi import openapi_document
from modelway.rest.predict import Prediction
from modelway.rest.problems import problem_of
from modelway.rest.routes import Route, RouteTable
from modelway.settings import RestSettings

Application = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application."""

_PAGE_HEADERS = (
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-cache"),
)
"""A page loads and asks nothing but this service, and nobody puts it into a frame."""

_LOOPBACK = re.compile(rb"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?", re.IGNORECASE)


def create_app(
    plane: DataPlane,
    settings: RestSettings,
    *,
    pages: Mapping[str, tuple[str, bytes]],
    templates: Mapping[str, str],
    output_names: Mapping[str, str],
    loopback: bool = False,
) -> Application:
    """The application over a data plane whose models are loaded.

    ``pages`` are content type and body by path, ``templates`` endpoints by path template,
    ``output_names`` words for ``prediction`` by endpoint. Where ``loopback``, nobody listens but
    this machine, and a request that names another host is refused: a web page may have sent it.

    Raises:
        BadValue: a template or a word cannot be used.
    """
    names = plane.router.endpoints()
    models = {name: plane.live(name) for name in names}
    table = RouteTable(settings.prefix, names)
    constants: dict[str, Answer] = {
        path: constant(body, kind.encode(), headers=_PAGE_HEADERS)
        for path, (kind, body) in pages.items()
    }
    for path, answer in {**constants, **health_routes(plane), **model_routes(plane)}.items():
        table.add(path, Route(GET=answer))
    predictions = _predictions(plane, settings, models, output_names)
    for name, one in predictions.items():
        table.add(f"/models/{name}/predict", Route(GET=one.from_query, POST=one.from_body))
    default = plane.router.default()
    if default is not None:
        one = predictions[default]
        table.add("/predict", Route(GET=one.from_query, POST=one.from_body))
        table.add("/", Route(GET=_query_or_page(one, constants.get("/"))))
    if settings.prefix:
        table.routes[settings.prefix] = Route(GET=_moved(settings.prefix + "/"))
    for path, name in templates.items():
        table.add_template(path, models[name].signature, predictions[name])
    document = openapi_document(
        list(models.items()),
        default=default,
        prefix=settings.prefix,
        templates=templates,
        output_names=output_names,
    )
    table.add("/openapi.json", Route(GET=constant(document)))
    return _App(table, settings.max_body_bytes, loopback=loopback)


def _predictions(
    plane: DataPlane,
    settings: RestSettings,
    models: Mapping[str, LoadedModel],
    output_names: Mapping[str, str],
) -> dict[str, Prediction]:
    """What predicts, by endpoint."""
    formats = Formats(settings)
    limits = Limits(settings.max_json_depth, settings.max_rows)
    found = {}
    for name, model in models.items():
        encoder = AnswerEncoder(model, output_names.get(name, PREDICTION))
        found[name] = Prediction(plane, name, encoder, formats, limits)
    return found


def _query_or_page(prediction: Prediction, page: Answer | None) -> Answer:
    """At ``/``: a prediction where there is a query, else the page for people."""
    if page is None:
        return prediction.from_query

    async def answer(request: Request) -> Response:
        return await (prediction.from_query if request.query else page)(request)

    return answer


def _moved(path: str) -> Answer:
    async def answer(request: Request) -> Response:
        query = b"?" + request.query if request.query else b""
        return Response(b"", status=308, headers=[(b"location", path.encode() + query)])

    return answer


def _check_host(headers: Sequence[Header]) -> None:
    """Refuse two hosts: who stands in front may have looked at the other one.

    Source: RFC 9112, section 3.2.
    """
    if sum(name == b"host" for name, _ in headers) > 1:
        raise MalformedPayload("the request names its host twice")


class _App:
    """The ASGI callable."""

    def __init__(self, table: RouteTable, max_body_bytes: int, *, loopback: bool) -> None:
        self._table = table
        self._routes = table.routes
        self._max_body_bytes = max_body_bytes
        self._loopback = loopback

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise NotImplementedError(f"a scope of {scope['type']} is not answered here")
        sent = scope["headers"]
        request = Request(
            new_prediction_id(),
            scope["method"],
            scope["path"],
            raw_path=scope.get("raw_path") or b"",
            query=scope["query_string"],
            headers=dict(sent),
        )
        try:
            if len(request.headers) != len(sent):
                _check_host(sent)
            response = await self._answer(request, receive)
        except asyncio.CancelledError:
            # Only a server that ends cancels; the task does end here, with an answer.
            response = problem_of(Unavailable("the service ended before the answer"), request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a document
            response = problem_of(error, request)
        if response is None:
            return
        body = response.body
        headers = [(b"modelway-request-id", request.id.encode()), *response.headers]
        if response.status != HTTPStatus.NO_CONTENT:
            headers.append((b"content-type", response.content_type))
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        if request.method == "HEAD":
            body = b""
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, request: Request, receive: Any) -> Response | None:
        """The response; None if the caller left before the request was whole."""
        headers = request.headers
        if self._loopback:
            host = headers.get(b"host")
            if host is not None and not _LOOPBACK.fullmatch(host):
                raise InvalidInput(
                    f"this service answers to localhost, not to {host[:100].decode('latin-1')!r}",
                    hint="serve with --host 0.0.0.0, or let the proxy send Host: localhost",
                )
        route = self._routes.get(request.path) or self._table.other(request)
        answer = route.answers.get(request.method)
        if answer is None:
            raise MethodNotAllowed(request.method[:20], request.path, route.allowed)
        if request.method == "POST":
            body = await self._body(headers, receive)
            if body is None:
                return None
            request.body = body
        return await answer(request)

    async def _body(self, headers: Mapping[bytes, bytes], receive: Any) -> bytes | None:
        """The whole body; None if the caller left.

        Raises:
            PayloadTooLarge: it is, or says it is, larger than is taken.
        """
        largest = self._max_body_bytes
        said = headers.get(b"content-length", b"0")
        if not said.isdigit():
            raise MalformedPayload("content-length is no number")
        if len(said) > len(str(largest)) or int(said) > largest:
            raise PayloadTooLarge(f"the body is larger than the {largest} bytes taken")
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")  # the usual request comes in one piece
            if len(body) <= largest:
                return body
        whole = bytearray()
        while message["type"] == "http.request":
            whole += message.get("body", b"")
            if len(whole) > largest:
                raise PayloadTooLarge(f"the body is larger than the {largest} bytes taken")
            if not message.get("more_body"):
                return bytes(whole)
            message = await receive()
        return None
