"""A raw ASGI application that reads a request whole and answers a constant."""

from __future__ import annotations

import os
from typing import Any

CONTENT = b"x" * int(os.environ["ANSWER_BYTES"])
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(CONTENT)).encode()),
    ],
}
BODY = {"type": "http.response.body", "body": CONTENT}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """One request."""
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send(BODY)
