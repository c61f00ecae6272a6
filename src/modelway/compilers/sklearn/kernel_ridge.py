"""Kernel ridge regression: a kernel between a row and every training row, weighted and added up.

Source: scikit-learn, metrics/pairwise.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.arithmetic import added, exponential, product
from modelway.compilers.compilation import Compilation
from modelway.compilers.features import Features
from modelway.compilers.graph import Graph
from modelway.compilers.sklearn.distances import (
    Floats,
    direct,
    expanded,
    learned_points,
    squared_norms,
)
from modelway.domain.errors import NotCompilable


def ridge_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``KernelRidge``."""
    g = c.graph
    points = learned_points(estimator.X_fit_, features.width)
    kernel = _kernel(g, estimator, features.matrix(g), points)
    return product(g, kernel, np.asarray(estimator.dual_coef_, dtype=np.float64).T)


def radial(g: Graph, rows: str, points: Floats, gamma: float | None) -> str:
    """``rbf_kernel``, (n_rows, n_points)."""
    gamma = 1.0 / points.shape[1] if gamma is None else float(gamma)
    return exponential(g, g.op("Mul", expanded(g, rows, points), -gamma))


def _kernel(g: Graph, estimator: Any, rows: str, points: Floats) -> str:
    kind = estimator.kernel
    if kind == "rbf":
        return radial(g, rows, points, estimator.gamma)
    gamma = 1.0 / points.shape[1] if estimator.gamma is None else float(estimator.gamma)
    if kind == "laplacian":
        return exponential(g, g.op("Mul", direct(g, rows, points, 1), -gamma))
    if kind == "cosine":
        length = g.op("Sqrt", added(g, g.op("Mul", rows, rows), points.shape[1]))
        none = g.op("Equal", length, 0.0)
        rows = g.op("Div", rows, g.op("Where", none, 1.0, length))
        lengths = np.sqrt(squared_norms(points))[:, None]
        return product(g, rows, points / np.where(lengths == 0, 1.0, lengths))
    if kind not in ("linear", "poly", "polynomial", "sigmoid"):
        raise NotCompilable(f"kernel ridge regression with the kernel {kind!r}")
    crossed = product(g, rows, points)
    if kind == "linear":
        return crossed
    shifted = g.op("Add", g.op("Mul", crossed, gamma), float(estimator.coef0))
    if kind == "sigmoid":
        return g.op("Tanh", shifted)
    return g.op("Pow", shifted, float(estimator.degree))


REGRESSORS = {"sklearn.kernel_ridge.KernelRidge": ridge_regress}
