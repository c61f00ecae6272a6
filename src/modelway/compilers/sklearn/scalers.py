"""Scalers: every column (or row) by the operations that scikit-learn does, in its order."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.compilation import Compilation
from modelway.compilers.features import Features, numbers
from modelway.compilers.graph import Graph
from modelway.domain.errors import NotCompilable


def standard_scaler(c: Compilation, estimator: Any, features: Features) -> Features:
    """``StandardScaler``: minus the mean, then divided by the scale."""
    value = features.matrix(c.graph)
    if estimator.with_mean:
        value = c.graph.columnwise("Sub", value, estimator.mean_)
    if estimator.with_std:
        value = c.graph.columnwise("Div", value, estimator.scale_)
    return numbers(value, features.width)


def min_max_scaler(c: Compilation, estimator: Any, features: Features) -> Features:
    """``MinMaxScaler``: times the scale, plus the minimum, clipped where asked."""
    g = c.graph
    value = g.columnwise("Mul", features.matrix(g), estimator.scale_)
    value = g.columnwise("Add", value, estimator.min_)
    if estimator.clip:
        low, high = estimator.feature_range
        value = clipped(g, value, float(low), float(high))
    return numbers(value, features.width)


def max_abs_scaler(c: Compilation, estimator: Any, features: Features) -> Features:
    """``MaxAbsScaler``: divided by the scale, clipped to -1 and 1 where asked."""
    value = c.graph.columnwise("Div", features.matrix(c.graph), estimator.scale_)
    if getattr(estimator, "clip", False):
        value = clipped(c.graph, value, -1.0, 1.0)
    return numbers(value, features.width)


def robust_scaler(c: Compilation, estimator: Any, features: Features) -> Features:
    """``RobustScaler``: minus the median, divided by the spread."""
    value = features.matrix(c.graph)
    if estimator.with_centering:
        value = c.graph.columnwise("Sub", value, estimator.center_)
    if estimator.with_scaling:
        value = c.graph.columnwise("Div", value, estimator.scale_)
    return numbers(value, features.width)


def normalizer(c: Compilation, estimator: Any, features: Features) -> Features:
    """``Normalizer``: each row divided by its norm; a row of zeros stays."""
    value = features.matrix(c.graph)
    return numbers(row_normalized(c.graph, value, estimator.norm), features.width)


def binarizer(c: Compilation, estimator: Any, features: Features) -> Features:
    """``Binarizer``: 1 above the threshold, else 0."""
    above = c.graph.op("Greater", features.matrix(c.graph), float(estimator.threshold))
    return numbers(c.graph.cast(above, "double"), features.width)


def clipped(graph: Graph, value: str, low: float, high: float) -> str:
    """``value`` kept between two bounds; a missing value stays missing."""
    raised = graph.op("Where", graph.op("Less", value, low), low, value)
    return graph.op("Where", graph.op("Greater", raised, high), high, raised)


def row_normalized(graph: Graph, value: str, norm: str) -> str:
    """Each row divided by its norm (``l1``, ``l2`` or ``max``); 1 where the norm is 0."""
    if norm == "l1":
        length = graph.sum_rows(graph.op("Abs", value))
    elif norm == "l2":
        length = graph.op("Sqrt", graph.sum_rows(graph.op("Mul", value, value)))
    elif norm == "max":
        axis = np.array([1], dtype=np.int64)
        length = graph.op("ReduceMax", graph.op("Abs", value), axis, keepdims=1)
    else:
        raise NotCompilable(f"the norm {norm!r}")
    # scikit-learn takes a length below ten epsilons for zero.
    none = graph.op("Less", length, float(10 * np.finfo(np.float64).eps))
    return graph.op("Div", value, graph.op("Where", none, 1.0, length))


TRANSFORMERS = {
    "sklearn.preprocessing._data.StandardScaler": standard_scaler,
    "sklearn.preprocessing._data.MinMaxScaler": min_max_scaler,
    "sklearn.preprocessing._data.MaxAbsScaler": max_abs_scaler,
    "sklearn.preprocessing._data.RobustScaler": robust_scaler,
    "sklearn.preprocessing._data.Normalizer": normalizer,
    "sklearn.preprocessing._data.Binarizer": binarizer,
}
