"""Changing what answers from a process that answers: by asking the service's own administration.

A worker cannot change the others; whoever administers them all can. So a protocol whose callers may
load models on the public port asks there, with the key of the home.
"""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote, urlsplit

import msgspec

from modelway.composition.administration import admin_key
from modelway.composition.orders import Report, raised
from modelway.domain.errors import Unavailable

_TIMEOUT_S = 600.0


class _Problem(msgspec.Struct):
    code: str
    detail: str
    hint: str | None = None


class ByAdministration:
    """Deployments by way of the administration at ``url``; ``names`` gives what answers here."""

    def __init__(self, url: str, home: Path, names: Callable[[], Sequence[str]]) -> None:
        self._address = urlsplit(url).netloc
        self._home = home
        self.names = names

    async def load(self, name: str, folder: Path) -> None:
        """Have the bundle of a folder answer in every process. Raises why it cannot."""
        body = msgspec.json.encode({"bundle": str(folder)})
        await asyncio.to_thread(self._send, "PUT", name, body)

    async def unload(self, name: str) -> None:
        """Have nothing answer under a name. Raises EndpointNotFound."""
        await asyncio.to_thread(self._send, "DELETE", name, b"")

    def _send(self, method: str, name: str, body: bytes) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT_S)
        headers = {"authorization": f"Bearer {admin_key(self._home)}"}
        try:
            connection.request(method, f"/models/{quote(name, safe='')}", body, headers)
            response = connection.getresponse()
            content = response.read()
        except OSError as error:
            raise Unavailable("the service's administration does not answer") from error
        finally:
            connection.close()
        if response.status >= HTTPStatus.BAD_REQUEST:
            problem = msgspec.json.decode(content, type=_Problem)
            raise raised(Report(code=problem.code, message=problem.detail, hint=problem.hint))
