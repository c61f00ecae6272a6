"""One call of a client: taken as bytes, answered or refused, named and observed alike for all.

A handler is begun with the call's head and asks for the message itself, so a message that does not
come is not waited for without end, and one that cannot be read is refused like anything else.

    modelway-request-id      names the call in logs and answers; made where none is brought
    modelway-prediction-id   the caller's own id of the answer
    modelway-timeout-ms      after how many milliseconds the answer is of no more use, beside the
                             call's own deadline
    traceparent, tracestate  the caller's span

Source: gRPC over HTTP2; W3C Trace Context.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message
from grpc import StatusCode

from modelway.domain.errors import InvalidInput, MalformedPayload, NotReady, RequestIncomplete
from modelway.domain.identifiers import is_id, new_prediction_id
from modelway.grpc.statuses import INTERNAL, Told, status_of, told
from modelway.telemetry.spans import (
    ENDPOINT,
    PREDICTION_ID,
    REQUEST_ID,
    RPC_METHOD,
    RPC_STATUS,
    RPC_SYSTEM,
    VERSION,
    ServerSpan,
    Spans,
)
from modelway.telemetry.trace import trace_context

Context: TypeAlias = grpc.aio.ServicerContext[bytes, bytes]
Method: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"
Read = TypeVar("Read", bound=Message)
Waited = TypeVar("Waited")

_MILLISECONDS = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(slots=True)
class Call:
    """Who calls what.

    ``headers`` is the metadata that is text, of a key sent twice the last. ``deadline`` is the
    call's own, and like ``started`` a time of ``time.monotonic``. ``named`` goes back after the
    answer. Where ``is_named``, the id is one that the client brought: it may come again.
    """

    method: str
    id: str
    headers: Mapping[str, str]
    deadline: float | None
    span: ServerSpan
    started: float
    named: dict[str, str] = field(default_factory=dict)
    is_named: bool = False

    def own_id(self) -> str | None:
        """The call's id, None where that of another may be the same."""
        return None if self.is_named else self.id

    def prediction_id(self) -> str:
        """The caller's own id of the answer, else one that nobody has. Raises InvalidInput."""
        brought = self.headers.get("modelway-prediction-id")
        if brought is None:
            return self.own_id() or new_prediction_id()
        if not is_id(brought):
            raise InvalidInput(
                "modelway-prediction-id is not an id",
                hint="send 1 to 128 letters, digits, '.', '_', '-'",
            )
        return brought

    def wanted_until(self, timeout_us: object = None) -> float | None:
        """When the answer is of no more use, by ``time.monotonic``: the soonest that is said.

        ``timeout_us`` counts from now where it is a whole number above 0. Raises InvalidInput.
        """
        said = [] if self.deadline is None else [self.deadline]
        patience = self.headers.get("modelway-timeout-ms")
        if patience is not None:
            if not _MILLISECONDS.fullmatch(patience):
                raise InvalidInput(
                    "modelway-timeout-ms is not a time", hint="send a whole number of milliseconds"
                )
            said.append(self.started + int(patience) / 1e3)
        if isinstance(timeout_us, int) and timeout_us > 0:
            said.append(time.monotonic() + timeout_us / 1e6)
        return min(said, default=None)


@dataclass(frozen=True, slots=True)
class Ended:
    """A call, or a message of a stream, as it ended; sizes are those of the messages."""

    call: Call
    status: StatusCode
    seconds: float
    request_bytes: int
    response_bytes: int
    peer: str


_SAID = {
    "modelway-endpoint": ENDPOINT,
    "modelway-version": VERSION,
    "modelway-prediction-id": PREDICTION_ID,
}
"""What the trailing metadata of an answer says of a prediction."""

Observed = Callable[[Ended], None]
"""Told of every call when it has ended; must neither block nor raise."""

Answer = Callable[[Call, bytes], Awaitable[Message]]
"""Answers one message; raises ``ModelwayError`` for what it cannot answer."""

Answers = Callable[[Call, bytes], AsyncIterator[Message]]
"""Answers one message with several, as ``Answer`` does."""

Refuse = Callable[[Told, bytes], Message]
"""What a stream answers instead, so that it can go on."""


class Calls:
    """Makes methods of answers; ``receive_s`` is how long a message may take to come."""

    def __init__(self, receive_s: float, spans: Spans, observe: Observed) -> None:
        self._receive_s = receive_s
        self._spans = spans
        self._observe = observe
        self._waiting: set[asyncio.Task[Any]] = set()
        self._draining = False

    def drain(self) -> None:
        """End the streams on which nothing is under way; without this they would end with no call.

        A unary call ends by itself.
        """
        self._draining = True
        for task in tuple(self._waiting):
            task.cancel()

    def unary(self, method: str, answer: Answer) -> Method:
        """One message in, one out."""

        async def taken(_: AsyncIterator[bytes], context: Context) -> bytes:
            call, came, sent = self._begun(method, context), b"", b""
            status = StatusCode.CANCELLED
            try:
                came = await self._received(context)
                sent = (await answer(call, came)).SerializeToString()
                status = StatusCode.OK
                context.set_trailing_metadata(tuple(call.named.items()))
                return sent
            except Exception as error:  # noqa: BLE001 - whatever it is, the client is told
                said = _told(error, call)
                status = said.status
                await context.abort(status, said.message, tuple(call.named.items()))
            finally:
                self._ended(call, context, status, len(came), len(sent))

        return grpc.stream_unary_rpc_method_handler(taken)

    def watched(self, method: str, answers: Answers) -> Method:
        """One message in, and out whatever there is to say until the client leaves."""

        async def taken(_: AsyncIterator[bytes], context: Context) -> None:
            call, came, sent_bytes = self._begun(method, context), b"", 0
            status = StatusCode.CANCELLED
            try:
                came = await self._received(context)
                following = aiter(answers(call, came))
                while (one := await self._next(anext(following, None))) is not None:
                    sent = one.SerializeToString()
                    sent_bytes += len(sent)
                    await context.write(sent)
                status = StatusCode.OK
            except Exception as error:  # noqa: BLE001 - whatever it is, the client is told
                said = _told(error, call)
                status = said.status
                await context.abort(status, said.message, tuple(call.named.items()))
            finally:
                self._ended(call, context, status, len(came), sent_bytes)

        return grpc.stream_stream_rpc_method_handler(taken)

    def each(self, method: str, answer: Answer, refuse: Refuse) -> Method:
        """A stream of messages in, in their order an answer to each out; each is a call."""

        async def taken(_: AsyncIterator[bytes], context: Context) -> None:
            while not _is_end(came := await self._read_next(context)):
                call, sent = self._begun(method, context), b""
                status = StatusCode.CANCELLED
                try:
                    sent = (await answer(call, came)).SerializeToString()
                    status = StatusCode.OK
                except Exception as error:  # noqa: BLE001 - whatever it is, the client is told
                    said = _told(error, call)
                    status, sent = said.status, refuse(said, came).SerializeToString()
                finally:
                    self._ended(call, context, status, len(came), len(sent))
                await context.write(sent)

        return grpc.stream_stream_rpc_method_handler(taken)

    async def _read_next(self, context: Context) -> bytes:
        """The next message of a stream, or the end of it."""
        try:
            return await self._next(context.read())
        except NotReady as ending:
            await context.abort(status_of(NotReady), ending.message)

    async def _next(self, waited: Awaitable[Waited]) -> Waited:
        """What a stream waits for while nothing is under way. Raises NotReady once it drains."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - every handler runs in one
        self._waiting.add(task)
        try:
            if self._draining:
                task.cancel()
            return await waited
        except asyncio.CancelledError:
            if not self._draining:
                raise
            task.uncancel()
            raise NotReady("the service is ending") from None
        finally:
            self._waiting.discard(task)

    def _begun(self, method: str, context: Context) -> Call:
        headers: dict[str, str] = {}
        for key, value in context.invocation_metadata() or ():
            if isinstance(value, str):
                is_list = key == "tracestate" and key in headers
                headers[key] = f"{headers[key]}, {value}" if is_list else value
        brought = headers.get("modelway-request-id", "")
        is_named = is_id(brought)
        call_id = brought if is_named else new_prediction_id()
        parent = trace_context(headers.get("traceparent"), headers.get("tracestate"))
        attributes = {RPC_SYSTEM: "grpc", RPC_METHOD: method, REQUEST_ID: call_id}
        remaining_s = context.time_remaining()
        started = time.monotonic()
        span = self._spans.start(method, parent, attributes)
        named = {"modelway-request-id": call_id}
        if parent is not None:
            named["traceparent"] = span.context.traceparent
        return Call(
            method,
            call_id,
            headers,
            None if remaining_s is None else started + remaining_s,
            span,
            started,
            named,
            is_named,
        )

    async def _received(self, context: Context) -> bytes:
        """The only message of a call.

        Raises:
            RequestIncomplete: it did not come in time.
            MalformedPayload: the client ended the call without one.
        """
        try:
            async with asyncio.timeout(self._receive_s):
                came = await context.read()
        except TimeoutError:
            text = f"the message did not come within {self._receive_s:g} s"
            raise RequestIncomplete(text) from None
        if _is_end(came):
            raise MalformedPayload("the call has no message")
        return came

    def _ended(
        self, call: Call, context: Context, status: StatusCode, came_bytes: int, sent_bytes: int
    ) -> None:
        ended = time.monotonic()
        seconds = ended - call.started
        if status is StatusCode.CANCELLED and call.deadline is not None and ended >= call.deadline:
            status = StatusCode.DEADLINE_EXCEEDED  # the library cancels for both
        fault = INTERNAL if status is StatusCode.INTERNAL else None
        said = {name: call.named[key] for key, name in _SAID.items() if key in call.named}
        call.span.finish({RPC_STATUS: status.value[0], **said}, fault)
        self._observe(Ended(call, status, seconds, came_bytes, sent_bytes, context.peer()))


def parsed(kind: type[Read], message: bytes) -> Read:
    """The message as what it is to be. Raises MalformedPayload."""
    try:
        return kind.FromString(message)
    except DecodeError:
        name = kind.DESCRIPTOR.name
        raise MalformedPayload(f"the message cannot be read as a {name}") from None


def unobserved(_: Ended) -> None:
    """Do nothing."""


def _is_end(came: object) -> bool:
    return came is grpc.aio.EOF


def _told(error: Exception, call: Call) -> Told:
    said = told(error, call.method, call.id, call.span.context.trace_id)
    call.named["modelway-code"] = said.code
    return said
