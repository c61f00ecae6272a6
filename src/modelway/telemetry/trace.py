"""Trace context: which trace a request belongs to, as it comes in and goes out in headers.

A ``traceparent`` that breaks one rule is as if it had not come, and its ``tracestate`` with it. A
``tracestate`` that breaks a rule is dropped alone. What is passed on is of version 00, with the
flag of sampling and no other.

Source: W3C Trace Context, Recommendation of 23 November 2021, sections 3.2 (traceparent), 3.3
(tracestate) and 4 (processing).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_KEY = re.compile(r"[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}")
_VALUE = re.compile(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
_MOST_MEMBERS = 32
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_SAMPLED = 0x01


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span of a trace: ``trace_id`` of 32 and ``span_id`` of 16 lower-case hexadecimal digits.

    ``state`` is what vendors pass along, as ``tracestate`` writes it.
    """

    trace_id: str
    span_id: str
    sampled: bool
    state: str = ""

    @property
    def traceparent(self) -> str:
        """The header's value, of 55 characters."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def child(self) -> TraceContext:
        """A span of the same trace under this one, with an id of its own."""
        return TraceContext(self.trace_id, _random(8), self.sampled, self.state)


def new_trace(*, sampled: bool) -> TraceContext:
    """The first span of a new trace."""
    return TraceContext(_random(16), _random(8), sampled)


def trace_context(traceparent: str | None, tracestate: str | None = None) -> TraceContext | None:
    """The caller's span as the headers name it; None without a valid ``traceparent``.

    Several ``tracestate`` headers are given as one, joined with commas.
    """
    match = _PARENT.fullmatch(traceparent) if traceparent else None
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest is not None):
        return None
    if trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED), _state(tracestate))


def _state(text: str | None) -> str:
    """The list in its own order without what may be left out; empty if it breaks a rule."""
    members = [one.strip(" \t") for one in text.split(",")] if text else []
    members = [one for one in members if one]
    keys = set()
    for member in members:
        key, _, value = member.partition("=")
        if not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
            return ""
        keys.add(key)
    if len(keys) != len(members) or len(members) > _MOST_MEMBERS:
        return ""
    return ",".join(members)


def _random(n_bytes: int) -> str:
    """A random identifier that is not all zeros."""
    while True:
        found = os.urandom(n_bytes)
        if any(found):
            return found.hex()
