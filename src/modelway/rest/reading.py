"""The bytes of a connection to whole requests, with every size bounded as the bytes come.

Source: RFC 9112 (HTTP/1.1); RFC 6585, section 5 (431).
"""

from __future__ import annotations

import re
from typing import Protocol
from urllib.parse import unquote

import httptools

from modelway.domain.errors import HeadTooLarge, MalformedPayload, ModelwayError, PayloadTooLarge
from modelway.domain.identifiers import new_prediction_id
from modelway.rest.http import Request

LARGEST_HEAD_BYTES = 64 * 1024

CLOSE = b"connection: close\r\n"
KEEP = b"connection: keep-alive\r\n"

_METHODS = {name.encode(): name for name in ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS")}
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


class Taker(Protocol):
    """Who is given what is read.

    ``take`` a whole request, and the header line that its answer needs about the connection.
    ``invite`` the body of a request whose caller waits to be told that it may send it.
    ``refuse`` what is no request, or too large a one; nothing is read after that.
    """

    def take(self, request: Request, connection: bytes) -> None:
        """A request is whole."""
        ...

    def invite(self) -> None:
        """A caller waits for ``100 Continue``."""
        ...

    def refuse(self, error: ModelwayError, path: str) -> None:
        """The connection cannot go on; ``path`` is what was asked for, as far as it came."""
        ...


class RequestReader:
    """Reads the requests of one connection; ``in_request`` while one has begun and is not whole."""

    def __init__(self, taker: Taker, max_body_bytes: int) -> None:
        self._taker = taker
        self._max_body_bytes = max_body_bytes
        self._parser = httptools.HttpRequestParser(self)
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.in_request = False
        self._in_head = False
        self._stopped = False
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._hosts = 0
        self._body: bytes | bytearray = b""
        self._head_bytes = 0  # of the pieces before the one that is read
        self._piece_bytes = 0

    def stop(self) -> None:
        """Give nothing more of what comes."""
        self._stopped = True

    def feed(self, data: bytes) -> None:
        """Read a piece; the usual one is a whole request."""
        self._piece_bytes = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # Nothing is upgraded here: the request is answered as what it is, and what follows it
            # is read as what follows any request.
            rest = data[upgrade.args[0] :]
            if rest:
                self.feed(rest)
        except httptools.HttpParserError:
            self._refuse(MalformedPayload("this is no HTTP request"))
        else:
            if self._in_head:
                self._head_bytes += len(data)
                if self._head_bytes > LARGEST_HEAD_BYTES:
                    self._refuse(_head_too_large())

    # What the parser finds, in the order in which it finds it.

    def on_message_begin(self) -> None:
        """A request begins."""
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
        """One header."""
        name = name.lower()
        if name == b"host":
            self._hosts += 1
        self._headers[name] = value

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        headers = self._headers
        if self._piece_bytes > LARGEST_HEAD_BYTES or self._head_bytes > 0:
            size = sum(len(name) + len(value) + 4 for name, value in headers.items())
            if size + len(self._url) > LARGEST_HEAD_BYTES:
                self._refuse(_head_too_large())
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length[:20]) > self._max_body_bytes:
            self._refuse(self._too_large())
        if b"expect" in headers and headers[b"expect"].lower() == b"100-continue":
            self._taker.invite()

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        if not self._body:
            self._body = piece
            return
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
            self._taker.take(request, connection)

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
        brought = self._headers.get(b"x-request-id")
        return Request(
            brought.decode()
            if brought is not None and _REQUEST_ID.fullmatch(brought)
            else new_prediction_id(),
            _METHODS.get(method) or method.decode("latin-1"),
            path,
            raw_path=raw_path,
            query=query,
            headers=self._headers,
            body=bytes(self._body),
        )

    def _refuse(self, error: ModelwayError) -> None:
        if not self._stopped:
            self._stopped = True
            self._taker.refuse(error, self._url.partition(b"?")[0].decode("latin-1"))

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"the body is larger than the {self._max_body_bytes} bytes taken")


def _head_too_large() -> HeadTooLarge:
    return HeadTooLarge(
        f"the head of the request is larger than the {LARGEST_HEAD_BYTES} bytes taken"
    )
