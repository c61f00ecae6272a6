"""The ONNX network as a custom runtime of MLServer, as its guide to custom runtimes writes one."""

from __future__ import annotations

from mlserver import MLModel
from mlserver.codecs import decode_args
from numpy import ndarray
from onnxruntime import InferenceSession, SessionOptions


class Network(MLModel):  # type: ignore[misc]
    """One tensor of pixels in, one of probabilities out."""

    async def load(self) -> bool:
        """Open the model that the settings name."""
        options = SessionOptions()
        options.intra_op_num_threads = 1
        self.session = InferenceSession(
            self.settings.parameters.uri, options, providers=["CPUExecutionProvider"]
        )
        return True

    @decode_args
    async def predict(self, pixels: ndarray) -> ndarray:
        """(n, 784) to (n, 10)."""
        return self.session.run(None, {"pixels": pixels})[0]
