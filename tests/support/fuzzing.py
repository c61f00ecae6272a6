"""Requests that no caller should send: Hypothesis strategies, and a connection that sends them.

A request is a few plain values; what goes over the wire is made from them here, so that a failing
one is printed in a form that can be read. Hypothesis draws a seed and everything else follows from
it: drawn value by value, requests took longer than their answers, and of ten only one was new.
"""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from urllib.parse import quote, urlsplit

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

TIMEOUT_S = 20.0

quietly = settings(
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
"""Examples are drawn and sent, nothing else: what is found is printed whole."""

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW")
TYPES = (
    "application/json",
    "text/csv",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.parquet",
    "application/json; charset=latin-1",
    "text/plain",
    "",
    "\xff/\xfe",
)
ACCEPTS = (
    "*/*",
    "application/json",
    "text/csv",
    "application/vnd.apache.parquet",
    "image/png",
    "x",
)
HEADERS = ("modelway-prediction-id", "prefer", "expect", "content-encoding", "host", "range")
NUMBERS = (
    *(0, -1, 2**31, 2**53 + 1, -(2**63) - 1, 10**300, 10**309, 10**4000),
    *(0.5, -0.0, 1e-320, 1e308, float("nan"), float("inf")),
)
TEXTS = (
    *("", " ", "0", "-0", "1e999", "0x1", "1_0", "NaN", "null", "true", "\uff17", "\u0663"),
    *("\x00", "\ufeff", "\ud800", "\u202e", "\u0130 \u00df \ufb01", "e\u0301", "\U0001f642"),
    *("2024-02-30", "9999-12-31T23:59:59-23:59", "../..", "%00", "a" * 300, '"', "\\", "\r\n", ","),
)
ALPHABETS = ((32, 127), (0, 256), (0, 0xD7FF), (0xE000, 0x10FFFF))
HEADS = (
    b"",
    b"GET / HTTP/1.1\r\n",
    b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\n",
    b"POST /predict HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
    b"POST /predict HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
    b"GET /?sepal_length=%ff%fe%00 HTTP/1.0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)


Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class FuzzRequest:
    """One request; ``headers`` beside Content-Type and Accept."""

    method: str
    path: str
    body: bytes
    content_type: str
    accept: str
    headers: Headers = ()


def fuzz_requests(paths: Sequence[str], rows: Sequence[object]) -> st.SearchStrategy[FuzzRequest]:
    """Requests to the paths, most with a body that was one of ``rows`` before it was damaged."""
    bodies = _Bodies(rows)

    def request(draw: Random) -> FuzzRequest:
        path = draw.choice(paths)
        body, own_type, own_headers = bodies.drawn(draw)
        return FuzzRequest(
            method=draw.choice(("POST", "GET") * 8 + METHODS),
            path=path if draw.random() < 0.6 else path + _addition(draw),
            body=body,
            content_type=own_type if draw.random() < 0.7 else draw.choice(TYPES),
            accept=draw.choice(ACCEPTS),
            headers=own_headers
            + (((draw.choice(HEADERS), _header(draw)),) if draw.random() < 0.5 else ()),
        )

    return _draws().map(request)


def raw_bytes() -> st.SearchStrategy[bytes]:
    """What is hardly HTTP."""
    return _draws().map(_raw)


def _draws() -> st.SearchStrategy[Random]:
    """One Random for everything in an example; Hypothesis itself would repeat much of a list."""
    return st.shared(st.binary(min_size=8, max_size=8).map(Random), key="draw")


def _raw(draw: Random) -> bytes:
    return draw.choice(HEADS) + draw.randbytes(draw.randrange(121))


class _Bodies:
    """Bodies made of ``rows``, some of them objects, whose keys most of what is made up has too."""

    def __init__(self, rows: Sequence[object]) -> None:
        self._rows = rows
        self._valid = [json.dumps(row).encode() for row in rows]
        self._keys = sorted({key for row in rows if isinstance(row, dict) for key in row})
        kinds = (self._whole, self._damaged, self._changed, self._changed, self._json)
        others = (self._table, self._table, _binary, _nested, _lines, _nothing)
        self._kinds: tuple[Callable[[Random], bytes], ...] = (*kinds, *others)

    def drawn(self, draw: Random) -> tuple[bytes, str, Headers]:
        """A body, the content type that it should have, and headers that belong to it."""
        if draw.random() < 0.1:
            return self._tensor_bytes(draw)
        kind = draw.choice(self._kinds)
        body, content_type = kind(draw), "text/csv" if kind == self._table else "application/json"
        if draw.random() < 0.1:
            packed, encoding = _packed(draw, body)
            return packed, content_type, (("content-encoding", encoding),)
        return body, content_type, ()

    def _tensor_bytes(self, draw: Random) -> tuple[bytes, str, Headers]:
        """Tensors whose elements stand as bytes behind the JSON, or nearly."""
        raw = draw.randbytes(draw.choice((0, 8, 32, 32, 32, 64, 128)))
        size = len(raw) if draw.random() < 0.7 else draw.choice((-1, 0, 7, 2**31, 2**63))
        shape = draw.choice(([1, 4], [1, 16], [len(raw) // 8, 1], [2**31, 2**31], [-1], []))
        tensor = {
            "name": draw.choice(("rows", "INPUT0", "INPUT1", "X")),
            "datatype": draw.choice(("FP64", "INT32", "BYTES", "BOOL", "FP16")),
            "shape": shape,
            "parameters": {"binary_data_size": size},
        }
        head = json.dumps({"inputs": [tensor] * draw.choice((1, 1, 1, 2))}).encode()
        length = len(head) if draw.random() < 0.8 else draw.choice((0, 1, len(head) + 1, 2**40))
        headers = (("inference-header-content-length", str(length)),)
        return head + raw, "application/octet-stream", headers

    def _whole(self, draw: Random) -> bytes:
        return draw.choice(self._valid)

    def _changed(self, draw: Random) -> bytes:
        """A row, or several, with other values in some places."""
        return json.dumps(_changed(draw, draw.choice(self._rows))).encode()

    def _damaged(self, draw: Random) -> bytes:
        """A valid body, some of its bytes gone and others in their place."""
        body = draw.choice(self._valid)
        for _ in range(draw.choice((1, 1, 1, 3))):
            at = draw.randrange(len(body) + 1)
            body = body[:at] + draw.randbytes(draw.randrange(9)) + body[at + draw.randrange(10) :]
        return body

    def _json(self, draw: Random) -> bytes:
        """JSON that is not what was asked for, or nearly."""
        row, value = partial(self._row, draw), partial(_value, draw, 2)
        content: object
        match draw.randrange(4):
            case 0:
                content = row()
            case 1:
                content = [row() for _ in range(draw.randrange(5))]
            case 2:
                columns = [
                    draw.choice(self._keys) if draw.random() < 0.7 else value()
                    for _ in range(draw.randrange(6))
                ]
                content = {"columns": columns, "data": [value() for _ in range(draw.randrange(4))]}
            case _:
                content = value()
        return json.dumps(content).encode()

    def _table(self, draw: Random) -> bytes:
        """CSV, or nearly."""
        row = draw.choice([row for row in self._rows if isinstance(row, dict)])
        lines = [",".join(row)]
        for _ in range(draw.randrange(4)):
            cells = [_changed(draw, value) for value in row.values()]
            lines.append(",".join(str(cell) for cell in cells[: draw.choice((9, 9, 9, 1))]))
        return draw.choice(("\n", "\r\n")).join(lines).encode(errors="surrogatepass")

    def _row(self, draw: Random) -> dict[str, object]:
        keys = [*self._keys, "columns", "data", "x"]
        return {draw.choice(keys): _value(draw, 2) for _ in range(draw.randrange(7))}


def _value(draw: Random, depth: int) -> object:
    """A value as JSON has them, in at most ``depth`` lists or objects."""
    match draw.randrange(8 if depth else 6):
        case 0:
            return draw.choice((None, True, False))
        case 1:
            return draw.choice(NUMBERS)
        case 2:
            return draw.randrange(-10, 100)
        case 3:
            return draw.gauss(0, 10 ** draw.randrange(20))
        case 4 | 5:
            return _text(draw, 12)
        case 6:
            return [_value(draw, depth - 1) for _ in range(draw.randrange(4))]
        case _:
            return {_text(draw, 6): _value(draw, depth - 1) for _ in range(draw.randrange(4))}


def _text(draw: Random, longest: int) -> str:
    if draw.random() < 0.3:
        return draw.choice(TEXTS)
    low, high = draw.choice(ALPHABETS)
    return "".join([chr(draw.randrange(low, high)) for _ in range(draw.randrange(longest + 1))])


def _header(draw: Random) -> str:
    return "".join([chr(draw.randrange(32, 256)) for _ in range(draw.randrange(41))])


def _changed(draw: Random, value: object) -> object:
    """The value with a few leaves changed, and now and then a key or an item gone or twice."""
    if isinstance(value, dict):
        kept = {k: _changed(draw, v) for k, v in value.items() if draw.random() < 0.95}
        return kept if draw.random() < 0.95 else kept | {_text(draw, 6): _value(draw, 1)}
    if isinstance(value, list):
        times = (0, 1, 1, 1, 1, 1, 1, 1, 1, 2)
        return [_changed(draw, one) for one in value for _ in range(draw.choice(times))]
    return value if draw.random() < 0.8 else _value(draw, 1)


def _packed(draw: Random, body: bytes) -> tuple[bytes, str]:
    """A body compressed, whole or damaged, and what is said of it."""
    packed = gzip.compress(body, 1) if draw.random() < 0.5 else zlib.compress(body, 1)
    if draw.random() < 0.5:
        at = draw.randrange(len(packed))
        packed = packed[:at] + draw.randbytes(draw.randrange(4)) + packed[at + 1 :]
    return packed, draw.choice(("gzip", "gzip", "deflate", "deflate", "zstd"))


def _binary(draw: Random) -> bytes:
    return draw.randbytes(draw.randrange(201))


def _nothing(draw: Random) -> bytes:
    return b""


def _nested(draw: Random) -> bytes:
    depth = draw.randrange(3001)
    return b"[" * depth + b"]" * depth


def _lines(draw: Random) -> bytes:
    lines = [_text(draw, 30) for _ in range(draw.randrange(7))]
    return "\n".join(lines).encode(errors="surrogatepass")


def _addition(draw: Random) -> str:
    """What stands behind a path: a query, or a segment."""
    if draw.random() < 0.5:
        return "/" + _quoted(_text(draw, 6))
    names = ("sepal_length", "petal_width", "a")
    query = {
        draw.choice(names) if draw.random() < 0.5 else _text(draw, 4): (
            _text(draw, 8) if draw.random() < 0.5 else str(draw.choice(NUMBERS[8:]))
        )
        for _ in range(draw.randrange(5))
    }
    return "?" + "&".join(f"{_quoted(k)}={_quoted(v)}" for k, v in query.items())


def _quoted(text: str) -> str:
    return quote(text.encode(errors="surrogatepass"))


class FuzzConnection:
    """Sends requests over one kept connection, opened again when the server closes it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._open: http.client.HTTPConnection | None = None
        self.sent = 0

    def status(self, request: FuzzRequest) -> int:
        """The status of the answer. Raises TimeoutError where there is none in 20 seconds."""
        self.sent += 1
        for _ in range(2):
            connection = self._open or http.client.HTTPConnection(*self._address, timeout=TIMEOUT_S)
            fresh = self._open is None
            self._open = connection
            try:
                connection.putrequest(
                    request.method, request.path, skip_host=True, skip_accept_encoding=True
                )
                names = {name for name, _ in request.headers}
                if "host" not in names:
                    connection.putheader("host", f"localhost:{self._address[1]}")
                for name, value in request.headers:
                    connection.putheader(name, value.encode("latin-1"))
                connection.putheader("content-type", request.content_type.encode("latin-1"))
                connection.putheader("accept", request.accept)
                connection.putheader("content-length", str(len(request.body)))
                connection.endheaders(request.body)
                response = connection.getresponse()
                response.read()
            except TimeoutError:
                raise
            except (OSError, http.client.HTTPException):
                # The server may close after an answer to what it could not parse.
                self.close()
                if fresh:
                    return 0
                continue
            if response.will_close:
                self.close()
            return response.status
        return 0

    def raw_status(self, payload: bytes) -> int:
        """The status of the answer to bytes as they are; 0 where the server just closed."""
        self.sent += 1
        with socket.create_connection(self._address, timeout=TIMEOUT_S) as connection:
            try:
                connection.sendall(payload)
                connection.shutdown(socket.SHUT_WR)
                answer = connection.recv(65536)
            except (ConnectionError, OSError) as error:
                if isinstance(error, TimeoutError):
                    raise
                return 0
        words = answer.split(b" ", 2)
        return int(words[1]) if answer.startswith(b"HTTP/1.") and words[1].isdigit() else 0

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._open is not None:
            self._open.close()
            self._open = None
