"""``/invocations`` and its kin: a service stands where MLflow's scoring server or SageMaker's
container stood.

Both ask the default endpoint at one path and mean different things by CSV. MLflow's always has a
header and is answered with JSON; SageMaker's has none and is answered with CSV. So the answer is in
the format that Accept names, and where it names none: CSV to CSV without a header and, in a
container of SageMaker's, to any CSV; lines to lines; JSON to everything else. Accept is a wish and
never a reason to refuse.

What MLflow answers and this does not: a stack trace; 400 where the model failed, which is 500 here;
text for numbers, fractions for whole numbers and rows that are too short, which MLflow makes fit.

Source: MLflow 3, "Local Inference Server Specification"; Amazon SageMaker, "Use Your Own Inference
Code with Hosting Services".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec

from modelway.domain import errors
from modelway.domain.errors import EndpointNotFound, ModelwayError, NotReady
from modelway.domain.inference import InferenceResponse
from modelway.inference.dataplane import DataPlane
from modelway.inference.decoding import Limits
from modelway.inference.loading import LoadedModel
from modelway.rest.calling import answer_headers, called, refuse
from modelway.rest.codecs import CSV_TYPE, JSON_TYPE, Formats
from modelway.rest.error_texts import one_message
from modelway.rest.http import JSON, Request, Response, constant
from modelway.rest.invocations_answers import csv_of, lines_of, wrapped
from modelway.rest.invocations_bodies import (
    LINES_TYPE,
    Media,
    Reading,
    canonical,
    media_of,
    read_json,
    read_lines,
    read_rows_of_csv,
)
from modelway.rest.predict import ASIDE_BYTES, ASIDE_ROWS
from modelway.rest.problems import refusal_headers
from modelway.rest.routes import Route
from modelway.settings import RestSettings

SCORING_VERSION = b"3.17.2"
"""The MLflow whose scoring protocol this is; its clients ask for it at ``/version``."""

_TEXT = b"text/plain; charset=utf-8"


class Invocations:
    """Answers rows of any form; ``sagemaker`` says whether this is a container of SageMaker's."""

    def __init__(self, plane: DataPlane, settings: RestSettings, *, sagemaker: bool) -> None:
        self._plane = plane
        self._formats = Formats(settings)
        self._limits = Limits(settings.max_json_depth, settings.max_rows)
        self._sagemaker = sagemaker

    async def default(self, request: Request) -> Response:
        """Ask the default endpoint."""
        return await self.of(default_endpoint(self._plane), request)

    async def of(self, endpoint: str, request: Request) -> Response:
        """Ask an endpoint."""
        try:
            call = called(self._plane, request, endpoint)
            media = media_of(request.headers.get(b"content-type"))
            model = await self._plane.opened(endpoint, None, call.deadline)
            reading = await self._read(request.body, media, model, call.deadline)
        except ModelwayError as error:
            refuse(self._plane, request, endpoint, error)
            raise
        kind = self._wanted(request.headers.get(b"accept"), media, reading)
        checked = reading.checked
        checked.table.parameters = reading.parameters
        response = await self._plane.infer(call.request(checked.table, checked.warnings), model)
        write = _writer(kind, response, model, reading)
        if response.n_rows < ASIDE_ROWS:
            content = write()
        else:
            content = await self._plane.aside(write, None, call.deadline)
        return Response(content, _HEADERS[kind], headers=answer_headers(response))

    async def _read(
        self, body: bytes, media: Media, model: LoadedModel, deadline: float | None
    ) -> Reading:
        if len(body) < ASIDE_BYTES and media.kind in (JSON_TYPE, CSV_TYPE, LINES_TYPE):
            return self._reading(body, media, model)
        return await self._plane.aside(lambda: self._reading(body, media, model), model, deadline)

    def _reading(self, body: bytes, media: Media, model: LoadedModel) -> Reading:
        if media.kind == JSON_TYPE:
            return read_json(body, media, model, self._limits)
        if media.kind == CSV_TYPE:
            return read_rows_of_csv(body, media, model, self._limits)
        if media.kind == LINES_TYPE:
            return read_lines(body, model, self._limits)
        found = self._formats.of_body(media.kind.encode("latin-1"))
        if found is None or not model.signature.is_tabular:
            raise errors.UnsupportedMedia(
                f"{model.name} does not take {media.kind[:80]}", hint="send application/json"
            )
        return Reading(found.read(body, model.validator), {})

    def _wanted(self, accept: bytes | None, media: Media, reading: Reading) -> str:
        """The type of the answer."""
        named = None if accept is None or accept == b"*/*" else accepted(accept)
        if named is not None:
            return named
        if media.kind == LINES_TYPE:
            return LINES_TYPE
        is_theirs = reading.nameless or (self._sagemaker and media.kind == CSV_TYPE)
        return CSV_TYPE if is_theirs else JSON_TYPE


def routes(
    plane: DataPlane, settings: RestSettings, *, sagemaker: bool = False
) -> Iterator[tuple[str, Route]]:
    """The paths that MLflow's scoring server has; SageMaker's are among them."""

    async def ping(_: Request) -> Response:
        if sagemaker:
            return Response(b"\n")  # models come and go; one that fails is no fault of the others
        entry = plane.router.live(default_endpoint(plane))
        if entry.state in ("failed", "loading"):
            raise NotReady(f"{entry.name} is {entry.state}")
        return Response(b"\n")

    door = Invocations(plane, settings, sagemaker=sagemaker)
    yield "/invocations", Route(POST=door.default)
    yield "/ping", Route(GET=ping)
    yield "/health", Route(GET=ping)
    yield "/version", Route(GET=constant(SCORING_VERSION))


def default_endpoint(plane: DataPlane) -> str:
    """The default endpoint. Raises EndpointNotFound."""
    default = plane.router.default()
    if default is None:
        raise EndpointNotFound(None, plane.router.endpoints())
    return default


def accepted(accept: bytes) -> str | None:
    """The type that Accept likes best of those that are written here; None if it does not say.

    Source: RFC 9110, section 12.5.1.
    """
    ranges = [one.partition(";") for one in accept.decode("latin-1").lower().split(",")[:50]]
    weighed = sorted(ranges, key=lambda one: -_weight(one[2]))
    kinds = (canonical(kind.strip()) for kind, _, rest in weighed if _weight(rest))
    return next((None if kind == "*/*" else kind for kind in kinds if kind in _ACCEPTED), None)


def refusal(error: Exception, request: Request) -> Response:
    """An error as MLflow's server has it, the message naming every problem that is listed.

    Source: ``mlflow.exceptions``, error codes and their statuses.
    """
    status, message = one_message(error, request)
    headers = refusal_headers(error)
    if isinstance(error, errors.UnsupportedMedia):
        return Response(message.encode(), _TEXT, status=status, headers=headers)
    content = {"error_code": _code(error, status), "message": message}
    return Response(msgspec.json.encode(content), status=status, headers=headers)


def _code(error: Exception, status: int) -> str:
    """MLflow's code: it tells a column that is not there from a value that does not fit."""
    if isinstance(error, errors.SignatureMismatch) and any(
        problem.code == "missing" and problem.received is None for problem in error.problems
    ):
        return "INVALID_PARAMETER_VALUE"
    return _CODES.get(status, "BAD_REQUEST")


def _writer(
    kind: str, response: InferenceResponse, model: LoadedModel, reading: Reading
) -> Callable[[], bytes]:
    if kind == CSV_TYPE:
        return lambda: csv_of(response, model)
    if kind == LINES_TYPE:
        return lambda: lines_of(response, model)
    return lambda: wrapped(response, model, bare=reading.bare)


def _weight(parameters: str) -> float:
    found = _Q.search(parameters)
    return float(found[1]) if found else 1.0


_Q = re.compile(r"\bq\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*(?:;|$)")
_HEADERS = {JSON_TYPE: JSON, CSV_TYPE: b"text/csv; charset=utf-8", LINES_TYPE: LINES_TYPE.encode()}

_ACCEPTED = frozenset((*_HEADERS, "*/*"))
_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "ENDPOINT_NOT_FOUND",
    409: "RESOURCE_CONFLICT",
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    507: "RESOURCE_EXHAUSTED",
}
