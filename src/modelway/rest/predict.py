"""The predictions of one endpoint: request bytes to answer bytes.

Everything that depends on the model alone is made when it is first seen: the decoder, the encoder.
What is large is read and written off the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from modelway.domain.errors import InvalidInput, ModelwayError, UnsupportedMedia
from modelway.domain.identifiers import new_prediction_id
from modelway.domain.inference import InferenceRequest, InferenceResponse
from modelway.inference.dataplane import DataPlane
from modelway.inference.decoded import Decoded
from modelway.inference.decoding import Limits
from modelway.inference.loading import LoadedModel
from modelway.inference.validation import Checked
from modelway.rest.calling import Call, answer_headers, called, refuse
from modelway.rest.codecs import JSON_TYPE, Formats, TableFormat
from modelway.rest.encoding import AnswerEncoder
from modelway.rest.http import JSON, Notes, Request, Response
from modelway.rest.reading import Head
from modelway.rest.together import Asked, Asker

ASIDE_BYTES = 64 * 1024
"""A body from this size on is read on a thread."""

ASIDE_ROWS = 500
"""Answers to this many rows or more are written on a thread."""


class Later(Protocol):
    """Who answers later those who prefer it."""

    def preferred(
        self, request: Request, prediction: Prediction
    ) -> Coroutine[Any, Any, Response] | None:
        """The answer to a request that says what it prefers, None where it is to be given now."""
        ...


class Prediction:
    """Answers the predictions of one endpoint, ``word`` in the place of ``prediction``.

    ``later`` answers those who prefer it, where anything does.
    """

    def __init__(
        self,
        plane: DataPlane,
        endpoint: str,
        word: str,
        formats: Formats,
        limits: Limits,
        later: Later | None = None,
    ) -> None:
        self._plane = plane
        self.endpoint = endpoint
        self._later = later
        self._word = word
        self._formats = formats
        self._limits = limits
        self._encoders = WeakKeyDictionary[LoadedModel, AnswerEncoder]()
        self._together = self.answer_together

    def from_body(self, request: Request) -> Coroutine[Any, Any, Response]:
        """Rows in the body, in any format that is read here; to be awaited at once."""
        if self._later is not None and b"prefer" in request.headers:
            later = self._later.preferred(request, self)
            if later is not None:
                return later
        try:
            call = called(self._plane, request, self.endpoint)
            model = self._plane.at_hand(self.endpoint, request.captures.get("version"))
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
            model = self._plane.at_hand(self.endpoint)
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
                call = control.call(self._plane, self.endpoint, new_prediction_id())
            except ModelwayError as error:
                failing = _failing(head, body, error)
                refuse(self._plane, failing, self.endpoint, error)
                asker.go_on(failing)
                continue
            decoded = model.decoder.row(body)
            if decoded is None:
                asker.go_on(_admitted(head, body, call))
            else:
                read.append((asker, head, body, call, call.request(decoded.table)))
        most = model.execution.most_together
        for start in range(0, len(read), most):
            self._answer_read(read[start : start + most], model)

    def rows_together(
        self, calls: Sequence[tuple[Call, bytes]]
    ) -> Sequence[Response | ModelwayError | None]:
        """The answers to single rows in JSON, from as few calls of the model as can be.

        None is for what is to be asked alone (``from_body``), and of which nobody was told.

        Raises:
            EndpointNotFound: there is no such endpoint.
        """
        answers: list[Response | ModelwayError | None] = [None] * len(calls)
        model = self._plane.at_hand(self.endpoint)
        if model is None or not model.execution.gathers:
            return answers
        read = []
        for place, (call, body) in enumerate(calls):
            decoded = model.decoder.row(body)
            if decoded is not None:
                read.append((place, call.request(decoded.table)))
        most = model.execution.most_together
        for start in range(0, len(read), most):
            some = read[start : start + most]
            found = self._answers([request for _, request in some], model)
            for (place, _), answer in zip(some, found, strict=True):
                answers[place] = answer
        return answers

    def _answer_read(
        self, read: Sequence[tuple[Asker, Head, bytes, Call, InferenceRequest]], model: LoadedModel
    ) -> None:
        """Answer requests with one call of the model."""
        answers = self._answers([one[-1] for one in read], model)
        for (asker, head, body, call, _), answer in zip(read, answers, strict=True):
            if answer is None:
                asker.go_on(_admitted(head, body, call))
            elif isinstance(answer, Response):
                asker.give(call.prediction_id, answer, len(body))
            else:
                asker.go_on(_failing(head, body, answer))

    def _answers(
        self, requests: Sequence[InferenceRequest], model: LoadedModel
    ) -> Sequence[Response | ModelwayError | None]:
        """The answers to single rows from one call; None for what is to be asked alone."""
        responses = self._plane.infer_together(requests, model)
        answers: list[Response | ModelwayError | None] = []
        for response, content in zip(responses, self._encoder(model).each(responses), strict=True):
            if response is not None and isinstance(content, bytes):
                answers.append(Response(content, JSON, 200, answer_headers(response)))
            else:
                answers.append(None if isinstance(content, bytes) else content)
        return answers

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
            call = called(self._plane, request, self.endpoint)
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
            call = called(self._plane, request, self.endpoint)
            model = await self._model(request, call)
            decoded = self._row(model, cells.items())
        except ModelwayError as error:
            self._refused(request, error)
            raise
        response = await self._plane.infer(call.request(decoded.table, decoded.warnings), model)
        content = self._encoder(model).alone(response)
        return Response(content, JSON, headers=answer_headers(response))

    async def checked(self, request: Request, call: Call) -> tuple[str, int]:
        """Read a body as ``from_body`` does, and ask nobody.

        Gives the media type of its answer, and how many rows it has.

        Raises:
            InvalidInput: it would be refused.
            IdempotencyMismatch: its id was brought before, with other inputs.
            ModelwayError: its model cannot be opened.
        """
        try:
            came = self._formats.of_body(request.headers.get(b"content-type"))
            wanted = self._formats.wanted(request.headers.get(b"accept"), came)
            model = await self._model(request, call)
            decoded = await self._read(came, request.body, model, call.deadline)
        except ModelwayError as error:
            self._refused(request, error)
            raise
        if call.has_own_id:
            await self._plane.know(call.request(decoded.table), model)
        return JSON_TYPE if wanted is None else wanted.media_type, decoded.table.n_rows

    async def _model(self, request: Request, call: Call) -> LoadedModel:
        """The model that the request's path names."""
        version = request.captures.get("version")
        return await self._plane.opened(self.endpoint, version, call.deadline)

    def _refused(self, request: Request, error: ModelwayError) -> None:
        refuse(self._plane, request, self.endpoint, error)

    def _encoder(self, model: LoadedModel) -> AnswerEncoder:
        found = self._encoders.get(model)
        if found is None:
            found = self._encoders[model] = AnswerEncoder(model.bundle, self._word)
        return found

    def _row(self, model: LoadedModel, cells: Collection[tuple[str, str]]) -> Decoded:
        if not model.signature.is_tabular:
            raise InvalidInput(
                f"{self.endpoint} takes tensors, which a URL cannot hold",
                hint=f"POST them as JSON to /models/{self.endpoint}/predict",
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
                f"{self.endpoint} takes tensors, which {came.media_type} does not hold",
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
