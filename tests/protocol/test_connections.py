"""What goes wrong before there is a request, on a connection to a real server."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Sequence
from typing import Any

import pytest

from modelway.rest import connection
from support.asgi import HOST, asking_http, good

BODY = b'{"sepal_length":5,"petal_width":2.2}'
HEAD = b"POST /predict HTTP/1.1\r\nhost: localhost\r\n"


def said(port: int, *pieces: bytes, pause_s: float = 0.0) -> bytes:
    """All that is answered to these pieces of bytes."""
    with socket.create_connection((HOST, port), timeout=20) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause_s)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def refusal(answer: bytes, status: int) -> Any:
    """The problem document that must be the whole answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    found = json.loads(body)
    assert f"modelway-request-id: {found['request_id']}".encode() in head
    assert found["status"] == status
    return found


def posted(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(line + b"\r\n" for line in headers)
    return HEAD + lines + b"content-length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    "pieces",
    [
        [HEAD + b"x: " + b"y" * 70_000 + b"\r\n\r\n"],
        [HEAD, *[b"x: " + b"y" * 1000 + b"\r\n"] * 70],
        [b"GET /?", *[b"y" * 10_000] * 40],
        [HEAD, *[b"z" * 10_000] * 40],
    ],
    ids=["one piece", "many headers", "a long path", "a header that never ends"],
)
def test_a_large_head_is_refused(port: int, pieces: Sequence[bytes]) -> None:
    found = refusal(said(port, *pieces, pause_s=0.001), 431)
    assert found["code"] == "head-too-large"
    assert "65536" in found["detail"]


def test_a_large_body_is_no_large_head(port: int) -> None:
    large = BODY[:-1] + b" " * 150_000 + b"}"
    answer = said(port, posted(large), posted(large), posted(BODY, b"connection: close"))
    assert len(re.findall(rb"HTTP/1\.1 200", answer)) == 3


@pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", HEAD + b"a b: c\r\n\r\n", b"\x16\x03\x01\0"])
def test_what_is_no_http_is_a_problem_document(port: int, sent: bytes) -> None:
    assert refusal(said(port, sent), 400)["code"] == "malformed-payload"
    assert good(asking_http(port)("/models"))["default"] == "iris"


def test_two_hosts_are_refused(port: int) -> None:
    answer = said(port, posted(BODY, b"host: localhost", b"connection: close"))
    assert "host twice" in refusal(answer, 400)["detail"]
    repeated = said(port, posted(BODY, b"x: 1", b"x: 2", b"connection: close"))
    assert repeated.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("begun", [b"POST /pre", posted(BODY)[:-5], posted(BODY) + HEAD])
def test_a_request_that_never_comes_is_not_waited_for(
    port: int, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PATIENCE_S", 0.2)
    answer = said(port, begun)
    last = answer[answer.rindex(b"HTTP/1.1 ") :]
    assert refusal(last, 408)["code"] == "request-incomplete"


def test_a_request_that_keeps_coming_is_waited_for(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PATIENCE_S", 0.2)
    monkeypatch.setattr(connection, "LEAST_BYTES", 5)
    body = BODY[:-1] + b" " * 100 + b"}"
    request = posted(body, b"connection: close")
    pieces = [request[:-100], *(request[-10 * k :][:10] for k in range(10, 0, -1))]
    assert said(port, *pieces, pause_s=0.06).startswith(b"HTTP/1.1 200")


def test_what_was_asked_before_a_refusal_is_answered_before_it(port: int) -> None:
    good_one = posted(BODY)
    answers = said(port, good_one + good_one + b"no http at all\r\n\r\n")
    heads = re.findall(rb"HTTP/1.1 (\d+) ", answers)
    assert heads == [b"200", b"200", b"400"]
