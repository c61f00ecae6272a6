"""One HTTP/1.1 connection: bytes in, requests to the application, answers out in order.

A request that can be answered without waiting is answered within the call that brought its bytes:
no task, no queue, no second look at the event loop. The application is a coroutine all the same;
only where it waits does a task take it on, unless it waits for the end of the loop's turn. What is
usual may be answered together with what else the turn brings (``together.py``).

Whatever is refused here ends the connection.

Source: RFC 9112 (HTTP/1.1); RFC 9110, sections 10.1.1 (Expect) and 15.5.9 (408).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Coroutine, Generator
from functools import partial
from http import HTTPStatus
from types import coroutine
from typing import TYPE_CHECKING, Any

from modelway.domain.errors import ModelwayError, RequestIncomplete
from modelway.domain.identifiers import new_prediction_id
from modelway.inference.soon import Soon
from modelway.rest.http import Request, Response
from modelway.rest.reading import CLOSE, Head, RequestReader

if TYPE_CHECKING:
    from modelway.rest.server import Server

_log = logging.getLogger("modelway.rest")

LEAST_BYTES = 64 * 1024
PATIENCE_S = 30.0
"""A request that is not whole brings ``LEAST_BYTES``, or its end, every ``PATIENCE_S``; a caller
takes some of its answer in that time."""

IDLE_S = 75.0
"""How long a connection stays open with nothing asked."""

_LINGER_S = 1.0
"""How long what still comes is read after a refusal: closing at once would destroy the answer."""

_MOST_WAITING = 16
_NO_CONTENT = HTTPStatus.NO_CONTENT.value
_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}


class _Together:
    """Stands for what answers a request together with others."""

    def cancel(self) -> None:
        """Do nothing: who is gone is left out."""


_TOGETHER = _Together()


class Connection(asyncio.Protocol):
    """One connection of a server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = server.loop
        self._reader = RequestReader(self, server.max_body_bytes, server.known_heads)
        self._transport: asyncio.Transport = None  # type: ignore[assignment] # there before any use
        self._client = ""
        # The request that is being answered, and those behind it.
        self._answering: asyncio.Future[Any] | _Together | None = None
        self._waiting: deque[tuple[Request, bytes]] = deque()
        self._refused: tuple[ModelwayError, str, str | None] | None = None
        self._ending = False
        self._is_full = False  # of answers that the caller does not take
        # What the sweep looks at.
        self._active_s = server.now_s
        self._window_bytes = 0
        self._written_bytes = self._taken_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has connected."""
        self._transport = transport  # type: ignore[assignment] # a stream's
        peer = transport.get_extra_info("peername")
        self._client = peer[0] if isinstance(peer, tuple) else ""
        self._server.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, and with it the wish for an answer."""
        self._server.leave(self)
        self._stop()
        self._waiting.clear()
        if self._answering is not None:
            self._answering.cancel()

    def data_received(self, data: bytes) -> None:
        """Bytes have come; the usual request is whole in one piece."""
        if self._ending or self._refused is not None:
            return
        self._reader.feed(data)
        if self._reader.in_request:
            self._window_bytes += len(data)

    def pause_writing(self) -> None:
        """The caller takes answers slower than it asks: it may not ask more."""
        self._is_full = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The caller has taken its answers."""
        self._is_full = False
        if self._answering is None:
            self._answer_waiting()
        self._read_on()

    def take(self, request: Request, connection: bytes) -> None:
        """A request has come; it is answered after those before it."""
        self._window_bytes = 0
        request.client = self._client
        request.came_s = time.monotonic()
        if self._answering is None and not self._waiting and not self._is_full:
            self._advance(request, connection, self._server.answer(request))
            return
        self._waiting.append((request, connection))
        if len(self._waiting) >= _MOST_WAITING:
            self._transport.pause_reading()

    def take_known(self, head: Head, body: bytes) -> None:
        """The same for a request whose head is known; it may be answered with others."""
        server = self._server
        if (
            head.notes.together is None
            or server.one_by_one
            or self._answering is not None
            or self._waiting
            or self._is_full
        ):
            self.take(head.request(body), b"")
            return
        self._window_bytes = 0
        self._answering = _TOGETHER
        server.turn.add(self, head, body)

    @property
    def waits(self) -> bool:
        """Whether what it asked is to be answered with others, and is not yet."""
        return self._answering is _TOGETHER and not self._ending

    def give(self, request_id: str, response: Response, request_bytes: int) -> None:
        """What it asked was answered with others."""
        self._answering = None
        try:
            self._active_s = self._server.now_s
            connection = CLOSE if self._server.draining else b""
            self._send(request_id, response, connection)
            self._server.turn.given(request_bytes, len(response.body))
            if connection is CLOSE:
                self._end()
            elif self._waiting or self._refused is not None:
                self._answer_waiting()
        except Exception:  # noqa: BLE001 - the other requests of the turn are no worse for it
            self._failed()

    def go_on(self, request: Request) -> None:
        """What it asked is not answered with others after all."""
        request.client = self._client
        request.came_s = self._server.turn.began_s
        self._resume(request, b"", self._server.answer(request))

    def invite(self) -> None:
        """Let a caller send its body, unless an answer to something before is still to come."""
        if self._answering is None and not self._waiting and not self._ending:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def refuse(self, error: ModelwayError, path: str = "", request_id: str | None = None) -> None:
        """Answer with the error, as the path's protocol has it, and with nothing after it.

        What was asked before is answered before.
        """
        if self._ending:
            return
        self._reader.stop()
        if self._answering is not None or self._waiting:
            self._refused = error, path, request_id
            return
        self._stop()
        request = Request(request_id or new_prediction_id(), "", path, headers={})
        request.came_s = time.monotonic()
        self._answered(request, self._server.refusal(path)(error, request), CLOSE)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._loop.call_later(_LINGER_S, self._transport.close)

    def look(self, now_s: float) -> None:
        """End what takes too long: called by the server's sweep every now and then."""
        unsent = self._transport.get_write_buffer_size()
        if unsent:
            taken = self._written_bytes - unsent
            if taken != self._taken_bytes:
                self._taken_bytes, self._active_s = taken, now_s
            elif now_s - self._active_s > PATIENCE_S:
                self._transport.abort()  # it does not take its answer
            return
        if self._answering is not None or self._window_bytes >= LEAST_BYTES:
            self._window_bytes, self._active_s = 0, now_s
        elif self._reader.in_request:
            if now_s - self._active_s > PATIENCE_S:
                text = f"less than {LEAST_BYTES} bytes in {PATIENCE_S:g} s"
                self.refuse(RequestIncomplete(f"the request did not come: {text}"))
        elif now_s - self._active_s > IDLE_S:
            self._end()

    def drain(self) -> None:
        """End the connection now if nothing is under way, else after its answer."""
        if self._answering is None and not (self._reader.in_request or self._waiting):
            self._end()

    def _advance(
        self, request: Request, connection: bytes, answering: Coroutine[Any, Any, Response]
    ) -> None:
        """Answer at once if nothing is to be waited for, else when it is done."""
        try:
            awaited = answering.send(None)
        except StopIteration as done:
            self._respond(request, done.value, connection)
            return
        if type(awaited) is Soon:
            self._answering = awaited
            awaited.then = partial(self._resume, request, connection, answering)
            return
        task = self._loop.create_task(self._later(request, connection, answering, awaited))
        self._answering = task
        self._server.tasks.add(task)
        task.add_done_callback(self._go_on)

    def _resume(
        self, request: Request, connection: bytes, answering: Coroutine[Any, Any, Response]
    ) -> None:
        """Go on in the place of what was waited for in this turn of the loop."""
        self._answering = None
        try:
            self._advance(request, connection, answering)
            if self._waiting or self._refused is not None:
                self._answer_waiting()
        except Exception:  # noqa: BLE001 - the other requests of the turn are no worse for it
            self._failed()

    def _failed(self) -> None:
        _log.exception("an answer could not be sent")
        self._transport.abort()

    async def _later(
        self,
        request: Request,
        connection: bytes,
        answering: Coroutine[Any, Any, Response],
        awaited: Any,
    ) -> None:
        self._respond(request, await _resumed(answering, awaited), connection)

    def _go_on(self, task: asyncio.Task[None]) -> None:
        self._server.tasks.discard(task)
        self._answering = None
        if not task.cancelled() and task.exception() is not None:
            _log.error("an answer could not be sent", exc_info=task.exception())
            self._transport.abort()
        self._answer_waiting()

    def _answer_waiting(self) -> None:
        """Answer what waits, until one of them has to wait for something."""
        while self._waiting and self._answering is None and not (self._is_full or self._ending):
            request, connection = self._waiting.popleft()
            self._advance(request, connection, self._server.answer(request))
        if self._refused is not None and self._answering is None and not self._waiting:
            self.refuse(*self._refused)
        self._read_on()

    def _read_on(self) -> None:
        closing = self._transport.is_closing()
        if len(self._waiting) < _MOST_WAITING and not (self._is_full or closing):
            self._transport.resume_reading()

    def _respond(self, request: Request, response: Response, connection: bytes) -> None:
        if self._ending:
            return
        self._active_s = self._server.now_s
        if self._server.draining:
            connection = CLOSE
        self._answered(request, response, connection)
        if connection is CLOSE:
            self._end()

    def _answered(self, request: Request, response: Response, connection: bytes) -> None:
        self._send(request.id, response, connection, headless=request.method == "HEAD")
        seconds = time.monotonic() - request.came_s
        sizes = (request.body_bytes,), (len(response.body),)
        self._server.observe(response.status, (seconds,), *sizes)

    def _send(
        self, request_id: str, response: Response, connection: bytes, *, headless: bool = False
    ) -> None:
        body = response.body
        head = b"%s%smodelway-request-id: %s\r\n%s%s" % (
            _STATUS_LINES[response.status],
            self._server.date,
            request_id.encode(),
            connection,
            response.headers,
        )
        if response.status == _NO_CONTENT:
            whole = head + b"\r\n"
        else:
            whole = b"%scontent-type: %s\r\ncontent-length: %d\r\n\r\n%s" % (
                head,
                response.content_type,
                len(body),
                b"" if headless else body,
            )
        self._written_bytes += len(whole)
        self._transport.write(whole)

    def _end(self) -> None:
        self._stop()
        self._transport.close()

    def _stop(self) -> None:
        self._ending = True
        self._reader.stop()


@coroutine
def _resumed(
    answering: Coroutine[Any, Any, Response], awaited: Any
) -> Generator[Any, Any, Response]:
    """Go on with a coroutine that has been begun and waits for ``awaited``."""
    try:
        while True:
            try:
                sent = yield awaited
            except BaseException as error:  # noqa: BLE001 - what is cancelled is told so
                awaited = answering.throw(error)
            else:
                awaited = answering.send(sent)
    except StopIteration as done:
        response: Response = done.value
        return response
