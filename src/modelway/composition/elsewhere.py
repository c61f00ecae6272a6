"""What a process that answers cannot do itself: it asks the service's own administration.

A worker cannot change the others, and has no store; whoever administers them all has both. So a
protocol whose callers may load models on the public port asks there, with the key of the home, and
so do labels that came on the public port, with the key of whoever sent them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from modelway.composition.administration import admin_key
from modelway.composition.exchanging import exchange
from modelway.records.labelling import Claim, portions


class _Added(msgspec.Struct):
    labels: list[Any]


class ByAdministration:
    """Deployments and labels by way of the administration at ``url``.

    ``names`` gives what answers here. ``certificate`` is the file of the one that the service
    shows, empty where it speaks no TLS.
    """

    def __init__(
        self, url: str, home: Path, names: Callable[[], Sequence[str]], certificate: str = ""
    ) -> None:
        self._url = url
        self._home = home
        self._certificate = certificate
        self.names = names

    async def load(self, name: str, folder: Path) -> None:
        """Have the bundle of a folder answer in every process. Raises why it cannot."""
        body = msgspec.json.encode({"bundle": str(folder)})
        await asyncio.to_thread(self._send, "PUT", _path_of(name), body, self._own_key())

    async def unload(self, name: str) -> None:
        """Have nothing answer under a name. Raises EndpointNotFound."""
        await asyncio.to_thread(self._send, "DELETE", _path_of(name), b"", self._own_key())

    async def label(
        self, claims: Sequence[Claim], key: Mapping[str, str] | None
    ) -> Sequence[object]:
        """Store what is said of predictions; gives the labels. Raises why it cannot.

        ``key`` are the headers with which the caller said who it is, None where nobody is asked.
        """
        headers = self._own_key() if key is None else key
        return await asyncio.to_thread(self._labelled, claims, headers)

    def _labelled(self, claims: Sequence[Claim], key: Mapping[str, str]) -> Sequence[object]:
        stored: list[object] = []
        for portion in portions(claims):
            body = msgspec.json.encode({"labels": portion})
            found = self._send("POST", "/labels", body, key)
            stored += msgspec.json.decode(found, type=_Added).labels
        return stored

    def _own_key(self) -> Mapping[str, str]:
        return {"authorization": f"Bearer {admin_key(self._home)}"}

    def _send(self, method: str, path: str, body: bytes, key: Mapping[str, str]) -> bytes:
        return exchange(self._url, method, path, body, key, certificate=self._certificate)


def _path_of(name: str) -> str:
    return f"/models/{quote(name, safe='')}"
