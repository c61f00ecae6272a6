"""Connections to one service, kept open between requests."""

from __future__ import annotations

import contextlib
import http.client
import weakref
from urllib.parse import urlsplit

from modelway.domain.errors import InvalidInput, Unavailable

_STALE = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)
"""How a connection fails that the service closed while nobody was looking."""


class Connections:
    """Sends requests to paths under ``url``; safe in threads, as none shares a connection.

    Raises:
        InvalidInput: ``url`` is no http or https address.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = None
        if not host or parts.scheme not in ("http", "https"):
            raise InvalidInput(
                f"{url!r} is not the address of a service", hint="such as http://127.0.0.1:8080"
            )
        self.url = url.rstrip("/")
        self._path = parts.path.rstrip("/")
        self._host, self._port = host, port
        self._tls = parts.scheme == "https"
        self._timeout_s = timeout_s
        self._idle: list[http.client.HTTPConnection] = []
        # A client made for one line of a notebook is never closed by its user.
        weakref.finalize(self, _close, self._idle)

    def exchange(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """The status and body of the answer. A request on a connection gone stale is sent again.

        Raises:
            Unavailable: nobody answers at the address, or not in time.
        """
        try:
            while self._idle:
                try:
                    return self._on(self._idle.pop(), method, path, body)
                except _STALE:
                    continue
                except IndexError:  # another thread took the last one
                    break
            return self._on(self._fresh(), method, path, body)
        except TimeoutError as error:
            raise Unavailable(
                f"{self.url} did not answer within {self._timeout_s:g} s",
                hint="give the client a longer timeout_s, or send fewer rows",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Unavailable(
                f"nobody answers at {self.url}: {reason}", hint="modelway serve starts a service"
            ) from error

    def close(self) -> None:
        """Close what is idle; calling it twice does no harm."""
        _close(self._idle)

    def _fresh(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._tls else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=self._timeout_s)

    def _on(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None
    ) -> tuple[int, bytes]:
        headers = {"accept": "application/json"}
        if body is not None:
            headers["content-type"] = "application/json"
        try:
            # The service may answer before it has taken everything, that it is too large, say.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, self._path + path, body, headers)
            response = connection.getresponse()
            content = response.read()
        except BaseException:
            connection.close()
            raise
        if connection.sock is not None:
            self._idle.append(connection)
        return response.status, content


def _close(connections: list[http.client.HTTPConnection]) -> None:
    while connections:
        connections.pop().close()
