"""The HTTP application: every route of a service, and what stands around each answer.

A request is found in the route table, unpacked, answered; what is raised on the way becomes an
error in the shape that its path's protocol wants. Whatever happens, there is a response.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

from modelway.access.admitting import Keys
from modelway.domain.errors import MethodNotAllowed, Unavailable
from modelway.inference.dataplane import DataPlane
from modelway.inference.statistics import Statistics
from modelway.rest import health, invocations, models, oip, sagemaker, tfserving
from modelway.rest.compression import unpacked
from modelway.rest.guarding import guarded
from modelway.rest.hosts import Hosts
from modelway.rest.http import Answer, Request, Response, constant, header_lines
from modelway.rest.job_handing import Handing
from modelway.rest.job_shapes import JobPort
from modelway.rest.jobs import Jobs
from modelway.rest.labels import LabelPort, labelling
from modelway.rest.openapi import openapi_document
from modelway.rest.predictions import Predictions
from modelway.rest.routes import Route, RouteTable
from modelway.rest.starting import refusals
from modelway.settings import RestSettings

_PAGE_HEADERS = header_lines(
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-cache"),
)
"""A page loads and asks nothing but this service, and nobody puts it into a frame."""


class App:
    """Answers every request of a service; to be begun outside a task (``connection.py``).

    Where ``loopback``, nobody listens but this machine, and a request that names another host is
    refused: a web page may have sent it.
    """

    def __init__(
        self, table: RouteTable, plane: DataPlane, settings: RestSettings, *, loopback: bool
    ) -> None:
        self._table = table
        self._routes = table.routes
        self.refusal = table.refusal
        self._aside = plane.aside
        self.max_body_bytes = settings.max_body_bytes
        self._check_host = Hosts(loopback=loopback).check

    async def answer(self, request: Request) -> Response:
        """The response to one request, whatever happens."""
        try:
            notes = request.notes
            if notes is not None and notes.answer is not None:
                request.route = notes.route
                return await notes.answer(request)
            self._check_host(request)
            route = self._routes.get(request.path) or self._table.find(request)
            request.route = route
            answer = route.answers.get(request.method)
            if answer is None:
                raise MethodNotAllowed(request.method[:20], request.path, route.allowed)
            if b"content-encoding" in request.headers and request.body:
                await self._unpack(request)
            elif notes is not None and request.path in self._routes:
                # All of this follows from the head, and holds for the next one that is the same.
                notes.answer, notes.route = answer, route
            return await answer(request)
        except asyncio.CancelledError:
            # The caller has left, or the server ends and says so before it does.
            error: Exception = Unavailable("the service ended before the answer")
        except Exception as raised:  # noqa: BLE001 - whatever it is, the caller gets an answer
            error = raised
        return self._table.refusal(request.path)(error, request)

    async def _unpack(self, request: Request) -> None:
        """Have the body as it was before it was compressed."""
        packed, encoding = request.body, request.headers[b"content-encoding"]
        largest = self.max_body_bytes
        if len(packed) < _SMALL_BYTES:
            request.body = unpacked(packed, encoding, largest)
        else:
            request.body = await self._aside(lambda: unpacked(packed, encoding, largest))


def create_app(
    plane: DataPlane,
    settings: RestSettings,
    *,
    pages: Mapping[str, tuple[str, bytes]],
    templates: Mapping[str, str],
    output_names: Mapping[str, str],
    loopback: bool = False,
    statistics: Statistics | None = None,
    deployments: sagemaker.Deployments | None = None,
    keys: Keys | None = None,
    labels: LabelPort | None = None,
    jobs: JobPort | None = None,
) -> App:
    """The application over a data plane.

    ``pages`` are content type and body by path, ``templates`` endpoints by path template,
    ``output_names`` words for ``prediction`` by endpoint. ``statistics`` observe the data plane;
    ``deployments`` change what it answers with, where a protocol's callers may. ``keys`` are asked
    for what models look like and for statistics; for predictions the data plane asks. ``labels``
    takes what is said of predictions; without it there is no route for that, and so it is with
    ``jobs``.

    Raises:
        BadValue: a template or a word cannot be used.
    """
    table = RouteTable(settings.prefix)
    handing = None if jobs is None else Handing(jobs, plane, settings.prefix)
    predictions = Predictions(plane, settings, output_names, handing)
    constants = _constants(pages)
    taken = {"labels": labels is not None, "jobs": jobs is not None}
    document = _document(plane, settings.prefix, templates, output_names, **taken)
    for path, route in (
        *((path, Route(GET=answer)) for path, answer in constants.items()),
        *health.routes(plane),
        *_models(plane, settings, deployments),
        *predictions.routes(constants.get("/")),
        *oip.routes(plane, settings, statistics or Statistics()),
        *invocations.routes(plane, settings, sagemaker=bool(settings.sagemaker)),
        *sagemaker.routes(settings),
        *tfserving.routes(plane, settings),
        ("/openapi.json", Route(GET=document)),
    ):
        table.add(path, route if keys is None else guarded(path, route, keys, plane.router))
    later = () if handing is None else Jobs(handing, predictions, keys).routes()
    for path, route in (*labelling(labels, keys), *later):
        table.add(path, route)
    _set_apart(table, settings)
    _add_templates(table, plane, predictions, templates)
    return App(table, plane, settings, loopback=loopback)


def _set_apart(table: RouteTable, settings: RestSettings) -> None:
    """Have protocols refuse in their own words, and the prefix alone lead to the page."""
    for path, refusal in refusals(settings).items():
        table.refuse_as(path, refusal)
    if settings.prefix:
        table.routes[settings.prefix] = Route(GET=_moved(settings.prefix + "/"))


def _models(
    plane: DataPlane, settings: RestSettings, deployments: sagemaker.Deployments | None
) -> Iterator[tuple[str, Route]]:
    """What is at ``/models``: the native description, or SageMaker's contract in its place."""
    if settings.sagemaker and deployments is not None:
        folder = Path(settings.sagemaker)
        yield from sagemaker.MultiModel(plane, settings, deployments, folder).routes()
    else:
        yield from models.routes(plane)


def _document(
    plane: DataPlane,
    prefix: str,
    templates: Mapping[str, str],
    output_names: Mapping[str, str],
    *,
    labels: bool,
    jobs: bool,
) -> Answer:
    """The OpenAPI document of what is served when it is asked for."""

    async def answer(_: Request) -> Response:
        names = plane.router.endpoints()
        found = openapi_document(
            [(name, plane.router.live(name)) for name in names],
            default=plane.router.default(),
            prefix=prefix,
            templates={path: name for path, name in templates.items() if name in names},
            output_names=output_names,
            labels=labels,
            jobs=jobs,
        )
        return Response(found)

    return answer


def _constants(pages: Mapping[str, tuple[str, bytes]]) -> Mapping[str, Answer]:
    """What answers each page, which is the same for everybody."""
    return {
        path: constant(body, kind.encode(), headers=_PAGE_HEADERS)
        for path, (kind, body) in pages.items()
    }


def _add_templates(
    table: RouteTable, plane: DataPlane, predictions: Predictions, templates: Mapping[str, str]
) -> None:
    for path, name in templates.items():
        signature = plane.router.live(name).signature
        table.add_template(path, signature, predictions.from_cells(name))


def _moved(path: str) -> Answer:
    async def answer(request: Request) -> Response:
        query = b"?" + request.query if request.query else b""
        location = header_lines((b"location", path.encode() + query))
        return Response(b"", status=308, headers=location)

    return answer


_SMALL_BYTES = 1024
"""What is smaller even after it was compressed is unpacked at once: to a megabyte at the most."""
