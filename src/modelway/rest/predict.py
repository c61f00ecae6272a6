"""The predictions of one endpoint: request bytes to answer bytes.

Everything that depends on the model alone is made when it is loaded: the decoder, the encoder, the
headers that never change. What is large is read and written off the event loop.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import partial

from modelway.domain.errors import InvalidInput, ModelwayError, UnsupportedMedia
from modelway.domain.inference import InferenceRequest, InferenceResponse
from modelway.inference.dataplane import DataPlane
from modelway.inference.decoding import Decoded, Limits
from modelway.inference.validation import Checked
from modelway.rest.codecs import Formats, TableFormat
from modelway.rest.encoding import AnswerEncoder
from modelway.rest.http import JSON, Header, Headers, Request, Response

ASIDE_BYTES = 64 * 1024
"""A body from this size on is read on a thread."""

ASIDE_ROWS = 500
"""Answers to this many rows or more are written on a thread."""

_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class Prediction:
    """Answers the predictions of one endpoint."""

    def __init__(
        self,
        plane: DataPlane,
        endpoint: str,
        encoder: AnswerEncoder,
        formats: Formats,
        limits: Limits,
    ) -> None:
        model = plane.live(endpoint)
        self._plane = plane
        self._endpoint = endpoint
        self._encoder = encoder
        self._formats = formats
        self._limits = limits
        self._validator = model.validator
        self._decode = model.decoder.decode
        self._tabular = model.signature.is_tabular
        self._named: Header = (b"modelway-endpoint", endpoint.encode())

    async def from_body(self, request: Request) -> Response:
        """Rows in the body, in any format that is read here."""
        try:
            principal, wanted, decoded = await self._from_body(request)
        except ModelwayError as error:
            self._plane.refused(self._endpoint, Headers(request.headers), error)
            raise
        response = await self._infer(request, decoded, principal)
        return await self._responded(response, wanted, single=decoded.single)

    async def from_query(self, request: Request) -> Response:
        """One row in the query."""
        try:
            principal = self._admitted(request)
            wanted = self._formats.wanted(request.headers.get(b"accept"), None)
            decoded = self._row(request.cells())
        except ModelwayError as error:
            self._plane.refused(self._endpoint, Headers(request.headers), error)
            raise
        response = await self._infer(request, decoded, principal)
        return await self._responded(response, wanted, single=True)

    async def from_path(self, request: Request, cells: Mapping[str, str]) -> Response:
        """One row in the path, answered with the prediction alone; always JSON."""
        try:
            principal = self._admitted(request)
            decoded = self._row(cells.items())
        except ModelwayError as error:
            self._plane.refused(self._endpoint, Headers(request.headers), error)
            raise
        response = await self._infer(request, decoded, principal)
        return self._answer(response, self._encoder.alone(response), JSON)

    async def _from_body(self, request: Request) -> tuple[str | None, TableFormat | None, Decoded]:
        """Who calls, the format that is wanted, and what came."""
        headers = request.headers
        principal = self._admitted(request)
        kind = headers.get(b"content-type")
        came = None if kind == JSON else self._formats.of_body(kind)
        wanted = self._formats.wanted(headers.get(b"accept"), came)
        if b"content-encoding" in headers and headers[b"content-encoding"] != b"identity":
            raise UnsupportedMedia("a compressed body is not read here", hint="send it as it is")
        body = request.body
        if came is not None:
            checked = await self._read(came, body)
            decoded = Decoded(checked.table, False, checked.warnings)
        elif len(body) >= ASIDE_BYTES:
            decoded = await self._plane.aside(lambda: self._decode(body, self._limits))
        else:
            decoded = self._decode(body, self._limits)
        return principal, wanted, decoded

    def _admitted(self, request: Request) -> str | None:
        """Who calls; asked before anything is read."""
        brought = request.headers.get(b"modelway-prediction-id")
        principal = self._plane.admit(self._endpoint, Headers(request.headers))
        if brought is not None and not _ID.fullmatch(brought):
            raise InvalidInput(
                "modelway-prediction-id is not an id",
                hint="send 1 to 128 letters, digits, '.', '_', '-'",
            )
        return principal

    def _row(self, cells: Collection[tuple[str, str]]) -> Decoded:
        if not self._tabular:
            raise InvalidInput(
                f"{self._endpoint} takes tensors, which a URL cannot hold",
                hint=f"POST them as JSON to /models/{self._endpoint}/predict",
            )
        checked = self._validator.text_row(cells)
        return Decoded(checked.table, True, checked.warnings)

    async def _read(self, came: TableFormat, body: bytes) -> Checked:
        if not self._tabular:
            raise UnsupportedMedia(
                f"{self._endpoint} takes tensors, which {came.media_type} does not hold",
                hint="send application/json",
            )
        if came.heavy or len(body) >= ASIDE_BYTES:
            return await self._plane.aside(lambda: came.read(body, self._validator))
        return came.read(body, self._validator)

    async def _infer(
        self, request: Request, decoded: Decoded, principal: str | None
    ) -> InferenceResponse:
        brought = request.headers.get(b"modelway-prediction-id")
        return await self._plane.infer(
            InferenceRequest(
                endpoint=self._endpoint,
                table=decoded.table,
                prediction_id=request.id if brought is None else brought.decode(),
                warnings=decoded.warnings,
                principal=principal,
                headers=Headers(request.headers),
            )
        )

    async def _responded(
        self, response: InferenceResponse, wanted: TableFormat | None, *, single: bool
    ) -> Response:
        """The answer in the wanted format; what is large is written on a thread."""
        write: Callable[[InferenceResponse], bytes]
        if wanted is None:
            write = self._encoder.one if single else self._encoder.many
        else:
            write = partial(self._columns, wanted)
        if response.n_rows >= ASIDE_ROWS or (wanted is not None and wanted.heavy):
            content = await self._plane.aside(lambda: write(response))
        else:
            content = write(response)
        return self._answer(response, content, JSON if wanted is None else wanted.header)

    def _columns(self, wanted: TableFormat, response: InferenceResponse) -> bytes:
        return wanted.write(self._encoder.columns(response))

    def _answer(self, response: InferenceResponse, content: bytes, kind: bytes) -> Response:
        return Response(
            content,
            kind,
            headers=(
                self._named,
                (b"modelway-version", response.version.encode()),
                (b"modelway-prediction-id", response.prediction_id.encode()),
            ),
        )
