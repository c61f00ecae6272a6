"""Requests that no caller should send: Hypothesis strategies, and a connection that sends them.

A request is a few plain values; what goes over the wire is made from them here, so that a failing
one is printed in a form that can be read.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from hypothesis import strategies as st

TIMEOUT_S = 20.0

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


@dataclass(frozen=True)
class FuzzRequest:
    """One request; ``headers`` beside Content-Type and Accept."""

    method: str
    path: str
    body: bytes
    content_type: str
    accept: str
    headers: tuple[tuple[str, str], ...] = ()


def fuzz_requests(paths: Sequence[str], rows: Sequence[object]) -> st.SearchStrategy[FuzzRequest]:
    """Requests to the paths, most with a body that was one of ``rows`` before it was damaged."""
    valid = st.sampled_from([json.dumps(row).encode() for row in rows])
    bodies = st.one_of(
        valid,
        st.builds(_damaged, valid, st.binary(max_size=8), st.integers(0, 400), st.integers(0, 9)),
        st.binary(max_size=200),
        st.builds(lambda value: json.dumps(value).encode(), _json_values(rows)),
        st.integers(0, 3000).map(lambda depth: b"[" * depth + b"]" * depth),
        st.builds(
            lambda lines: "\n".join(lines).encode(errors="surrogatepass"),
            st.lists(st.text(max_size=30), max_size=6),
        ),
    )
    header_text = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40)
    return st.builds(
        FuzzRequest,
        method=st.sampled_from(("POST", "POST", "POST", "GET", *METHODS)),
        path=st.one_of(st.sampled_from(paths), _paths(paths)),
        body=bodies,
        content_type=st.sampled_from(TYPES),
        accept=st.sampled_from(ACCEPTS),
        headers=st.lists(st.tuples(st.sampled_from(HEADERS), header_text), max_size=1).map(tuple),
    )


def raw_bytes() -> st.SearchStrategy[bytes]:
    """What is hardly HTTP."""
    head = st.sampled_from(
        (
            b"",
            b"GET / HTTP/1.1\r\n",
            b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\n",
            b"POST /predict HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
            b"POST /predict HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
            b"GET /?sepal_length=%ff%fe%00 HTTP/1.0\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        )
    )
    return st.builds(bytes.__add__, head, st.binary(max_size=120))


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


def _damaged(body: bytes, insertion: bytes, at: int, drop: int) -> bytes:
    at = min(at, len(body))
    return body[:at] + insertion + body[at + drop :]


def _json_values(rows: Sequence[object]) -> st.SearchStrategy[object]:
    """JSON values, many of them objects under the keys that the rows have."""
    keys = sorted({key for row in rows if isinstance(row, dict) for key in row})
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.integers(10**300, 10**310)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=12)
    )
    values = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    )
    row = st.dictionaries(st.sampled_from([*keys, "columns", "data", "x"]), values, max_size=6)
    frame = st.fixed_dictionaries(
        {"columns": st.lists(st.sampled_from(keys) | values, max_size=5), "data": st.lists(values)}
    )
    return row | st.lists(row, max_size=4) | frame | values


def _paths(paths: Sequence[str]) -> st.SearchStrategy[str]:
    """The paths with something behind them, queries among it."""
    queries = st.dictionaries(
        st.sampled_from(("sepal_length", "petal_width", "a")) | st.text(max_size=4),
        st.text(max_size=8) | st.floats().map(str),
        max_size=4,
    ).map(lambda q: "?" + "&".join(f"{_quoted(k)}={_quoted(v)}" for k, v in q.items()))
    segments = st.text(max_size=6).map(lambda text: "/" + _quoted(text))
    return st.builds(str.__add__, st.sampled_from(paths), queries | segments)


def _quoted(text: str) -> str:
    return quote(text.encode(errors="surrogatepass"))
