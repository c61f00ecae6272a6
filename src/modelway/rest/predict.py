"""The predictions of one endpoint: request bytes to answer bytes.

Everything that depends on the model alone is made when it is first seen: the decoder, the encoder.
What is large is read and written off the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from modelway.domain.errors import InvalidInput, ModelwayError, UnsupportedMedia
from modelway.domain.identifiers import new_prediction_id
from modelway.domain.inference import InferenceRequest, InferenceResponse
from modelway.inference.dataplane import DataPlane
from modelway.inference.decoded import Decoded
from modelway.inference.decoding import Limits
from modelway.inference.loading import LoadedModel
from modelway.inference.validation import Checked
from modelway.rest.calling import Call, answer_headers, called
from modelway.rest.codecs import Formats, TableFormat
from modelway.rest.encoding import AnswerEncoder
from modelway.rest.http import JSON, Headers, Notes, Request, Response
from modelway.rest.reading import Head
from modelway.rest.together import Asked, Asker

ASIDE_BYTES = 64 * 1024
"""A body from this size on is read on a thread."""

ASIDE_ROWS = 500
"""Answers to this many rows or more are written on a thread."""


class Prediction:
    """Answers the predictions of one endpoint, ``word`` in the place of ``prediction``."""

    def __init__(
        self, plane: DataPlane, endpoint: str, word: str, formats: Formats, limits: Limits
    ) -> None:
        self._plane = plane
        self._endpoint = endpoint
        self._word = word
        self._formats = formats
        self._limits = limits
        self._encoders: dict[str, AnswerEncoder] = {}
        self._together = self.answer_together

    def from_body(self, request: Request) -> Coroutine[Any, Any, Response]:
        """Rows in the body, in any format that is read here; to be awaited at once."""
        try:
            call = called(self._plane, request, self._endpoint)
            model = self._plane.at_hand(self._endpoint, request.captures.get("version"))
            kind = request.headers.get(b"content-type")
            came = None if kind == JSON else self._formats.of_body(kind)
            wanted = self._formats.wanted(request.headers.get(b"accept"), came)
            if model is None or came is not None or len(request.body) >= ASIDE_BYTES:
                return self._from_unusual(request, call, came, wanted)
            decoded = model.decoder.decode(request.body, self._limits)
        except ModelwayError as error:
            self._refused(request, error)
            raise
        notes = request.notes
        if notes is not None and wanted is None and decoded.single and model.execution.gathers:
            self._note(notes, request)
        return self._responded(call, model, decoded, wanted)

    def answer_together(self, asked: Sequence[Asked]) -> None:
        """Answer what is a single row in JSON, in a few bytes, and leave everything else."""
        try:
            model = self._plane.at_hand(self._endpoint)
        except ModelwayError:
            return
        if model is None or not model.execution.gathers:
            return
        read = []
        for asker, head, body in asked:
            control = head.notes.control
            if control is None or not asker.waits:
                continue
            try:
                call = control.call(self._plane, self._endpoint, new_prediction_id())
            except ModelwayError as error:
                self._plane.refused(self._endpoint, control.headers, error)
                asker.go_on(_failing(head, body, error))
                continue
            decoded = model.decoder.row(body)
            if decoded is None:
                asker.go_on(_admitted(head, body, call))
            else:
                read.append((asker, head, body, call, call.request(decoded.table)))
        most = model.execution.most_together
        for start in range(0, len(read), most):
            self._answer_read(read[start : start + most], model)

    def _answer_read(
        self, read: Sequence[tuple[Asker, Head, bytes, Call, InferenceRequest]], model: LoadedModel
    ) -> None:
        """Answer requests with one call of the model."""
        responses = self._plane.infer_together([one[-1] for one in read], model)
        contents = self._encoder(model).each(responses)
        for (asker, head, body, call, _), response, content in zip(
            read, responses, contents, strict=True
        ):
            if response is None or content is None:
                asker.go_on(_admitted(head, body, call))
            elif isinstance(content, ModelwayError):
                asker.go_on(_failing(head, body, content))
            else:
                answer = Response(content, JSON, 200, answer_headers(response))
                asker.give(call.prediction_id, answer, len(body))

    def _note(self, notes: Notes, request: Request) -> None:
        """Note that requests of this head may be answered together, if they may."""
        is_whole = notes.answer is not None and not request.captures
        if is_whole and notes.control is not None and notes.control.is_usual:
            notes.together = self._together

    async def _from_unusual(
        self, request: Request, call: Call, came: TableFormat | None, wanted: TableFormat | None
    ) -> Response:
        """Rows in a body that has to be waited for: its model is not open, or it takes a while."""
        try:
            model = await self._model(request, call)
            decoded = await self._read(came, request.body, model, call.deadline)
        except ModelwayError as error:
            self._refused(request, error)
            raise
        return await self._responded(call, model, decoded, wanted)

    async def from_query(self, request: Request) -> Response:
        """One row in the query."""
        try:
            call = called(self._plane, request, self._endpoint)
            model = await self._model(request, call)
            wanted = self._formats.wanted(request.headers.get(b"accept"), None)
            decoded = self._row(model, request.cells())
        except ModelwayError as error:
            self._refused(request, error)
            raise
        return await self._responded(call, model, decoded, wanted)

    async def from_path(self, request: Request, cells: Mapping[str, str]) -> Response:
        """One row in the path, answered with the prediction alone; always JSON."""
        try:
            call = called(self._plane, request, self._endpoint)
            model = await self._model(request, call)
            decoded = self._row(model, cells.items())
        except ModelwayError as error:
            self._refused(request, error)
            raise
        response = await self._plane.infer(call.request(decoded.table, decoded.warnings), model)
        content = self._encoder(model).alone(response)
        return Response(content, JSON, headers=answer_headers(response))

    async def _model(self, request: Request, call: Call) -> LoadedModel:
        """The model that the request's path names."""
        version = request.captures.get("version")
        return await self._plane.opened(self._endpoint, version, call.deadline)

    def _refused(self, request: Request, error: ModelwayError) -> None:
        self._plane.refused(self._endpoint, Headers(request.headers), error)

    def _encoder(self, model: LoadedModel) -> AnswerEncoder:
        found = self._encoders.get(model.version)
        if found is None:
            if len(self._encoders) > _MOST_ENCODERS:
                self._encoders.clear()
            found = self._encoders[model.version] = AnswerEncoder(model.bundle, self._word)
        return found

    def _row(self, model: LoadedModel, cells: Collection[tuple[str, str]]) -> Decoded:
        if not model.signature.is_tabular:
            raise InvalidInput(
                f"{self._endpoint} takes tensors, which a URL cannot hold",
                hint=f"POST them as JSON to /models/{self._endpoint}/predict",
            )
        checked = model.validator.text_row(cells)
        return Decoded(checked.table, True, checked.warnings)

    async def _read(
        self, came: TableFormat | None, body: bytes, model: LoadedModel, deadline: float | None
    ) -> Decoded:
        """What the body holds; what is large is read on a thread."""
        if came is not None:
            checked = await self._columns_of(came, body, model, deadline)
            return Decoded(checked.table, False, checked.warnings)
        if len(body) < ASIDE_BYTES:
            return model.decoder.decode(body, self._limits)
        decode = partial(model.decoder.decode, body, self._limits)
        return await self._plane.aside(decode, model, deadline)

    async def _columns_of(
        self, came: TableFormat, body: bytes, model: LoadedModel, deadline: float | None
    ) -> Checked:
        if not model.signature.is_tabular:
            raise UnsupportedMedia(
                f"{self._endpoint} takes tensors, which {came.media_type} does not hold",
                hint="send application/json",
            )
        if came.heavy or len(body) >= ASIDE_BYTES:
            read = partial(came.read, body, model.validator)
            return await self._plane.aside(read, model, deadline)
        return came.read(body, model.validator)

    async def _responded(
        self, call: Call, model: LoadedModel, decoded: Decoded, wanted: TableFormat | None
    ) -> Response:
        """The answer in the wanted format; what is large is written on a thread."""
        response = await self._plane.infer(call.request(decoded.table, decoded.warnings), model)
        encoder = self._encoder(model)
        write: Callable[[InferenceResponse], bytes]
        if wanted is None:
            write = encoder.one if decoded.single else encoder.many
        else:
            write = partial(_columns, encoder, wanted)
        if response.n_rows >= ASIDE_ROWS or (wanted is not None and wanted.heavy):
            content = await self._plane.aside(partial(write, response), None, call.deadline)
        else:
            content = write(response)
        kind = JSON if wanted is None else wanted.header
        return Response(content, kind, 200, answer_headers(response))


def _admitted(head: Head, body: bytes, call: Call) -> Request:
    """The request of a call that was admitted already."""
    request = head.request(body)
    request.id, request.call = call.prediction_id, call
    return request


def _failing(head: Head, body: bytes, error: ModelwayError) -> Request:
    """A request that is answered with an error, as errors look at its path."""

    async def fail(_: Request) -> Response:
        raise error

    request = head.request(body)
    request.notes = Notes()
    request.notes.answer, request.notes.route = fail, head.notes.route
    return request


def _columns(encoder: AnswerEncoder, wanted: TableFormat, response: InferenceResponse) -> bytes:
    return wanted.write(encoder.columns(response))


_MOST_ENCODERS = 100
