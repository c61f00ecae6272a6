"""The application that Ray Serve serves; a request brings one row or more."""

from __future__ import annotations

import os
from typing import Any

from loaded import load_all
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=int(os.environ["REPLICAS"]), max_ongoing_requests=64)
class Predictor:
    """Holds the one model of this server."""

    def __init__(self) -> None:
        """Load it, once in each replica."""
        (self.model,) = load_all().values()

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.001)
    async def predict(self, requests: list[list[Any]]) -> list[list[Any]]:
        """Each request's own predictions, of one call with the rows of all."""
        predictions = iter(self.model([row for rows in requests for row in rows]))
        return [[next(predictions) for _ in rows] for rows in requests]

    async def __call__(self, request: Request) -> dict[str, list[Any]]:
        """The answer to one request."""
        body = await request.json()
        return {"predictions": await self.predict(body["rows"])}


built = Predictor.bind()
