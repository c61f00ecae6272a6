"""TensorFlow Serving's REST API, and the first protocol of KServe, which shares its paths.

Status, metadata, predict, classify and regress of an endpoint, of one of its versions, or of a
label: ``live`` and ``stable`` are the version that answers. Versions are numbers to these clients;
one that is not, a digest say, is shown as 1 and answers to 1 while it is the live one, and to its
own name always. An endpoint's status has ``name`` and ``ready`` beside it, as KServe wants.

Source: TensorFlow Serving, "RESTful API"; KServe, "V1 Protocol".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import msgspec

from modelway.domain.errors import ModelwayError, VersionNotFound
from modelway.domain.inference import InferenceResponse
from modelway.domain.signature import Datatype
from modelway.inference.catalogue import Entry
from modelway.inference.dataplane import DataPlane
from modelway.inference.decoding import Limits
from modelway.inference.loading import LoadedModel
from modelway.inference.named_tensors import TensorFace, inputs_of, outputs_of
from modelway.inference.validation import Checked
from modelway.rest.calling import answer_headers, called, refuse
from modelway.rest.http import Request, Response
from modelway.rest.predict import ASIDE_BYTES, ASIDE_ROWS
from modelway.rest.routes import Route
from modelway.rest.tfserving_predict import (
    classify_answer,
    predict_answer,
    read_examples,
    read_predict,
    regress_answer,
)
from modelway.settings import RestSettings

LABELS = ("live", "stable")
"""Labels that every endpoint has; both are the version that answers."""

_STATES = {
    "ready": "AVAILABLE",
    "unloaded": "AVAILABLE",  # it is loaded when it is asked
    "loading": "LOADING",
    "failed": "END",
}
_TYPES = {
    Datatype.BOOL: "DT_BOOL",
    Datatype.FP16: "DT_HALF",
    Datatype.FP32: "DT_FLOAT",
    Datatype.FP64: "DT_DOUBLE",
    **{
        Datatype(f"{sign}INT{bits}"): f"DT_{sign}INT{bits}"
        for sign in ("", "U")
        for bits in (8, 16, 32, 64)
    },
}

Read = Callable[[bytes, LoadedModel, Limits], tuple[Checked, bool]]
"""How a body is read: the rows, and whether they came row by row."""

Write = Callable[[InferenceResponse, LoadedModel, bool], bytes]
"""How an answer is written, row by row or not."""


class Servables:
    """The endpoints of a data plane as TensorFlow Serving shows and asks them."""

    def __init__(self, plane: DataPlane, limits: Limits) -> None:
        self._plane = plane
        self._limits = limits

    async def status(self, request: Request) -> Response:
        """The state of an endpoint, or of the version that the path names."""
        entry = self.entry(request)
        found = [entry]
        if not {"version", "label"} & set(request.captures):
            others = self._plane.router.versions(entry.name)
            found += [one for one in others if one is not entry and is_number(one.version)]
        content = {
            "model_version_status": [_version_status(one) for one in found],
            "name": request.captures["name"],
            "ready": _STATES[entry.state] == "AVAILABLE",
        }
        return Response(msgspec.json.encode(content))

    async def metadata(self, request: Request) -> Response:
        """The signature of an endpoint."""
        entry = self.entry(request)
        definition = {
            "inputs": {one.name: _tensor(one) for one in inputs_of(entry.bundle)},
            "outputs": {one.name: _tensor(one) for one in outputs_of(entry.bundle)},
            "method_name": "tensorflow/serving/predict",
        }
        spec = {
            "name": request.captures["name"],
            "signature_name": "",
            "version": shown_version(entry.version),
        }
        content = {
            "model_spec": spec,
            "metadata": {"signature_def": {"signature_def": {"serving_default": definition}}},
        }
        return Response(msgspec.json.encode(content))

    async def listed(self, _: Request) -> Response:
        """The names of all endpoints, as KServe lists them."""
        return Response(msgspec.json.encode({"models": list(self._plane.router.endpoints())}))

    def asked(self, read: Read, write: Write) -> Callable[[Request], Awaitable[Response]]:
        """What answers one of the actions."""

        async def answer(request: Request) -> Response:
            return await self._answer(request, read, write)

        return answer

    def entry(self, request: Request) -> Entry:
        """What the request's path names.

        Raises:
            EndpointNotFound, VersionNotFound: there is no such one.
        """
        router, captures = self._plane.router, request.captures
        name, version, label = captures["name"], captures.get("version"), captures.get("label")
        live = router.live(name)
        if label is not None and label not in LABELS:
            raise VersionNotFound(name, label, LABELS)
        if version is None or version == live.version:
            return live
        is_ours = version == "1" and not is_number(live.version)
        if is_ours and all(one.version != version for one in router.versions(name)):
            return live
        return router.live(name, version)

    async def _answer(self, request: Request, read: Read, write: Write) -> Response:
        plane, body, limits = self._plane, request.body, self._limits
        name = request.captures["name"]
        try:
            call = called(plane, request, name)
            entry = self.entry(request)
            model = await plane.opened(name, entry.version, call.deadline)
            if len(body) < ASIDE_BYTES:
                checked, by_row = read(body, model, limits)
            else:
                reading = partial(read, body, model, limits)
                checked, by_row = await plane.aside(reading, model, call.deadline)
        except ModelwayError as error:
            refuse(plane, request, name, error)
            raise
        response = await plane.infer(call.request(checked.table, checked.warnings), model)
        if response.n_rows < ASIDE_ROWS:
            content = write(response, model, by_row)
        else:
            writing = partial(write, response, model, by_row)
            content = await plane.aside(writing, None, call.deadline)
        return Response(content, headers=answer_headers(response))


def routes(plane: DataPlane, settings: RestSettings) -> Iterator[tuple[str, Route]]:
    """Every path of the API; those of actions come first, for a name may be followed by one."""
    door = Servables(plane, Limits(settings.max_json_depth, settings.max_rows))
    actions = {
        "predict": door.asked(read_predict, _write_predict),
        "classify": door.asked(_read_examples, _write_classify),
        "regress": door.asked(_read_examples, _write_regress),
    }
    paths = (
        "/v1/models/{name}",
        "/v1/models/{name}/versions/{version}",
        "/v1/models/{name}/labels/{label}",
    )
    for path in paths:
        for action, answer in actions.items():
            yield f"{path}:{action}", Route(POST=answer)
    for path in paths:
        yield f"{path}/metadata", Route(GET=door.metadata)
        yield path, Route(GET=door.status)
    yield "/v1/models", Route(GET=door.listed)


def is_number(version: str) -> bool:
    """Whether TensorFlow Serving could have this version."""
    return version.isascii() and version.isdigit()


def shown_version(version: str) -> str:
    """A version as a number: what is none is 1."""
    return version if is_number(version) else "1"


def _version_status(entry: Entry) -> dict[str, object]:
    failed = entry.state == "failed"
    return {
        "version": shown_version(entry.version),
        "state": _STATES[entry.state],
        "status": {
            "error_code": "UNKNOWN" if failed else "OK",
            "error_message": "the model could not be opened" if failed else "",
        },
    }


def _tensor(face: TensorFace) -> dict[str, object]:
    dimensions = [{"size": str(length), "name": ""} for length in face.shape]
    return {
        "dtype": _TYPES.get(face.datatype, "DT_STRING"),
        "tensor_shape": {"dim": dimensions, "unknown_rank": False},
        "name": face.name,
    }


def _read_examples(body: bytes, model: LoadedModel, limits: Limits) -> tuple[Checked, bool]:
    return read_examples(body, model, limits), True


def _write_predict(response: InferenceResponse, model: LoadedModel, by_row: bool) -> bytes:
    return predict_answer(response, model, by_row=by_row)


def _write_classify(response: InferenceResponse, model: LoadedModel, _: bool) -> bytes:
    return classify_answer(response, model)


def _write_regress(response: InferenceResponse, _: LoadedModel, __: bool) -> bytes:
    return regress_answer(response)
