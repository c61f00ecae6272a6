"""Spans and the access log around an application, and who is believed to have called."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from modelway.domain.errors import BadValue
from modelway.rest.http import Request, Response, constant
from modelway.rest.observed import Observed, Proxies
from modelway.rest.routes import Route
from modelway.telemetry.access import AccessLog
from modelway.telemetry.spans import PassedOn

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def request(**headers: str) -> Request:
    raw = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    made = Request("r1", "POST", "/models/a/predict", headers=raw, body=b"{}")
    made.client = "10.0.0.1"
    return made


def answered(asked: Request, ratio: float = 1.0, proxies: str = "") -> Response:
    async def inner(given: Request) -> Response:
        given.route = Route()
        given.route.path = "/models/{name}/predict"
        return Response(b"12345", headers=b"modelway-endpoint: a\r\n")

    observed = Observed(inner, PassedOn(), AccessLog(ratio), Proxies(proxies))
    return asyncio.run(observed.answer(asked))


def test_the_callers_trace_is_continued_and_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    asked = request(traceparent=PARENT)
    response = answered(asked)
    assert asked.trace_id == TRACE
    trace = response.headers.partition(b"traceparent: ")[2].strip().decode()
    assert trace.startswith(f"00-{TRACE}-")
    assert trace != PARENT
    (line,) = caplog.records
    said: Any = line
    assert (said.route, said.status, said.request_id) == ("/models/{name}/predict", 200, "r1")
    assert (said.trace_id, said.request_bytes, said.response_bytes) == (TRACE, 2, 5)


def test_nothing_is_logged_where_nothing_is_wanted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    answered(request(), ratio=0.0)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("trusted", "client", "forwarded", "caller"),
    [
        ("", "10.0.0.1", "1.2.3.4", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.0/8", "10.0.0.1", "6.6.6.6, 1.2.3.4, 10.9.9.9", "1.2.3.4"),
        ("10.0.0.0/8", "11.0.0.1", "1.2.3.4", "11.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "not an address", "not an address"),
        ("unix", "", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "", "1.2.3.4", ""),
        ("::1", "::1", "", "::1"),
    ],
)
def test_a_proxy_is_believed_if_it_is_trusted(
    trusted: str, client: str, forwarded: str, caller: str
) -> None:
    asked = request(x_forwarded_for=forwarded)
    asked.client = client
    assert Proxies(trusted).caller(asked) == caller


def test_a_proxy_that_is_no_address_is_refused() -> None:
    with pytest.raises(BadValue, match="trusted_proxies"):
        Proxies("10.0.0.1, nowhere")


def test_an_answer_that_is_always_the_same_names_one_trace_each_time() -> None:
    observed = Observed(constant(b"{}"), PassedOn(), AccessLog(0.0), Proxies(""))  # type: ignore[arg-type] # an answer of a route is a coroutine
    heads = [asyncio.run(observed.answer(request())).headers for _ in range(3)]
    assert [head.count(b"traceparent: ") for head in heads] == [1, 1, 1]
    assert len(set(heads)) == 3
