"""One call of a model over HTTP: what every protocol's door takes from the headers alike.

Control stands in headers only, so that a column may be called ``timeout``:

    modelway-prediction-id   the caller's own id of the answer
    modelway-timeout-ms      after how many milliseconds the answer is of no more use
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelway.domain.errors import InvalidInput
from modelway.domain.identifiers import new_prediction_id
from modelway.domain.inference import InferenceRequest, InferenceResponse, RowWarning
from modelway.domain.tables import Table
from modelway.inference.dataplane import DataPlane
from modelway.rest.http import Header, Headers, Request

_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_MILLISECONDS = re.compile(rb"[1-9][0-9]{0,8}")
_NONE: Mapping[str, object] = {}


@dataclass(slots=True)
class Call:
    """Who calls which endpoint, how the answer is called, and until when it is wanted."""

    endpoint: str
    headers: Headers
    principal: str | None
    prediction_id: str
    deadline: float | None

    def request(
        self,
        table: Table,
        warnings: Sequence[RowWarning] = (),
        parameters: Mapping[str, object] = _NONE,
    ) -> InferenceRequest:
        """The inference request of this call."""
        return InferenceRequest(
            self.endpoint,
            table,
            self.prediction_id,
            warnings,
            self.principal,
            self.headers,
            parameters,
            self.deadline,
        )


def called(plane: DataPlane, request: Request, endpoint: str) -> Call:
    """The call that a request makes; asked before anything of it is read.

    Raises:
        InvalidInput: a control header cannot be understood.
        NotPermitted: who calls may not.
    """
    raw = request.headers
    headers = Headers(raw)
    principal = plane.admit(endpoint, headers)
    # A request id that the caller brought may come again, a prediction's may not.
    prediction_id = new_prediction_id() if b"x-request-id" in raw else request.id
    deadline = None
    brought = raw.get(b"modelway-prediction-id")
    if brought is not None:
        if not _ID.fullmatch(brought):
            raise InvalidInput(
                "modelway-prediction-id is not an id",
                hint="send 1 to 128 letters, digits, '.', '_', '-'",
            )
        prediction_id = brought.decode()
    patience = raw.get(b"modelway-timeout-ms")
    if patience is not None:
        if not _MILLISECONDS.fullmatch(patience):
            raise InvalidInput(
                "modelway-timeout-ms is not a time", hint="send a whole number of milliseconds"
            )
        deadline = time.monotonic() + int(patience) / 1000
    return Call(endpoint, headers, principal, prediction_id, deadline)


def answer_headers(response: InferenceResponse) -> list[Header]:
    """The headers that name an answer, in every protocol."""
    return [
        (b"modelway-endpoint", response.endpoint.encode()),
        (b"modelway-version", response.version.encode()),
        (b"modelway-prediction-id", response.prediction_id.encode()),
    ]
