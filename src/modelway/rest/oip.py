"""The Open Inference Protocol over REST, with Triton's binary tensors, index and statistics.

Health is told in JSON, which some clients read, and by the status, which all of them do. A model
that is not open answers all the same: it is opened by the request. The name in a path is an
endpoint, and a version is one of its versions, the live one where there is none.

Source: Open Inference Protocol, "HTTP/REST"; Triton Inference Server, protocol extensions.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from importlib.metadata import version as version_of
from typing import Any

import msgspec

from modelway.domain.errors import ModelwayError
from modelway.inference.catalogue import Entry
from modelway.inference.dataplane import DataPlane
from modelway.inference.decoding import Limits
from modelway.inference.named_tensors import TensorFace, inputs_of, outputs_of
from modelway.inference.statistics import Statistics
from modelway.rest.calling import answer_headers, called, refuse
from modelway.rest.http import Request, Response, constant
from modelway.rest.oip_answers import write_answer
from modelway.rest.oip_binary import joined
from modelway.rest.oip_repository import index_routes
from modelway.rest.oip_requests import read_request
from modelway.rest.oip_statistics import statistics_routes
from modelway.rest.predict import ASIDE_BYTES, ASIDE_ROWS
from modelway.rest.routes import Route
from modelway.settings import RestSettings

EXTENSIONS = (
    *("binary_tensor_data", "classification", "model_repository", "parameters", "statistics"),
)
_UNAVAILABLE = 503
_FAILED = ("loading", "failed")


class OpenInference:
    """The endpoints of a data plane as the protocol shows and asks them."""

    def __init__(self, plane: DataPlane, limits: Limits) -> None:
        self._plane = plane
        self._limits = limits

    async def metadata(self, request: Request) -> Response:
        """The inputs and outputs of a model."""
        name, entry = request.captures["name"], self._entry(request)
        content = {
            "name": name,
            "versions": [one.version for one in self._plane.router.versions(name)],
            "platform": entry.bundle.manifest.runtime,
            "inputs": [_face(one) for one in inputs_of(entry.bundle)],
            "outputs": [_face(one) for one in outputs_of(entry.bundle)],
        }
        return Response(msgspec.json.encode(content))

    async def model_ready(self, request: Request) -> Response:
        """Whether a model answers."""
        ready = self._entry(request).state not in _FAILED
        content = {"name": request.captures["name"], "ready": ready}
        return Response(msgspec.json.encode(content), status=200 if ready else _UNAVAILABLE)

    async def listed(self, _: Request) -> Response:
        """The names of all models, as KServe lists them."""
        return Response(msgspec.json.encode({"models": list(self._plane.router.endpoints())}))

    async def infer(self, request: Request) -> Response:
        """The answer to an inference request."""
        return await self.infer_of(request.captures["name"], request)

    async def infer_of(self, name: str, request: Request) -> Response:
        """The answer of the endpoint of this name."""
        plane = self._plane
        try:
            call = called(plane, request, name)
            version = request.captures.get("version")
            model = await plane.opened(name, version, call.deadline)
            read = partial(read_request, request, model, self._limits)
            if len(request.body) < ASIDE_BYTES:
                asked = read()
            else:
                asked = await plane.aside(read, model, call.deadline)
        except ModelwayError as error:
            refuse(plane, request, name, error)
            raise
        if asked.patience_s is not None:
            until = time.monotonic() + asked.patience_s
            call.deadline = until if call.deadline is None else min(call.deadline, until)
        table, warnings = asked.checked.table, asked.checked.warnings
        table.parameters = asked.parameters
        response = await plane.infer(call.request(table, warnings), model)
        write = partial(write_answer, asked, model, response)
        elements = sum(array.size for array in response.outputs.values())
        if response.n_rows < ASIDE_ROWS and elements < _ASIDE_ELEMENTS:
            content, raws = write()
        else:
            content, raws = await plane.aside(write, None, call.deadline)
        return joined(content, raws, answer_headers(response))

    def infer_at(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        """What answers for the endpoint of this name at a path of its own."""
        return partial(self.infer_of, name)

    def _entry(self, request: Request) -> Entry:
        return self._plane.router.live(request.captures["name"], request.captures.get("version"))


def routes(
    plane: DataPlane, settings: RestSettings, statistics: Statistics
) -> Iterator[tuple[str, Route]]:
    """Every path of the protocol on the public port; ``statistics`` observe the data plane."""
    door = OpenInference(plane, Limits(settings.max_json_depth, settings.max_rows))
    server = constant(
        msgspec.json.encode(
            {"name": "modelway", "version": version_of("modelway"), "extensions": EXTENSIONS}
        )
    )
    yield "/v2", Route(GET=server)
    yield "/v2/", Route(GET=server)
    yield "/v2/health/live", Route(GET=constant(b'{"live":true}'))
    yield "/v2/health/ready", Route(GET=constant(b'{"ready":true}'))
    yield "/v2/models", Route(GET=door.listed)
    for name in plane.router.endpoints():
        # A path that names no version is found at once, without a pattern.
        yield f"/v2/models/{name}/infer", Route(POST=door.infer_at(name))
    yield from statistics_routes(plane, statistics)
    yield from index_routes(plane)
    for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        yield f"{path}/infer", Route(POST=door.infer)
        yield f"{path}/ready", Route(GET=door.model_ready)
        yield path, Route(GET=door.metadata)


def _face(face: TensorFace) -> dict[str, Any]:
    return {"name": face.name, "datatype": face.datatype.value, "shape": face.shape}


_ASIDE_ELEMENTS = ASIDE_BYTES // 8
"""Answers of this many elements or more are written on a thread."""
