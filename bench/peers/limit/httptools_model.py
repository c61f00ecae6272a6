"""The same server with a model and nothing else: ``PORT WORKERS BUNDLE``.

Decode, ask, encode, in as few lines as it takes: no check of a value, no ids, no versions, no
metrics, no second model, no bound on anything. It says what Python and ONNX Runtime cost at least.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httptools
import msgspec
import numpy as np
import onnxruntime
from httptools_constant import run

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"


class Answer(msgspec.Struct):
    """What is answered to a row."""

    prediction: int
    probabilities: dict[str, float]


class Asked(asyncio.Protocol):
    """One connection."""

    def __init__(self, model: Model) -> None:
        """All connections share a model."""
        self._model = model
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """The bodies of this comparison come in one piece."""
        self._body = body

    def on_message_complete(self) -> None:
        """Answer."""
        content = self._model.answer(self._body)
        self._transport.write(HEAD % (len(content), content))


class Model:
    """A compiled classifier of numbers."""

    def __init__(self, bundle: Path) -> None:
        """Open the graph."""
        signature = json.loads((bundle / "signature.json").read_bytes())
        names = [column["alias"] for column in signature["columns"]]
        row = msgspec.defstruct("Row", [(name, float) for name in names])
        self._decode = msgspec.json.Decoder(row).decode
        self._encode = msgspec.json.Encoder().encode
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(bundle / "model.onnx"), options)

    def answer(self, body: bytes) -> bytes:
        """The answer to a row."""
        matrix = np.array([msgspec.structs.astuple(self._decode(body))])
        index, shares = self._session.run(["class_index", "probabilities"], {"X": matrix})
        values = {str(k): value for k, value in enumerate(shares[0].tolist())}
        return self._encode(Answer(index.item(), values))


def main() -> None:
    """Answer with the model."""
    port, workers, bundle = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])

    def prepared() -> Callable[[], asyncio.Protocol]:
        model = Model(bundle)
        return lambda: Asked(model)

    run(port, workers, prepared)


if __name__ == "__main__":
    main()
