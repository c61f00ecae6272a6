"""One call of a model over HTTP: what every protocol's door takes from the headers alike.

Control stands in headers only, so that a column may be called ``timeout``:

    modelway-prediction-id   the caller's own id of the answer
    modelway-timeout-ms      after how many milliseconds the answer is of no more use
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from modelway.domain.errors import InvalidInput, ModelwayError
from modelway.domain.identifiers import is_id, new_prediction_id
from modelway.domain.inference import InferenceRequest, InferenceResponse, RowWarning
from modelway.domain.tables import Table
from modelway.inference.dataplane import DataPlane
from modelway.rest.http import Headers, Request

_NAMED = b"modelway-endpoint: %s\r\nmodelway-version: %s\r\nmodelway-prediction-id: %s\r\n"
_VERSION = re.compile(rb"(?:\A|\n)modelway-version: ([^\r]*)\r\n")
_MILLISECONDS = re.compile(rb"[1-9][0-9]{0,8}")


class Call(msgspec.Struct, gc=False):
    """Who calls which endpoint, how the answer is called, and until when it is wanted.

    ``is_pinned`` says that the path names the version that is to answer, ``has_own_id`` that the
    caller brought the id. ``progress`` is told how many rows are answered, where anybody asks.
    """

    endpoint: str
    headers: Headers
    principal: str | None
    prediction_id: str
    deadline: float | None
    is_pinned: bool = False
    has_own_id: bool = False
    progress: Callable[[int], object] | None = None

    def request(self, table: Table, warnings: Sequence[RowWarning] = ()) -> InferenceRequest:
        """The inference request of this call."""
        return InferenceRequest(
            self.endpoint,
            table,
            self.prediction_id,
            warnings,
            self.principal,
            self.headers,
            self.deadline,
            self.is_pinned,
            self.has_own_id,
            progress=self.progress,
        )


class Control(NamedTuple):
    """What a caller says in the headers of a request; nothing of it is another request's alone."""

    headers: Headers
    brought_id: str | None
    patience_s: float | None
    is_named: bool
    """Whether the id of the request was brought: it may come again, a prediction's may not."""

    @property
    def is_usual(self) -> bool:
        """Whether it says nothing."""
        return self.brought_id is None and self.patience_s is None and not self.is_named

    def call(self, plane: DataPlane, endpoint: str, request_id: str) -> Call:
        """The call of the request of this id. Raises NotPermitted."""
        headers, prediction_id, patience_s, is_named = self
        principal = plane.admit(endpoint, headers)
        deadline = None if patience_s is None else time.monotonic() + patience_s
        if prediction_id is None:
            prediction_id = new_prediction_id() if is_named else request_id
            return Call(endpoint, headers, principal, prediction_id, deadline)
        return Call(endpoint, headers, principal, prediction_id, deadline, has_own_id=True)


def called(plane: DataPlane, request: Request, endpoint: str) -> Call:
    """The call that a request makes; asked before anything of it is read.

    Raises:
        InvalidInput: a control header cannot be understood.
        NotPermitted: who calls may not.
    """
    if request.call is not None:
        return request.call
    notes = request.notes
    control = None if notes is None else notes.control
    if control is None:
        control = _control(request)
        if notes is not None:
            notes.control = control
    call = request.call = control.call(plane, endpoint, request.id)
    captures = request.captures
    call.is_pinned = bool(captures) and ("version" in captures or "label" in captures)
    return call


def refuse(plane: DataPlane, request: Request, endpoint: str, error: ModelwayError) -> None:
    """Tell of a request that was refused before its model was asked, as its caller knows it.

    Raises:
        EndpointNotFound: there is no such endpoint.
    """
    call = request.call
    if call is not None:
        plane.refused(endpoint, call.headers, error, call.prediction_id, call.principal)
        return
    headers = Headers(request.headers)
    # The id of a request may come again where its caller brought it.
    prediction_id = None if b"x-request-id" in request.headers else request.id
    plane.refused(endpoint, headers, error, prediction_id)


def _control(request: Request) -> Control:
    raw = request.headers
    brought = raw.get(b"modelway-prediction-id")
    if brought is not None and not is_id(brought.decode("latin-1")):
        raise InvalidInput(
            "modelway-prediction-id is not an id",
            hint="send 1 to 128 letters, digits, '.', '_', '-'",
        )
    patience = raw.get(b"modelway-timeout-ms")
    if patience is not None and not _MILLISECONDS.fullmatch(patience):
        raise InvalidInput(
            "modelway-timeout-ms is not a time", hint="send a whole number of milliseconds"
        )
    return Control(
        Headers(raw),
        None if brought is None else brought.decode(),
        None if patience is None else int(patience) / 1000,
        b"x-request-id" in raw,
    )


def answer_headers(response: InferenceResponse) -> bytes:
    """The header lines that name an answer, in every protocol."""
    return _NAMED % (
        response.endpoint.encode(),
        response.version.encode(),
        response.prediction_id.encode(),
    )


def version_in(headers: bytes) -> str | None:
    """The version that the header lines of an answer name."""
    found = _VERSION.search(headers)
    return None if found is None else found[1].decode()
