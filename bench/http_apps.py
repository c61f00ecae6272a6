"""One JSON echo under three interfaces, for ``http_stack.py``: raw ASGI, Starlette, raw RSGI.

Each decodes a body of four numbers and answers a body of the size of a prediction. What differs
between them is the HTTP stack and nothing else.
"""

from __future__ import annotations

from typing import Any

import msgspec

decoder = msgspec.json.Decoder(dict[str, float])
encoder = msgspec.json.Encoder()


def answer(body: bytes) -> bytes:
    """The work of one request, the same everywhere."""
    numbers = decoder.decode(body)
    return encoder.encode({"prediction": len(numbers), "probabilities": numbers})


async def raw_asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """ASGI with nothing in between."""
    if scope["type"] != "http":
        return
    message = await receive()
    body = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    content = answer(body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def raw_rsgi(scope: Any, protocol: Any) -> None:
    """Granian's own interface with nothing in between."""
    content = answer(await protocol())
    protocol.response_bytes(200, [("content-type", "application/json")], content)


def starlette() -> Any:
    """A Starlette application with one route."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    async def predict(request: Request) -> Response:
        return Response(answer(await request.body()), media_type="application/json")

    return Starlette(routes=[Route("/predict", predict, methods=["POST"])])
