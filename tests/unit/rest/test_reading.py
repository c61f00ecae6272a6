"""Bytes to requests: whatever the pieces, and whether a head was known before."""

from __future__ import annotations

import pytest

from modelway.domain.errors import ModelwayError
from modelway.rest.http import Request
from modelway.rest.reading import Head, KnownHeads, RequestReader

BODY = b'{"a": 1}'
POST = b"POST /models/a/predict?x=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n"


class Taken:
    """What a reader gave."""

    def __init__(self, known: KnownHeads) -> None:
        self.requests: list[tuple[Request, bytes]] = []
        self.refused: list[str] = []
        self.refused_ids: list[str] = []
        self.invited = 0
        self.reader = RequestReader(self, 1000, known)

    def take(self, request: Request, connection: bytes) -> None:
        self.requests.append((request, connection))

    def take_known(self, head: Head, body: bytes) -> None:
        self.requests.append((head.request(body), b""))

    def invite(self) -> None:
        self.invited += 1

    def refuse(self, error: ModelwayError, path: str, request_id: str) -> None:
        self.refused.append(error.code)
        self.refused_ids.append(request_id)


def shown(taken: Taken) -> list[tuple[object, ...]]:
    return [
        (one.method, one.path, one.raw_path, one.query, one.headers, one.body, connection)
        for one, connection in taken.requests
    ]


REQUESTS = {
    "post": POST + b"\r\n" + BODY,
    "get": b"GET /a%20b?c=d HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "closing": POST + b"connection: close\r\n\r\n" + BODY,
    "old": b"GET / HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\n\r\n",
    "chunked": b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    b"8\r\n" + BODY + b"\r\n0\r\n\r\n",
    "absolute": b"GET http://x/y?z HTTP/1.1\r\nhost: x\r\n\r\n",
    "named": POST + b"x-request-id: mine\r\n\r\n" + BODY,
    "expecting": POST + b"expect: 100-continue\r\n\r\n" + BODY,
    "pipelined": (POST + b"\r\n" + BODY) * 3,
}


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("cut", [0, 1, 30, 70, 85])
def test_a_known_head_is_read_as_one_that_is_not(name: str, cut: int) -> None:
    sent = REQUESTS[name]
    fresh, known = Taken(KnownHeads()), KnownHeads()
    fresh.reader.feed(sent)
    for _ in range(3):
        again = Taken(known)
        for piece in (sent[:cut], sent[cut:]):
            if piece:
                again.reader.feed(piece)
        assert shown(again) == shown(fresh)
        assert (again.refused, again.invited) == (fresh.refused, fresh.invited)
    assert len(fresh.requests) == (3 if name == "pipelined" else 1)


def test_one_connection_reads_known_and_unknown_in_turns() -> None:
    taken = Taken(KnownHeads())
    for name in ("post", "post", "chunked", "post", "named", "post", "get", "get", "pipelined"):
        taken.reader.feed(REQUESTS[name])
    assert [one.body for one, _ in taken.requests] == [BODY] * 6 + [b""] * 2 + [BODY] * 3
    ids = [one.id for one, _ in taken.requests]
    assert len(set(ids)) == len(ids)
    assert ids[4] == "mine"


def test_a_head_in_pieces_is_never_taken_for_its_beginning() -> None:
    known = KnownHeads()
    begun = b"GET / HTTP/1.1\r\nhost: a"
    first = Taken(known)
    for piece in (begun, b"bc\r\n\r\n"):
        first.reader.feed(piece)
    second = Taken(known)
    second.reader.feed(begun + b"\r\n\r\n")
    assert [one.headers[b"host"] for one, _ in first.requests + second.requests] == [b"abc", b"a"]


def test_a_body_that_is_not_whole_is_waited_for() -> None:
    known = KnownHeads()
    Taken(known).reader.feed(REQUESTS["post"])
    taken = Taken(known)
    taken.reader.feed(REQUESTS["post"][:-3])
    assert taken.requests == []
    assert taken.reader.in_request
    taken.reader.feed(REQUESTS["post"][-3:])
    assert [one.body for one, _ in taken.requests] == [BODY]


def test_what_is_too_large_is_refused_once() -> None:
    taken = Taken(KnownHeads())
    taken.reader.feed(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1001\r\n\r\n" + b"x" * 1001)
    assert (taken.refused, taken.requests) == (["payload-too-large"], [])


def test_many_heads_are_not_all_kept() -> None:
    known = KnownHeads()
    taken = Taken(known)
    for k in range(3000):
        taken.reader.feed(b"GET /%d HTTP/1.1\r\nhost: a\r\n\r\n" % k)
    assert len(taken.requests) == 3000
    assert len(known.by_bytes) <= 1024


def test_a_head_without_its_last_byte_is_never_a_whole_request() -> None:
    # So long a body that head and first byte of its end have the length of another request.
    for body_bytes in range(1, 200):
        head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d" % body_bytes
        whole = head + b"\r\n\r\n" + b"x" * body_bytes
        known = KnownHeads()
        Taken(known).reader.feed(whole)
        taken = Taken(known)
        taken.reader.feed(head + b"\r")
        assert taken.requests == []
        taken.reader.feed(whole[len(head) + 1 :])
        assert [one.body for one, _ in taken.requests] == [b"x" * body_bytes]


@pytest.mark.parametrize(
    "sent",
    [
        b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (1001, b"x" * 1001),
        b"content-length: 000000000000000000001001\r\n\r\n" + b"x" * 1001,
    ],
)
def test_a_body_in_one_piece_is_not_too_large_either(sent: bytes) -> None:
    taken = Taken(KnownHeads())
    taken.reader.feed(b"POST / HTTP/1.1\r\nhost: a\r\n" + sent)
    assert (taken.refused, taken.requests) == (["payload-too-large"], [])


def test_headers_that_are_lists_are_joined() -> None:
    taken = Taken(KnownHeads())
    lines = (
        b"tracestate: a=1\r\ntracestate: b=2\r\naccept: x\r\naccept: y\r\nother: 1\r\nother: 2\r\n"
    )
    taken.reader.feed(b"GET / HTTP/1.1\r\nhost: a\r\n" + lines + b"\r\n")
    ((request, _),) = taken.requests
    assert request.headers[b"tracestate"] == b"a=1, b=2"
    assert request.headers[b"accept"] == b"x, y"
    assert request.headers[b"other"] == b"2"


CHUNKED = b"POST / HTTP/1.1\r\nhost: x\r\nx-request-id: mine\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "endless",
    [b"8;x=", b"8\r\n" + BODY + b"\r\n0\r\nx-more: "],
    ids=["extension of a chunk", "trailer"],
)
def test_what_stands_behind_a_head_and_is_no_body_is_bounded(endless: bytes) -> None:
    taken = Taken(KnownHeads())
    taken.reader.feed(CHUNKED + endless)
    for _ in range(100):
        taken.reader.feed(b"a" * 10_000)
        if taken.refused:
            break
    assert taken.refused == ["head-too-large"]
    assert taken.refused_ids == ["mine"]
    assert not taken.requests


def test_a_trailer_is_no_header() -> None:
    taken = Taken(KnownHeads())
    trailer = b"content-encoding: gzip\r\nx-forwarded-for: 1.2.3.4\r\n"
    taken.reader.feed(CHUNKED + b"8\r\n" + BODY + b"\r\n0\r\n" + trailer + b"\r\n")
    ((request, _),) = taken.requests
    assert set(request.headers) == {b"host", b"x-request-id", b"transfer-encoding"}
    assert request.body == BODY


def test_a_long_body_in_small_chunks_is_no_head() -> None:
    taken = Taken(KnownHeads())
    taken.reader.feed(CHUNKED)
    for _ in range(900):
        taken.reader.feed(b"1;" + b"e" * 200 + b"\r\na\r\n")
    taken.reader.feed(b"0\r\n\r\n")
    ((request, _),) = taken.requests
    assert request.body == b"a" * 900


def test_many_upgrades_in_one_piece_are_many_requests() -> None:
    taken = Taken(KnownHeads())
    one = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    taken.reader.feed(one * 3000)
    assert len(taken.requests) == 3000
