"""The connection: what of HTTP goes wrong before there is a request that the application could see.

A head has a largest size, a request must keep coming, and whatever is refused here is a problem
document like any other. All else is the server library's.

Source: RFC 6585, section 5 (431); RFC 9110, section 15.5.9 (408).
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from modelway.domain.errors import (
    HeadTooLarge,
    MalformedPayload,
    ModelwayError,
    RequestIncomplete,
)
from modelway.domain.identifiers import new_prediction_id
from modelway.rest.http import Request
from modelway.rest.problems import problem_of

LARGEST_HEAD_BYTES = 64 * 1024
LEAST_BYTES = 64 * 1024
PATIENCE_S = 30.0
"""A request that is not whole brings ``LEAST_BYTES``, or its end, every ``PATIENCE_S``."""

_LINGER_S = 1.0
"""How long what still comes is read after a refusal: closing at once would destroy the answer."""


class Connection(HttpToolsProtocol):
    """One connection, over the library's own."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._measured: object = None  # the scope of the head that the next three are about
        self._head_bytes = 0
        self._head_ended = False
        self._came_bytes = 0
        self._watch: asyncio.TimerHandle | None = None
        self._refused = False

    def data_received(self, data: bytes) -> None:
        """Bytes have come; the usual request is whole in one piece."""
        if self._refused:
            return
        super().data_received(data)
        cycle = self.cycle
        if (
            cycle is None
            or cycle.scope is not self.scope
            or cycle.more_body
            or self._watch is not None
            or len(data) > LARGEST_HEAD_BYTES
        ):
            self._unusual(len(data))

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._unwatch()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could not read; the library's words for it say no more."""
        self._refuse(MalformedPayload("this is no HTTP request"))

    def _unusual(self, n_bytes: int) -> None:
        """Look at a request that is not whole, or was not, or is large."""
        if self._refused:
            return
        in_head = self.cycle is None or self.cycle.scope is not self.scope
        if self._measured is not self.scope:
            # It begins in these bytes, perhaps behind another's body: where is not known.
            self._measured, self._head_bytes, self._head_ended = self.scope, 0, False
        elif in_head:
            self._head_bytes += n_bytes
        if not in_head and not self._head_ended:
            self._head_ended = True
            self._head_bytes = sum(len(name) + len(value) + 4 for name, value in self.headers)
            self._head_bytes += len(self.url)
        if self._head_bytes > LARGEST_HEAD_BYTES:
            text = f"the head of the request is larger than the {LARGEST_HEAD_BYTES} bytes taken"
            self._refuse(HeadTooLarge(text))
        elif in_head or self.cycle.more_body:
            self._came_bytes += n_bytes
            if self._watch is None:
                self._watch = self.loop.call_later(PATIENCE_S, self._look)
        else:
            self._unwatch()

    def _look(self) -> None:
        """Refuse a request of which too little has come, unless it waits for the one before it."""
        self._watch = None
        enough, self._came_bytes = self._came_bytes >= LEAST_BYTES, 0
        cycle = self.cycle
        busy = cycle is not None and not cycle.response_complete
        if enough or (busy and (cycle.scope is not self.scope or self.pipeline)):
            self._watch = self.loop.call_later(PATIENCE_S, self._look)
        elif cycle is not None and cycle.scope is self.scope and cycle.response_started:
            self.transport.close()  # its answer did not need the body
        else:
            text = f"the request did not come: less than {LEAST_BYTES} bytes in {PATIENCE_S:g} s"
            self._refuse(RequestIncomplete(text))

    def _refuse(self, error: ModelwayError) -> None:
        """Answer with a problem document and nothing after it."""
        self._refused = True
        self._unwatch()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        request = Request(new_prediction_id(), "", "", headers={})
        response = problem_of(error, request)
        headers = [
            *self.server_state.default_headers,
            (b"modelway-request-id", request.id.encode()),
            (b"content-type", response.content_type),
            (b"content-length", b"%d" % len(response.body)),
            (b"connection", b"close"),
        ]
        lines = [b"%s: %s\r\n" % header for header in headers]
        self.transport.write(
            b"".join((STATUS_LINE[response.status], *lines, b"\r\n", response.body))
        )
        self.transport.write_eof()
        self.loop.call_later(_LINGER_S, self.transport.close)

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._came_bytes = 0
