"""Spans sent to a collector over OpenTelemetry, with the optional extra ``otel``.

The SDK configures itself from the standard variables: ``OTEL_EXPORTER_OTLP_ENDPOINT`` where spans
go, ``OTEL_TRACES_SAMPLER`` which are kept, ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES``
what the service is called, ``OTEL_BSP_*`` how they are gathered, ``OTEL_SDK_DISABLED``. Finished
spans wait in a bounded queue for a thread that sends them; a collector that is away costs spans and
never an answer. Everything global of the SDK is left alone.

Source: OpenTelemetry specification, "Environment Variable Specification"; OTLP 1.x over HTTP with
binary protobuf.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from modelway.domain.errors import MissingExtra
from modelway.telemetry.spans import HTTP_ROUTE, Attributes
from modelway.telemetry.trace import TraceContext, new_trace

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

_NAME = "modelway"
_UNKNOWN = "unknown_service"
_ERROR = "error.type"

_log = logging.getLogger(__name__)


class SentSpan:
    """A span of the SDK."""

    __slots__ = ("_context", "_name", "_span")

    def __init__(self, name: str, span: Span, context: TraceContext) -> None:
        self._name = name
        self._span = span
        self._context = context

    @property
    def context(self) -> TraceContext:
        """Its place in the trace."""
        return self._context

    def describe(self, attributes: Attributes) -> None:
        """Say more of it."""
        self._span.set_attributes(attributes)

    def finish(self, attributes: Attributes, error: str | None = None) -> None:
        """End it now and hand it to the sender; a route that is known by now is in its name."""
        self._span.set_attributes(attributes)
        if HTTP_ROUTE in attributes:
            self._span.update_name(f"{self._name} {attributes[HTTP_ROUTE]}")
        if error is not None:
            from opentelemetry.trace import StatusCode

            self._span.set_attribute(_ERROR, error)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class SentSpans:
    """Spans of one process, sent by a provider of the SDK that is this object's own."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(_NAME)

    def start(self, name: str, parent: TraceContext | None, attributes: Attributes) -> SentSpan:
        """A span that begins now, under the caller's where there is one."""
        from opentelemetry.trace import SpanKind

        span = self._tracer.start_span(
            name, context=_outer(parent), kind=SpanKind.SERVER, attributes=attributes
        )
        return SentSpan(name, span, _context_of(span, parent))

    def close(self, timeout_s: float) -> None:
        """Send what is finished; what a slow collector has not taken in time is dropped."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(timeout_s)
        if closing.is_alive():
            _log.warning("spans were dropped: the collector did not take them in time")


def open_spans(instance: str) -> SentSpans:
    """Spans that are sent from now on; ``instance`` tells this process from its like.

    Raises:
        MissingExtra: OpenTelemetry is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise MissingExtra("opentelemetry", "otel", "sending traces") from None
    resource = Resource.create()
    named = {SERVICE_INSTANCE_ID: instance, SERVICE_NAME: _NAME}
    if not str(resource.attributes.get(SERVICE_NAME, _UNKNOWN)).startswith(_UNKNOWN):
        del named[SERVICE_NAME]
    provider = TracerProvider(resource=resource.merge(Resource(named)), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return SentSpans(provider)


def _outer(parent: TraceContext | None) -> Context:
    """The caller's span as the SDK wants it; without one a context that holds nothing."""
    from opentelemetry.context import Context
    from opentelemetry.trace import (
        NonRecordingSpan,
        SpanContext,
        TraceFlags,
        TraceState,
        set_span_in_context,
    )

    if parent is None:
        return Context()
    caller = SpanContext(
        trace_id=int(parent.trace_id, 16),
        span_id=int(parent.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if parent.sampled else TraceFlags.DEFAULT),
        trace_state=TraceState.from_header([parent.state]) if parent.state else None,
    )
    return set_span_in_context(NonRecordingSpan(caller), Context())


def _context_of(span: Span, parent: TraceContext | None) -> TraceContext:
    """The span's place in the trace; where the SDK is disabled, one that nobody keeps."""
    found = span.get_span_context()
    if not found.is_valid or (parent is not None and found.span_id == int(parent.span_id, 16)):
        return parent.child() if parent else new_trace(sampled=False)
    return TraceContext(
        f"{found.trace_id:032x}",
        f"{found.span_id:016x}",
        found.trace_flags.sampled,
        found.trace_state.to_header(),
    )
