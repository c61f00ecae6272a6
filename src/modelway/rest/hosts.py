"""The Host header, checked where nobody listens but this machine.

A web page that a browser on this machine shows may have its own name lead here; its requests then
name that host, and are refused.
"""

from __future__ import annotations

import re

from modelway.domain.errors import InvalidInput
from modelway.rest.http import Request

_LOOPBACK = re.compile(rb"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
_MOST_KNOWN = 64


class Hosts:
    """The hosts that requests may name; any where ``loopback`` is false."""

    def __init__(self, *, loopback: bool) -> None:
        self._loopback = loopback
        self._known: set[bytes | None] = {None}

    def check(self, request: Request) -> None:
        """Do nothing if the request names a host it may name. Raises InvalidInput."""
        if self._loopback and request.headers.get(b"host") not in self._known:
            self._look(request.headers[b"host"])

    def _look(self, host: bytes) -> None:
        if not _LOOPBACK.fullmatch(host):
            raise InvalidInput(
                f"this service answers to localhost, not to {host[:100].decode('latin-1')!r}",
                hint="serve with --host 0.0.0.0, or let the proxy send Host: localhost",
            )
        if len(self._known) < _MOST_KNOWN:
            self._known.add(host)
