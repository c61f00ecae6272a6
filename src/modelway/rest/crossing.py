"""What browsers are told of pages of other origins, around every answer of an application."""

from __future__ import annotations

from modelway.rest.cors import Cors
from modelway.rest.http import Answer, Request, Response


class Crossing:
    """Answers preflights, and says in every other answer which page may read it."""

    def __init__(self, answer: Answer, cors: Cors) -> None:
        self._answer = answer
        self._cors = cors

    async def answer(self, request: Request) -> Response:
        """The response to one request."""
        headers = request.headers
        origin = headers.get(b"origin")
        preflight = self._cors.preflight(
            request.method,
            origin,
            headers.get(b"access-control-request-method"),
            headers.get(b"access-control-request-headers"),
        )
        if preflight is not None:
            return Response(b"", status=204, headers=preflight)
        response = await self._answer(request)
        # An answer may be a constant that others are given too.
        return Response(
            response.body,
            response.content_type,
            response.status,
            response.headers + self._cors.lines(origin),
        )
