"""The span of a request: begun with its head, described on the way, finished with its answer.

A door speaks to the port here. ``PassedOn`` serves where nothing is recorded: it gives each request
its place in the caller's trace, for logs and for calls to others. What records is in
``composition/tracing.py``.

Source: OpenTelemetry semantic conventions for HTTP spans and for gRPC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from modelway.telemetry.trace import TraceContext, new_trace

HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
RPC_SYSTEM = "rpc.system"
RPC_METHOD = "rpc.method"
RPC_STATUS = "rpc.grpc.status_code"
REQUEST_ID = "modelway.request_id"
ENDPOINT = "modelway.endpoint"
VERSION = "modelway.version"
ROWS = "modelway.rows"
PREDICTION_ID = "modelway.prediction_id"

Attributes = Mapping[str, str | int]
"""What is known of a span, by the names above."""


class ServerSpan(Protocol):
    """The time in which one request was answered.

    ``context`` names it, for logs and for calls that are made to answer.
    ``finish`` is called once; what is said of the span afterwards is lost.
    """

    @property
    def context(self) -> TraceContext:
        """Its place in the trace."""
        ...

    def describe(self, attributes: Attributes) -> None:
        """Say more of it; a name that was said before is said anew."""
        ...

    def finish(self, attributes: Attributes, error: str | None = None) -> None:
        """End it now; ``error`` is the code of an error that was the server's fault."""
        ...


class Spans(Protocol):
    """Where spans go; neither beginning nor finishing one waits for anything.

    ``start`` begins a span under the caller's, or a trace of its own.
    ``close`` hands on what is finished within the time it is given, and drops the rest.
    """

    def start(self, name: str, parent: TraceContext | None, attributes: Attributes) -> ServerSpan:
        """A span that begins now; ``name`` has few values: a method, or what was called."""
        ...

    def close(self, timeout_s: float) -> None:
        """Take no more spans."""
        ...


class PassedSpan:
    """A span that nobody keeps."""

    __slots__ = ("_context",)

    def __init__(self, context: TraceContext) -> None:
        self._context = context

    @property
    def context(self) -> TraceContext:
        """Its place in the trace."""
        return self._context

    def describe(self, attributes: Attributes) -> None:
        """Nothing is kept."""

    def finish(self, attributes: Attributes, error: str | None = None) -> None:
        """Nothing is kept."""


class PassedOn:
    """No spans are kept; the caller's trace is continued, and one of our own is not sampled."""

    def start(self, name: str, parent: TraceContext | None, attributes: Attributes) -> PassedSpan:
        """A span with its own id."""
        return PassedSpan(parent.child() if parent else new_trace(sampled=False))

    def close(self, timeout_s: float) -> None:
        """Nothing is open."""
