"""Trace context by the rules of the recommendation, with the cases of its own test suite."""

from __future__ import annotations

import re
import string

import pytest

from modelway.telemetry.trace import TraceContext, new_trace, trace_context

TRACE = "12345678901234567890123456789012"
SPAN = "1234567890123456"
VALID = f"00-{TRACE}-{SPAN}-01"


def state(text: str) -> str:
    found = trace_context(VALID, text)
    assert found is not None
    return found.state


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        (VALID, True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-ff", True),
        (f"00-{TRACE}-{SPAN}-fe", False),
        (f"cc-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", True),
        (f"01-{TRACE}-{SPAN}-00-", False),
    ],
)
def test_a_valid_traceparent_is_taken(header: str, sampled: bool) -> None:
    assert trace_context(header) == TraceContext(TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00",
        VALID + "-what-the-future-will-not-be-like",
        VALID + "-",
        VALID + "\n",
        " " + VALID,
        VALID + ",",
        f"{VALID},{VALID}",
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"000-{TRACE}-{SPAN}-01",
        f".0-{TRACE}-{SPAN}-01",
        f"CC-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.what-the-future-will-not-be-like",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-.{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE[:-1]}A-{SPAN}-01",
        f"00-{TRACE}3-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN[:-1]}F-01",
        f"00-{TRACE}-{SPAN}7-01",
        f"00-{TRACE}-{SPAN[1:]}-01",
        f"00-{TRACE}-{SPAN}-.0",
        f"00-{TRACE}-{SPAN}-0A",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-001",
        f"00-{TRACE}-{SPAN}",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{'１' * 32}-{SPAN}-01",
    ],
)
def test_a_traceparent_that_breaks_a_rule_did_not_come(header: str | None) -> None:
    assert trace_context(header, "foo=1") is None


@pytest.mark.parametrize(
    "text",
    [
        "foo=1",
        "foo=1,bar=2",
        "bar=2,foo=1",
        "f" * 256 + "=1",
        "t" * 241 + "@" + "v" * 14 + "=1",
        "0tenant@vendor=1",
        string.ascii_lowercase + string.digits + "_-*/=1",
        "0" + string.ascii_lowercase + string.digits + "_-*/@a-z0-9_-*/=1",
        "foo=" + "".join(map(chr, range(0x20, 0x7F))).translate({0x2C: None, 0x3D: None}),
        "foo=" + "v" * 256,
        "foo= a  b",
        ",".join(f"bar{index:02}={index:02}" for index in range(32)),
    ],
)
def test_a_valid_tracestate_is_passed_on_as_it_came(text: str) -> None:
    assert state(text) == text


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("foo=1 \t , \t bar=2", "foo=1,bar=2"),
        (" foo=1\t", "foo=1"),
        ("foo=1,", "foo=1"),
        (",,foo=1, ,bar=2,", "foo=1,bar=2"),
        ("", ""),
        (" , ", ""),
    ],
)
def test_space_and_empty_members_are_left_out(text: str, passed: str) -> None:
    assert state(text) == passed


@pytest.mark.parametrize(
    "text",
    [
        "foo",
        "foo=",
        "=1",
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "foo@=1",
        "@foo=1",
        "foo@@bar=1",
        "foo@bar@baz=1",
        "0foo=1",
        "f" * 257 + "=1",
        "t" * 242 + "@" + "v" * 14 + "=1",
        "t" * 241 + "@" + "v" * 15 + "=1",
        "foo=bar=baz",
        "foo=" + "v" * 257,
        "foo=é",
        "foo=a\0b",
        "foo=1,foo=1",
        "foo=1,bar=2,foo=3",
        ",".join(f"bar{index:02}={index:02}" for index in range(33)),
    ],
)
def test_a_tracestate_that_breaks_a_rule_is_dropped_alone(text: str) -> None:
    assert state(text) == ""


def test_what_is_passed_on_is_of_version_00_with_one_flag() -> None:
    found = trace_context(f"cc-{TRACE}-{SPAN}-ff-more")
    assert found is not None
    assert found.traceparent == VALID
    assert TraceContext(TRACE, SPAN, sampled=False).traceparent == f"00-{TRACE}-{SPAN}-00"


def test_a_child_has_a_span_of_its_own_in_the_same_trace() -> None:
    parent = TraceContext(TRACE, SPAN, sampled=True, state="foo=1")
    child, other = parent.child(), parent.child()
    assert (child.trace_id, child.sampled, child.state) == (TRACE, True, "foo=1")
    assert len({parent.span_id, child.span_id, other.span_id}) == 3
    assert re.fullmatch(r"[0-9a-f]{16}", child.span_id)


def test_a_new_trace_is_read_back_as_it_was() -> None:
    made = new_trace(sampled=True)
    assert trace_context(made.traceparent) == made
    assert new_trace(sampled=False).trace_id != made.trace_id
