"""An application whose answers leave traces: a span each, and a line of the access log for some.

It stands around the application only where one of the two is wanted; nothing is spent otherwise.

Source: W3C Trace Context; RFC 7239 is what ``X-Forwarded-For`` became, few proxies send it.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from http import HTTPStatus

from modelway.domain.errors import BadValue
from modelway.rest.http import Request, Response, header_lines
from modelway.rest.server import Application
from modelway.telemetry.access import Access, AccessLog
from modelway.telemetry.spans import (
    ENDPOINT,
    HTTP_METHOD,
    HTTP_ROUTE,
    HTTP_STATUS,
    PREDICTION_ID,
    REQUEST_ID,
    VERSION,
    Spans,
)
from modelway.telemetry.trace import trace_context

_UNKNOWN = "unknown"
_SAID = {
    b"modelway-endpoint": ENDPOINT,
    b"modelway-version": VERSION,
    b"modelway-prediction-id": PREDICTION_ID,
}


class Observed:
    """Answers as ``inner`` does; ``proxies`` are believed about who called them."""

    def __init__(
        self, inner: Application, spans: Spans, access: AccessLog, proxies: Proxies
    ) -> None:
        self._inner = inner
        self._spans = spans
        self._access = access
        self._proxies = proxies

    async def answer(self, request: Request) -> Response:
        """The response to one request, whatever happens."""
        headers = request.headers
        parent = trace_context(
            headers.get(b"traceparent", b"").decode("latin-1"),
            headers.get(b"tracestate", b"").decode("latin-1"),
        )
        started = time.monotonic()
        span = self._spans.start(
            request.method, parent, {HTTP_METHOD: request.method, REQUEST_ID: request.id}
        )
        request.trace_id = span.context.trace_id
        response = await self._inner(request)
        route = _UNKNOWN if request.route is None else request.route.path
        said = dict(_said(response.headers))
        failed = response.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        span.finish(
            {HTTP_ROUTE: route, HTTP_STATUS: response.status, **said},
            str(response.status) if failed else None,
        )
        if self._access.on and self._access.wants(request.id):
            self._access.write(
                Access(
                    method=request.method[:20],
                    route=route,
                    status=response.status,
                    seconds=time.monotonic() - started,
                    request_id=request.id,
                    trace_id=span.context.trace_id,
                    request_bytes=request.body_bytes,
                    response_bytes=len(response.body),
                    client=self._proxies.caller(request),
                )
            )
        # Never into the response itself: a constant one is given to everybody.
        trace = header_lines((b"traceparent", span.context.traceparent.encode()))
        return Response(
            response.body,
            response.content_type,
            status=response.status,
            headers=response.headers + trace,
        )


def _said(lines: bytes) -> Iterator[tuple[str, str]]:
    """What the header lines of an answer say of a prediction."""
    for line in lines.split(b"\r\n"):
        name, _, value = line.partition(b": ")
        if name in _SAID:
            yield _SAID[name], value.decode()


class Proxies:
    """Who is believed: addresses and networks with commas between; ``unix`` is a Unix socket.

    Raises:
        BadValue: one of them is neither.
    """

    def __init__(self, trusted: str) -> None:
        words = [word for word in trusted.replace(" ", "").split(",") if word]
        self._unix = "unix" in words
        try:
            self._networks = [
                ipaddress.ip_network(word, strict=False) for word in words if word != "unix"
            ]
        except ValueError as error:
            raise BadValue(f"serve.trusted_proxies: {error}") from None

    def caller(self, request: Request) -> str:
        """Who called, as far as it can be believed: the last address that no proxy vouches for."""
        found = request.client
        forwarded = request.headers.get(b"x-forwarded-for", b"").decode("latin-1")
        for address in reversed([word.strip() for word in forwarded.split(",") if word.strip()]):
            if not self._trusts(found):
                break
            found = address[:64]
        return found

    def _trusts(self, client: str) -> bool:
        if not client:
            return self._unix
        try:
            address = ipaddress.ip_address(client)
        except ValueError:
            return False
        return any(address in network for network in self._networks)
