"""Distances from each row to learned points, as scikit-learn and scipy add them up.

The direct form adds one feature after another, as the trees of neighbours, scipy's ``cdist`` and
scikit-learn's metrics do. The expanded form, x² - 2xy + y², is that of scikit-learn's products of
matrices; its rounding shows where points lie close together.

Source: scikit-learn, metrics/_dist_metrics and metrics/pairwise (euclidean_distances).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from modelway.compilers.arithmetic import added, dense
from modelway.compilers.graph import Graph
from modelway.domain.errors import NotCompilable

Floats = npt.NDArray[np.float64]

MOST_NUMBERS = 50_000
"""With more learned numbers than this, a graph that measures them all is slower than a search."""


def learned_points(points: Any, width: int) -> Floats:
    """The learned points as float64 (n_points, n_features).

    Raises:
        NotCompilable: there are too many of them, they are not numbers, or of another width.
    """
    if not hasattr(points, "toarray") and not isinstance(points, np.ndarray):
        raise NotCompilable("learned points that are no matrix")
    whole = dense(points)
    if whole.ndim != 2 or whole.shape[1] != width:
        raise NotCompilable("distances that are precomputed, or between other columns")
    if whole.size > MOST_NUMBERS:
        raise NotCompilable(f"{whole.size:,} learned numbers to compare with: a search is faster")
    return whole


def refuse_ties(points: Floats) -> None:
    """Let no model through whose distances, being sums of BLAS, would part equals by rounding.

    Where every feature keeps to a grid (counts, categories, one decimal), rows as far from one
    training row as from another are common. One feature whose gaps hardly repeat makes them rare.

    Raises:
        NotCompilable: every feature of the ``points``, (n_points, n_features), keeps to a grid.
    """
    for feature in points.T:
        gaps = np.diff(np.sort(feature))
        span = float(gaps.sum()) or 1.0
        if len(np.unique(np.round(gaps / span, 12))) > 0.98 * len(gaps):
            return
    raise NotCompilable(
        "every feature keeps to a grid, so that rows lie equally near and rounding decides"
    )


def direct(g: Graph, rows: str, points: Floats, power: float) -> str:
    """Minkowski sums to ``power`` without the root, feature by feature, (n_rows, n_points).

    ``power`` 1 gives Manhattan distances, 2 squared Euclidean ones, infinity the largest part.
    """
    total = ""
    for feature in range(points.shape[1]):
        difference = g.op("Sub", g.columns(rows, [feature]), points[None, :, feature])
        if power == 2:
            part = g.op("Mul", difference, difference)
        else:
            part = g.op("Abs", difference)
            # A single 3 would be taken for x·x·x, which rounds otherwise than a power does.
            exponents = np.full((1, len(points)), power)
            part = part if power in (1, np.inf) else g.op("Pow", part, exponents)
        total = part if not total else g.op("Max" if power == np.inf else "Add", total, part)
    return total


def expanded(g: Graph, rows: str, points: Floats) -> str:
    """Squared Euclidean distances by way of a product of matrices, never below 0."""
    crossed = g.op("MatMul", rows, np.ascontiguousarray(-2.0 * points.T))
    own = added(g, g.op("Mul", rows, rows), points.shape[1])
    both = g.op("Add", g.op("Add", crossed, own), squared_norms(points))
    return g.op("Max", both, 0.0)


def lowest(g: Graph, distances: str) -> str:
    """The position of the nearest point, the first of several, int64 (n_rows,)."""
    return g.op("ArgMin", distances, axis=1, keepdims=0)


def squared_norms(points: Floats) -> Floats:
    """The squared length of each point."""
    norms: Floats = np.einsum("ij,ij->i", points, points)
    return norms
