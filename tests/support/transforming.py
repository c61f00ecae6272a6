"""Runs a fitted transformer and its compiled form on the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pandas as pd
from pandas.api.types import is_numeric_dtype

from modelway.bundles.manifest import MISSING_TEXT
from modelway.compilers.compilation import Compilation
from modelway.compilers.features import graph_inputs
from modelway.compilers.graph import Graph
from modelway.compilers.sklearn.converters import CONVERTERS
from modelway.domain.names import alias_of
from modelway.domain.signature import Column, Datatype, Signature

Floats = npt.NDArray[np.float64]


def signature_of(frame: pd.DataFrame) -> Signature:
    """A signature with the frame's columns: numbers, or text."""
    return Signature(
        tuple(
            Column(
                str(name),
                alias_of(str(name), i),
                Datatype.FP64 if is_numeric_dtype(frame[name]) else Datatype.STRING,
                nullable=True,
            )
            for i, name in enumerate(frame.columns)
        )
    )


def compiled_transform(transformer: Any, frame: pd.DataFrame) -> Floats:
    """What the compiled form of a fitted transformer gives for the rows of ``frame``."""
    signature = signature_of(frame)
    graph = Graph()
    features, layout = graph_inputs(graph, signature)
    given = Compilation(graph, CONVERTERS).transform(transformer, features)
    graph.output("given", given.matrix(graph), "double", ("n_rows", "n_given"))
    session = ort.InferenceSession(graph.serialized())
    if layout == "matrix":
        feed: dict[str, Any] = {"X": frame.to_numpy(dtype=np.float64)}
    else:
        feed = {f"c{i}": _column(frame[name]) for i, name in enumerate(frame.columns)}
    answer: Floats = session.run(None, feed)[0]
    return answer


def original_transform(transformer: Any, frame: pd.DataFrame) -> Floats:
    """What the transformer itself gives, dense."""
    given = transformer.transform(frame)
    dense = given.toarray() if hasattr(given, "toarray") else given
    return np.asarray(dense, dtype=np.float64)


def _column(values: pd.Series[Any]) -> npt.NDArray[Any]:
    if is_numeric_dtype(values):
        return values.to_numpy(dtype=np.float64)[:, None]
    text = values.astype(object)
    return text.where(text.notna(), MISSING_TEXT).to_numpy(dtype=object)[:, None]
