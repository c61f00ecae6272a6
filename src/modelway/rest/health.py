"""Health: alive since the process runs, ready since every model is open that is to be at the start.

While models are opened the application does not exist yet and whoever starts it answers for it; so
once it does, both are true.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from modelway.inference.dataplane import DataPlane
from modelway.rest.http import Request, Response, constant
from modelway.rest.routes import Route


def routes(plane: DataPlane) -> Iterator[tuple[str, Route]]:
    """Both answers to GET."""

    async def ready(_: Request) -> Response:
        known = {"ready": True, "endpoints": list(plane.router.endpoints())}
        return Response(msgspec.json.encode(known))

    yield "/health/live", Route(GET=constant(b'{"live":true}'))
    yield "/health/ready", Route(GET=ready)
