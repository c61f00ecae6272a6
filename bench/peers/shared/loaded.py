"""A model file as a user's own serving code reads it; used by every application that is by hand.

``MODELS`` in the environment has ``NAME=PATH`` with commas between. Nothing here is cached.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

Own = Callable[[Any], Any]
"""An array or a frame to an array of predictions."""

Predict = Callable[[list[Any]], list[Any]]
"""Rows as lists of cells, or as objects by column, to one prediction for each."""


def load(path: str) -> Predict:
    """The model's ``predict`` for rows that came out of JSON."""
    if path.endswith(".onnx"):
        return _network(path)
    model = pickle.loads(Path(path).read_bytes())
    if not hasattr(model, "feature_names_in_"):
        import numpy as np

        return lambda rows: model.predict(np.asarray(rows, dtype=np.float64)).tolist()
    import pandas as pd

    return lambda rows: model.predict(pd.DataFrame(rows)).tolist()


def paths() -> dict[str, str]:
    """The models of this server by name."""
    named = (one.split("=", 1) for one in os.environ["MODELS"].split(","))
    return dict(named)


def load_all() -> dict[str, Predict]:
    """All models of this server by name."""
    return {name: load(path) for name, path in paths().items()}


def load_own() -> Own:
    """The one model of this server, for arrays and frames as they are."""
    (path,) = paths().values()
    if path.endswith(".onnx"):
        import numpy as np

        session, name = _session(path)
        return lambda rows: session.run(None, {name: np.asarray(rows, dtype=np.float32)})[0]
    own: Own = pickle.loads(Path(path).read_bytes()).predict
    return own


def _network(path: str) -> Predict:
    import numpy as np

    session, name = _session(path)

    def predict(rows: list[Any]) -> list[Any]:
        found: list[Any] = session.run(None, {name: np.asarray(rows, np.float32)})[0].tolist()
        return found

    return predict


def _session(path: str) -> tuple[Any, str]:
    """An open network and the name of its input."""
    from onnxruntime import InferenceSession, SessionOptions

    # ONNX Runtime's advice where every core has a worker of its own: no threads inside a call.
    options = SessionOptions()
    options.intra_op_num_threads = 1
    session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session, session.get_inputs()[0].name
