"""Requests to MLflow's tracking server: addresses, credentials, kept connections, what went wrong.

A request that changes something never goes over a connection that the server may have closed
meanwhile, so none has to be sent twice. Credentials never show in a message.

Source: MLflow, "REST API" (errors are JSON with ``error_code`` and ``message``).
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import msgspec

from modelway.domain.errors import (
    BadValue,
    InvalidInput,
    ModelwayError,
    RegistryUnavailable,
    TargetExists,
)

API = "/api/2.0/mlflow/"
"""Where MLflow's REST API begins, below the server's address."""

_ABSENT = "RESOURCE_DOES_NOT_EXIST"
_EXISTS = "RESOURCE_ALREADY_EXISTS"

_OLDEST = (2, 9)
_STALE = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)
"""How a connection fails that the server closed while nobody was looking."""
_MOST_IDLE = 8
_LONGEST_MESSAGE = 500
_REFUSED = (401, 403)
_TOO_MANY = 429
_CHUNK_BYTES = 1024 * 1024

Absent = Callable[[], ModelwayError]
"""What to raise where the server says that something does not exist."""


class _Failure(msgspec.Struct):
    error_code: str = ""
    message: str = ""


class Reply:
    """An answer, read at once or in chunks; what breaks off raises RegistryUnavailable."""

    def __init__(
        self,
        response: http.client.HTTPResponse,
        named: Callable[[], contextlib.AbstractContextManager[None]],
    ) -> None:
        self.status, self.reason = response.status, response.reason
        self._response, self._named = response, named

    def read(self) -> bytes:
        """All of it.

        Raises:
            RegistryUnavailable: it broke off.
        """
        with self._named():
            return self._response.read()

    def chunks(self) -> Iterator[bytes]:
        """It in pieces of at most a mebibyte.

        Raises:
            RegistryUnavailable: it broke off.
        """
        while True:
            with self._named():
                piece = self._response.read(_CHUNK_BYTES)
                if not piece and self._response.length:
                    raise http.client.IncompleteRead(b"", self._response.length)
            if not piece:
                return
            yield piece


class MlflowHttp:
    """Sends requests to the tracking server at ``url``; safe in threads, none shares a connection.

    ``url`` is http or https, may have a path and ``user:password@``. ``timeout_s`` is the longest
    that the server may be silent. The server's version is looked at before the first request.

    Raises:
        BadValue: ``url`` is no such address, or the credentials are not ones that can be sent.
    """

    def __init__(
        self, url: str, token: str | None, user: str | None, password: str | None, timeout_s: float
    ) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise BadValue(_no_address("what was given")) from None
        if not host or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
            raise BadValue(_no_address(repr(url.rpartition("@")[2])))
        at = f"[{host}]" if ":" in host else host
        self.url = f"{parts.scheme}://{at}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
        self._host, self._port, self._path = host, port, parts.path.rstrip("/")
        self._tls = parts.scheme == "https"
        if token is None and user is None and parts.username is not None:
            user, password = unquote(parts.username), unquote(parts.password or "")
        self._headers = {"accept": "application/json", **_credentials(token, user, password)}
        self._timeout_s = timeout_s
        self._checked = False
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []
        weakref.finalize(self, _close, self._idle)

    def ask(self, path: str, query: Mapping[str, str], absent: Absent | None = None) -> bytes:
        """What ``GET`` of a path of the REST API answers.

        Raises:
            RegistryUnavailable: the server cannot be reached, is too old or fails.
            InvalidInput: it refuses the request; what ``absent`` makes, where there is no such
                thing.
        """
        with self.opened("GET", f"{API}{path}?{urlencode(query)}", absent=absent) as reply:
            return reply.read()

    def tell(
        self,
        method: str,
        path: str,
        said: Mapping[str, Any],
        *,
        absent: Absent | None = None,
        may_exist: bool = False,
    ) -> bytes:
        """What a path of the REST API answers to ``said``, sent as JSON; empty where it exists
        already and ``may_exist``.

        Raises:
            RegistryUnavailable: as ``ask`` does.
            InvalidInput: as ``ask`` does.
        """
        body = msgspec.json.encode(said)
        headers = {"content-type": "application/json"}
        try:
            with self.opened(method, API + path, body, headers, absent=absent) as reply:
                return reply.read()
        except TargetExists:
            if may_exist:
                return b""
            raise

    @contextlib.contextmanager
    def opened(
        self,
        method: str,
        target: str,
        body: bytes | IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        absent: Absent | None = None,
    ) -> Iterator[Reply]:
        """The answer to a request, to be read within the block; ``target`` is below the address.

        Raises:
            RegistryUnavailable: as ``ask`` does.
            InvalidInput: as ``ask`` does.
        """
        self._check_version()
        with self._exchange(method, target, body, headers or {}) as reply:
            if reply.status >= http.client.MULTIPLE_CHOICES:
                raise self._refusal(reply, reply.read(), absent)
            yield reply

    def _check_version(self) -> None:
        """Look once whether the server is one that is understood."""
        if self._checked:
            return
        with self._lock:
            if self._checked:
                return
            with self._exchange("GET", "/version", None, {}) as reply:
                content = reply.read()
                if reply.status != http.client.OK:
                    raise self._refusal(reply, content, None)
            found = content[:100].decode(errors="replace").strip()
            if _version(found) < _OLDEST:
                expected = ".".join(map(str, _OLDEST))
                raise RegistryUnavailable(
                    f"{self.url} is no MLflow server of version {expected} or later: "
                    f"its version is {found!r}",
                    hint="upgrade the server, or name another one",
                )
            self._checked = True

    @contextlib.contextmanager
    def _exchange(
        self, method: str, target: str, body: bytes | IO[bytes] | None, headers: Mapping[str, str]
    ) -> Iterator[Reply]:
        """One exchange; its connection is kept if the answer was read to its end."""
        with self._named():
            connection, response = self._answered(method, target, body, headers)
        try:
            yield Reply(response, self._named)
        except BaseException:
            connection.close()
            raise
        if response.isclosed() and connection.sock is not None and len(self._idle) < _MOST_IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """What goes wrong with a connection, as an error of the registry."""
        try:
            yield
        except TimeoutError as error:
            raise RegistryUnavailable(
                f"the registry at {self.url} did not answer within {self._timeout_s:g} s"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise RegistryUnavailable(
                f"the registry at {self.url} cannot be reached: {reason}",
                hint="what is bundled answers all the same; try again once it is back",
            ) from error

    def _answered(
        self, method: str, target: str, body: bytes | IO[bytes] | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Only a GET takes a kept connection, as it can be sent again."""
        while method == "GET" and self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took the last one
                break
            with contextlib.suppress(*_STALE):
                return connection, self._on(connection, method, target, body, headers)
        connection = self._fresh()
        return connection, self._on(connection, method, target, body, headers)

    def _on(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        body: bytes | IO[bytes] | None,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        try:
            # The server may answer before it has taken everything, that it is too large, say.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, self._path + target, body, {**self._headers, **headers})
            return connection.getresponse()
        except BaseException:
            connection.close()
            raise

    def _fresh(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._tls else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=self._timeout_s)

    def _refusal(self, reply: Reply, content: bytes, absent: Absent | None) -> ModelwayError:
        """What an answer other than a success means."""
        said = _failure(content)
        if said.error_code == _ABSENT and absent is not None:
            return absent()
        words = said.message[:_LONGEST_MESSAGE] or reply.reason
        if reply.status in _REFUSED:
            return RegistryUnavailable(
                f"the registry at {self.url} refuses the credentials: {reply.status} {words}",
                hint="give a user and password, or a token, that it knows",
            )
        if not said.error_code or reply.status in (_TOO_MANY, *range(500, 600)):
            return RegistryUnavailable(
                f"the registry at {self.url} answered {reply.status}: {words}",
                hint="is it the address of an MLflow server?" if not said.error_code else None,
            )
        kind = TargetExists if said.error_code == _EXISTS else InvalidInput
        return kind(f"the registry refused it: {words}")


def quoted(path: str) -> str:
    """A path as it stands in an address; slashes stay."""
    return quote(path, safe="/")


def _credentials(token: str | None, user: str | None, password: str | None) -> dict[str, str]:
    if token is not None and user is not None:
        raise BadValue("the registry is given a token and a user: expected one of them")
    if token is not None:
        value = f"Bearer {token}"
    elif user is not None:
        if ":" in user:
            raise BadValue("the registry's user has a ':' in it, which cannot be sent")
        value = "Basic " + base64.b64encode(f"{user}:{password or ''}".encode()).decode()
    else:
        return {}
    if not value.isascii() or not value.isprintable():
        raise BadValue("the registry's token has characters that cannot be sent: expected ASCII")
    return {"authorization": value}


def _no_address(what: str) -> str:
    return f"{what} is not the address of a registry: expected such as http://127.0.0.1:8091"


def _version(text: str) -> tuple[int, ...]:
    """The first two numbers of a version; 0 where it is none."""
    numbers = text.split(".")[:2]
    return tuple(int(one) for one in numbers) if all(map(str.isdigit, numbers)) else (0,)


def _failure(content: bytes) -> _Failure:
    try:
        return msgspec.json.decode(content, type=_Failure)
    except msgspec.MsgspecError:
        return _Failure()


def _close(connections: list[http.client.HTTPConnection]) -> None:
    while connections:
        connections.pop().close()
