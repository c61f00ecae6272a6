"""Spans that nobody keeps still give a request its place in the trace."""

from __future__ import annotations

from modelway.telemetry.spans import ENDPOINT, HTTP_STATUS, PassedOn, Spans
from modelway.telemetry.trace import TraceContext


def test_the_callers_trace_is_continued() -> None:
    spans: Spans = PassedOn()
    parent = TraceContext("1" * 32, "2" * 16, sampled=True, state="foo=1")
    span = spans.start("POST /predict", parent, {})
    span.describe({ENDPOINT: "iris"})
    span.finish({HTTP_STATUS: 200})
    assert span.context.trace_id == parent.trace_id
    assert span.context.span_id != parent.span_id
    assert span.context.sampled
    assert span.context.state == "foo=1"
    spans.close(0.0)


def test_a_trace_of_its_own_is_not_sampled() -> None:
    one = PassedOn().start("POST /predict", None, {}).context
    two = PassedOn().start("POST /predict", None, {}).context
    assert not one.sampled
    assert one.trace_id != two.trace_id
