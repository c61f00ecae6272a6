"""The access log: a line for a request that was answered, for the share of them that is wanted.

Whether a request is logged hangs on its id alone, so that one which passes several processes or
services with the same share is logged by all of them or by none. The path is the route's template:
neither names nor values that a caller chose stand in the line.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from hashlib import blake2b

_LOG = logging.getLogger("modelway.access")
_SPAN = 2**64


@dataclass(frozen=True, slots=True)
class Access:
    """One request as the log tells it; ``trace_id`` is empty where it has no trace.

    Of gRPC, ``method`` is ``gRPC``, ``route`` the method called, ``status`` its name.
    """

    method: str
    route: str
    status: int | str
    seconds: float
    request_id: str
    trace_id: str
    request_bytes: int
    response_bytes: int
    client: str


class AccessLog:
    """Writes the share ``ratio`` of requests, from 0 (none) to 1 (all)."""

    def __init__(self, ratio: float) -> None:
        self._below = round(ratio * _SPAN)

    @property
    def on(self) -> bool:
        """Whether any request is logged: what is off need not be asked per request."""
        return self._below > 0

    def wants(self, request_id: str) -> bool:
        """Whether this request is logged."""
        if self._below in (0, _SPAN):
            return self._below > 0
        digest = blake2b(request_id.encode("utf-8", "replace"), digest_size=8).digest()
        return int.from_bytes(digest, "big") < self._below

    def write(self, access: Access) -> None:
        """Log the request, which is wanted; level info."""
        _LOG.info(
            "%s %s %s",
            access.method,
            access.route,
            access.status,
            extra={
                "method": access.method,
                "route": access.route,
                "status": access.status,
                "seconds": round(access.seconds, 6),
                "request_id": access.request_id,
                "trace_id": access.trace_id or None,
                "request_bytes": access.request_bytes,
                "response_bytes": access.response_bytes,
                "client": access.client,
            },
        )
