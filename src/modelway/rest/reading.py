"""The bytes of a connection to whole requests, with every size bounded as the bytes come.

A client sends the same head with most of its requests. One that was read before, byte for byte, is
not read again: what it says is looked up, and the parser sees the next byte as the first of a
message, as it would have.

Source: RFC 9112 (HTTP/1.1); RFC 6585, section 5 (431).
"""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol
from urllib.parse import unquote

import httptools

from modelway.domain.errors import HeadTooLarge, MalformedPayload, ModelwayError, PayloadTooLarge
from modelway.domain.identifiers import new_prediction_id
from modelway.rest.http import Notes, Request

LARGEST_HEAD_BYTES = 64 * 1024

CLOSE = b"connection: close\r\n"
KEEP = b"connection: keep-alive\r\n"

_END = b"\r\n\r\n"
_MOST_KNOWN = 1024
_LONGEST_KNOWN = 2048
_UNUSUAL = frozenset((b"expect", b"transfer-encoding", b"upgrade", b"x-request-id"))

_LISTS = frozenset((b"accept", b"prefer", b"tracestate", b"x-forwarded-for"))
"""Headers whose lines are one list (RFC 9110, section 5.3)."""

_METHODS = {name.encode(): name for name in ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS")}
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


class Taker(Protocol):
    """Who is given what is read.

    ``take`` a whole request, and the header line that its answer needs about the connection.
    ``take_known`` the body of a request whose head was read before, and which needs no such line.
    ``invite`` the body of a request whose caller waits to be told that it may send it.
    ``refuse`` what is no request, or too large a one; nothing is read after that.
    """

    def take(self, request: Request, connection: bytes) -> None:
        """A request is whole."""
        ...

    def take_known(self, head: Head, body: bytes) -> None:
        """A request is whole, and its head is known."""
        ...

    def invite(self) -> None:
        """A caller waits for ``100 Continue``."""
        ...

    def refuse(self, error: ModelwayError, path: str, request_id: str) -> None:
        """The connection cannot go on; ``path`` is what was asked for, as far as it came."""
        ...


class Head(NamedTuple):
    """What a head says; its headers are shared by requests and never changed."""

    method: str
    path: str
    raw_path: bytes
    query: bytes
    headers: dict[bytes, bytes]
    body_bytes: int
    notes: Notes

    def request(self, body: bytes) -> Request:
        """A request with this head."""
        found = Request(
            new_prediction_id(),
            self.method,
            self.path,
            raw_path=self.raw_path,
            query=self.query,
            headers=self.headers,
            body=body,
        )
        found.notes = self.notes
        return found


class KnownHeads:
    """The heads of usual requests by their bytes, a bounded number of them."""

    def __init__(self) -> None:
        self.by_bytes: dict[bytes, Head] = {}

    def learn(self, head: bytes, said: Head) -> None:
        """Know a head from now on."""
        if len(head) <= _LONGEST_KNOWN:
            if len(self.by_bytes) >= _MOST_KNOWN:
                self.by_bytes.clear()
            self.by_bytes[head] = said


class RequestReader:
    """Reads the requests of one connection; ``in_request`` while one has begun and is not whole.

    ``known`` are the heads that other connections of the server have had too.
    """

    def __init__(self, taker: Taker, max_body_bytes: int, known: KnownHeads) -> None:
        self._taker = taker
        self._max_body_bytes = max_body_bytes
        self._known = known
        self._by_bytes = known.by_bytes
        self._parser = httptools.HttpRequestParser(self)
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.in_request = False
        self._in_head = False
        self._stopped = False
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._hosts = 0
        self._body: bytes | bytearray = b""
        self._piece = b""  # the one in which the request began
        self._head_bytes = 0  # of the pieces before the one that is read
        self._piece_bytes = 0
        self._silent_bytes = 0  # since the last piece of a body

    def stop(self) -> None:
        """Give nothing more of what comes."""
        self._stopped = True

    def feed(self, data: bytes) -> None:
        """Read a piece; the usual one is a whole request."""
        if not self.in_request:
            end = data.find(_END)
            said = self._by_bytes.get(data[:end])
            if said is not None and end > 0 and len(data) == end + len(_END) + said.body_bytes:
                self._taker.take_known(said, data[end + len(_END) :])
                return
        while data and not self._stopped:
            data = self._parsed(data)

    def _parsed(self, data: bytes) -> bytes:
        """What is left of a piece once it was parsed."""
        if not self.in_request:
            self._piece = data
        self._piece_bytes = len(data)
        self._silent_bytes += len(data)
        left = b""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # Nothing is upgraded here: the request is answered as what it is, and what follows it
            # is read as what follows any request.
            left = data[upgrade.args[0] :]
        except httptools.HttpParserError:
            self._refuse(MalformedPayload("this is no HTTP request"))
        else:
            if self._in_head:
                self._head_bytes += len(data)
                if self._head_bytes > LARGEST_HEAD_BYTES:
                    self._refuse(_head_too_large())
            elif self.in_request and self._silent_bytes > LARGEST_HEAD_BYTES:
                # Of a chunk's extension or of a trailer, which may be as long as a head.
                self._refuse(_head_too_large())
        return left

    # What the parser finds, in the order in which it finds it.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._silent_bytes = 0
        self.in_request = self._in_head = True
        self._url = b""
        self._headers = {}
        self._hosts = 0
        self._body = b""
        # Where in this piece it begins is not known; so the piece is not counted.
        self._head_bytes = -self._piece_bytes

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; those behind a body are left out, for who looks at headers has looked."""
        if not self._in_head:
            return
        name = name.lower()
        if name == b"host":
            self._hosts += 1
        elif name in _LISTS and name in self._headers:
            value = self._headers[name] + b", " + value
        self._headers[name] = value

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        self._silent_bytes = 0
        headers = self._headers
        if self._piece_bytes > LARGEST_HEAD_BYTES or self._head_bytes > 0:
            size = sum(len(name) + len(value) + 4 for name, value in headers.items())
            if size + len(self._url) > LARGEST_HEAD_BYTES:
                self._refuse(_head_too_large())
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length.lstrip(b"0")[:20] or b"0") > self._max_body_bytes:
            self._refuse(self._too_large())
        if b"expect" in headers and headers[b"expect"].lower() == b"100-continue":
            self._taker.invite()

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        self._silent_bytes = 0
        if not self._body:
            self._body = piece
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += piece
        if len(self._body) > self._max_body_bytes:
            self._refuse(self._too_large())

    def on_message_complete(self) -> None:
        """The request is whole."""
        self.in_request = False
        if self._stopped:
            return
        if self._hosts > 1:
            # Who stands in front may have looked at the other one (RFC 9112, section 3.2).
            self._refuse(MalformedPayload("the request names its host twice"))
            return
        parser = self._parser
        if not parser.should_keep_alive():
            connection = CLOSE
        else:
            connection = b"" if parser.get_http_version() == "1.1" else KEEP
        request = self._request()
        if request is not None:
            if self._piece:
                self._learn(request, connection)
            self._taker.take(request, connection)

    def _learn(self, request: Request, connection: bytes) -> None:
        """Know the head of a request that came whole in one piece and has nothing unusual."""
        head, end, body = self._piece.partition(_END)
        self._piece = b""
        whole = end and len(body) == len(request.body)
        if not whole or connection or _UNUSUAL & request.headers.keys():
            return
        request.notes = Notes()
        self._known.learn(
            head,
            Head(
                request.method,
                request.path,
                request.raw_path,
                request.query,
                request.headers,
                len(body),
                request.notes,
            ),
        )

    def _request(self) -> Request | None:
        """The request that has come; None if it was refused."""
        url = self._url
        if url[:1] != b"/":
            try:
                parsed = httptools.parse_url(url)
            except httptools.HttpParserInvalidURLError:
                self._refuse(MalformedPayload("the target of the request is no path"))
                return None
            url = (parsed.path or b"/") + (b"?" + parsed.query if parsed.query else b"")
        raw_path, _, query = url.partition(b"?")
        path = raw_path.decode("latin-1")
        if "%" in path:
            path = unquote(path)
        method = self._parser.get_method()
        return Request(
            self._request_id(),
            _METHODS.get(method) or method.decode("latin-1"),
            path,
            raw_path=raw_path,
            query=query,
            headers=self._headers,
            body=bytes(self._body),
        )

    def _request_id(self) -> str:
        """The id that the request brought, or one of its own."""
        brought = self._headers.get(b"x-request-id")
        if brought is not None and _REQUEST_ID.fullmatch(brought):
            return brought.decode()
        return new_prediction_id()

    def _refuse(self, error: ModelwayError) -> None:
        if not self._stopped:
            self._stopped = True
            path = self._url.partition(b"?")[0].decode("latin-1")
            self._taker.refuse(error, path, self._request_id())

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"the body is larger than the {self._max_body_bytes} bytes taken")


def _head_too_large() -> HeadTooLarge:
    return HeadTooLarge(
        f"the head of the request is larger than the {LARGEST_HEAD_BYTES} bytes taken"
    )
