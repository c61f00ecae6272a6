"""Isotonic regression: straight lines between the learned points."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.compilation import Compilation
from modelway.compilers.features import Features, numbers
from modelway.compilers.graph import Graph
from modelway.compilers.sklearn.expansions import interpolated
from modelway.domain.errors import NotCompilable


def isotonic_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``IsotonicRegression`` of its one column."""
    return isotonic_curve(c.graph, estimator, features.matrix(c.graph))


def isotonic_transform(c: Compilation, estimator: Any, features: Features) -> Features:
    """``IsotonicRegression`` as a transformer gives what it predicts."""
    return numbers(isotonic_regress(c, estimator, features), 1)


def isotonic_curve(graph: Graph, isotonic: Any, value: str) -> str:
    """``IsotonicRegression.predict`` of an (n_rows, 1) value.

    Outside the learned range the nearest end where it clips, else NaN, also where scikit-learn
    raises.

    Raises:
        NotCompilable: it was fitted in float32.
    """
    xs, ys = np.asarray(isotonic.X_thresholds_), np.asarray(isotonic.y_thresholds_)
    if xs.dtype != np.float64:
        raise NotCompilable("an isotonic regression fitted in float32")
    if len(ys) == 1:
        return graph.op("Add", graph.op("Mul", value, 0.0), float(ys[0]))
    low, high = float(isotonic.X_min_), float(isotonic.X_max_)
    if isotonic.out_of_bounds == "clip":
        return interpolated(graph, graph.op("Min", graph.op("Max", value, low), high), xs, ys)
    outside = graph.op("Or", graph.op("Less", value, low), graph.op("Greater", value, high))
    return graph.op("Where", outside, float(np.nan), interpolated(graph, value, xs, ys))


TRANSFORMERS = {"sklearn.isotonic.IsotonicRegression": isotonic_transform}
REGRESSORS = {"sklearn.isotonic.IsotonicRegression": isotonic_regress}
