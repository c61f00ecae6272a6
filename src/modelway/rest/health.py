"""Health: alive since the process runs, ready since every model is loaded and warmed up.

While models are loaded the application does not exist yet and whoever starts it answers for it; so
once it does, both are true.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from modelway.inference.dataplane import DataPlane
from modelway.rest.http import Answer, constant


def health_routes(plane: DataPlane) -> Mapping[str, Answer]:
    """The answers to GET by path."""
    ready = {"ready": True, "endpoints": list(plane.router.endpoints())}
    return {
        "/health/live": constant(b'{"live":true}'),
        "/health/ready": constant(msgspec.json.encode(ready)),
    }
