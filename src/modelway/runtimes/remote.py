"""A model that somebody else serves, asked over the Open Inference Protocol.

It is not trusted: certificates are checked, no redirect is followed, and the size of an answer and
the time for it are bounded.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import time
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

from modelway.domain.errors import DeadlineExceeded, OutputInvalid, PredictFailed
from modelway.domain.inference import Outputs
from modelway.domain.tables import Table
from modelway.runtimes.remote_tensors import Face, read_answer, read_inputs, write_request

TIMEOUT_S = 5.0
LARGEST_ANSWER_BYTES = 16 * 1024 * 1024
_STALE = (
    *(http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError),
    ssl.SSLEOFError,
)
"""How a kept connection fails that the other side has closed meanwhile."""


class RemoteRuntime:
    """The model at ``url``, over one connection, which is kept."""

    def __init__(self, url: str) -> None:
        split = urlsplit(url)
        self._url = url
        self._path = split.path.rstrip("/")
        self._connection = _connection(split.scheme, split.hostname or "", split.port)
        self._inputs: Sequence[Face] | None = None
        self._is_closed = False

    def predict(self, table: Table) -> Outputs:
        """The outputs for the table's rows, under the names that the other side gives them.

        Raises:
            DeadlineExceeded: there was no answer within 5 s.
            PredictFailed: it is away, it refuses, or it cannot be given the values.
            OutputInvalid: what it answers cannot be read, is too large, or has other rows.
        """
        try:
            return self._predicted(table, time.monotonic() + TIMEOUT_S)
        except TimeoutError as error:
            self._disconnect()
            raise DeadlineExceeded(f"{self._url} did not answer within {TIMEOUT_S:g} s") from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            self._disconnect()
            raise PredictFailed(f"{self._url} cannot be asked: {error!r}") from error

    def close(self) -> None:
        """End the connection for good, also under a call that waits for its answer."""
        self._is_closed = True
        self._disconnect()

    def _disconnect(self) -> None:
        kept = self._connection.sock
        if kept is not None:
            with contextlib.suppress(OSError):
                kept.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _predicted(self, table: Table, until_s: float) -> Outputs:
        if self._inputs is None:
            status, content = self._asked("GET", "", None, until_s)
            self._inputs = read_inputs(content) if status == HTTPStatus.OK else ()
        body = write_request(table, self._inputs)
        status, content = self._asked("POST", "/infer", body, until_s)
        if status != HTTPStatus.OK:
            raise PredictFailed(f"{self._url}/infer answered {status} instead of 200")
        return read_answer(content, table)

    def _asked(
        self, method: str, path: str, body: bytes | None, until_s: float
    ) -> tuple[int, bytes]:
        """The status and the body of an answer."""
        was_kept = self._connection.sock is not None
        try:
            return self._asked_once(method, path, body, until_s)
        except _STALE:
            self._disconnect()
            if not was_kept:
                raise
        return self._asked_once(method, path, body, until_s)

    def _asked_once(
        self, method: str, path: str, body: bytes | None, until_s: float
    ) -> tuple[int, bytes]:
        connection = self._connection
        if connection.sock is None:
            connection.connect()
        if self._is_closed:  # looked at last, as another thread may say so in any moment
            self._disconnect()
            raise PredictFailed(f"{self._url} is asked no more")
        connection.sock.settimeout(max(until_s - time.monotonic(), 0.001))
        connection.request(method, self._path + path, body, {"content-type": "application/json"})
        response = connection.getresponse()
        content = bytearray()
        while chunk := response.read1(64 * 1024):
            content += chunk
            if len(content) > LARGEST_ANSWER_BYTES:
                self._disconnect()
                raise OutputInvalid(f"{self._url} answered more than {LARGEST_ANSWER_BYTES} bytes")
            if time.monotonic() > until_s:
                raise TimeoutError
        response.close()
        return response.status, bytes(content)


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    connection = (
        http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        if scheme == "http"
        else http.client.HTTPSConnection(
            host, port, timeout=TIMEOUT_S, context=ssl.create_default_context()
        )
    )
    connection.auto_open = 0  # one that was closed under a call stays so
    return connection
