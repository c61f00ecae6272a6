"""The application that LitServe serves; a request brings one row or more."""

from __future__ import annotations

import os
import sys
from typing import Any

import litserve
from loaded import load_all


class Predictor(litserve.LitAPI):  # type: ignore[misc]
    """Holds the one model of this server."""

    def setup(self, device: str) -> None:
        """Load it, once in each inference worker."""
        (self.model,) = load_all().values()

    # LitServe reads JSON where the argument has no type, and takes a type for FastAPI's.
    def decode_request(self, request) -> list[Any]:  # type: ignore[no-untyped-def]
        """The rows of one request."""
        return request["rows"]

    def batch(self, inputs: list[list[Any]]) -> tuple[list[Any], list[int]]:
        """The rows of all requests, and how many each brought."""
        return [row for rows in inputs for row in rows], [len(rows) for rows in inputs]

    def predict(self, batch: tuple[list[Any], list[int]]) -> tuple[list[Any], list[int]]:
        """One prediction for each row."""
        rows, sizes = batch
        return self.model(rows), sizes

    def unbatch(self, output: tuple[list[Any], list[int]]) -> list[list[Any]]:
        """Each request's own predictions."""
        predictions, sizes = output
        ends = [sum(sizes[: place + 1]) for place in range(len(sizes))]
        return [predictions[end - size : end] for end, size in zip(ends, sizes, strict=True)]

    def encode_response(self, output: list[Any]) -> dict[str, list[Any]]:
        """The answer to one request."""
        return {"predictions": output}


if __name__ == "__main__":
    server = litserve.LitServer(
        Predictor(max_batch_size=32, batch_timeout=0.001),
        accelerator="cpu",
        workers_per_device=int(os.environ["WORKERS"]),
        fast_queue=True,
    )
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning"
    )
