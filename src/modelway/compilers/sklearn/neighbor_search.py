"""The nearest training rows of each row, in the arithmetic and with the ties of the original.

Where training rows of different answers lie equally far at the border of the nearest, which of
them stays depends on the order in which the search meets them and on the heap that it keeps. Then,
and only then, the graph goes the same way: in the order of the tree, through the same heap.

Source: scikit-learn, neighbors/_binary_tree.pxi.tp, utils/_heap.pyx,
metrics/_pairwise_distances_reduction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from modelway.compilers.features import Features
from modelway.compilers.graph import Graph
from modelway.compilers.sklearn.distances import direct, expanded, learned_points, refuse_ties
from modelway.compilers.sklearn.heap import pushed_in_order
from modelway.domain.errors import NotCompilable

_SECOND = np.array([1], dtype=np.int64)


def measured(g: Graph, search: Any, features: Features) -> tuple[str, str]:
    """Distances to all training rows, to their power and by themselves, (n_rows, n_points)."""
    points = learned_points(search._fit_X, features.width)
    power = _power(search)
    powered = direct(g, features.matrix(g), points, power)
    return powered, _rooted(g, powered, power)


def found_neighbours(
    g: Graph, search: Any, features: Features, answers: npt.NDArray[Any]
) -> tuple[str, str]:
    """The positions of the nearest training rows, and their distances; (n_rows, n_neighbors).

    ``answers`` has what each training row stands for on its first axis.
    """
    points = learned_points(search._fit_X, features.width)
    power = _power(search)
    rows = features.matrix(g)
    if search._fit_method == "brute" and power == 2:
        refuse_ties(points)
        value = expanded(g, rows, points)
    else:
        value = direct(g, rows, points, power)
    place = _lowest(g, search, rows, value, answers)
    return place, _rooted(g, g.op("GatherElements", value, place, axis=1), power)


def _lowest(g: Graph, search: Any, rows: str, value: str, answers: npt.NDArray[Any]) -> str:
    """The positions of the lowest values of each row, (n_rows, n_neighbors)."""
    n_points, size = len(answers), int(search.n_neighbors)
    if size >= n_points:
        every = np.array([n_points], dtype=np.int64)
        return f"{g.op('TopK', value, every, axis=1, largest=0, outputs=2)}_1"
    lowest = g.op("TopK", value, np.array([size + 1]), axis=1, largest=0, outputs=2)
    place = g.columns(f"{lowest}_1", range(size))
    border = g.columns(lowest, [size - 1])
    # Equal distances matter where the answers differ, and some of them have no place.
    _, number = np.unique(answers, axis=0, return_inverse=True)
    kind = number.astype(np.float64).reshape(1, n_points)
    at_border = g.op("Equal", value, border)
    first = g.op("ReduceMin", g.op("Where", at_border, kind, float(np.inf)), _SECOND, keepdims=1)
    last = g.op("ReduceMax", g.op("Where", at_border, kind, -1.0), _SECOND, keepdims=1)
    is_open = g.op(
        "And", g.op("Equal", border, g.columns(lowest, [size])), g.op("Less", first, last)
    )
    some = g.op("ReduceMax", g.cast(is_open, "int64"), np.array([0, 1], dtype=np.int64), keepdims=0)
    order = _order_met(g, search, rows, n_points)
    in_order = g.op("GatherElements", value, order, axis=1)
    times = g.op("Mul", some, n_points)
    kept = pushed_in_order(g, in_order, order, size, times)
    return g.op("Where", is_open, kept, place)


def _order_met(g: Graph, search: Any, rows: str, n_points: int) -> str:
    """Training rows in the order in which the search meets them, int64 (n_rows, n_points)."""
    if search._fit_method == "brute":
        zero = g.cast(g.op("Mul", g.columns(rows, [0]), 0.0), "int64")
        return g.op("Add", zero, np.arange(n_points, dtype=np.int64)[None, :])
    _, index, nodes, bounds = (np.asarray(a) for a in search._tree.get_arrays())
    n_nodes = len(nodes)
    if n_nodes == 1:
        zero = g.cast(g.op("Mul", g.columns(rows, [0]), 0.0), "int64")
        return g.op("Add", zero, index.astype(np.int64)[None, :])
    low = _least_distance(g, search, rows, nodes, bounds)
    left = np.arange(1, n_nodes, 2)
    is_left_first = g.op("LessOrEqual", g.columns(low, left), g.columns(low, left + 1))
    late_left = g.op("Sub", 1.0, g.cast(is_left_first, "double"))
    late_right = g.cast(is_left_first, "double")
    # How late each leaf comes: one binary digit for each step from the root.
    leaves = np.flatnonzero(nodes["is_leaf"] != 0)
    weight = np.zeros((n_nodes, len(leaves)))
    for column, leaf in enumerate(leaves):
        node, digit = int(leaf), 1.0
        while node > 0:
            weight[node, column] = digit
            node, digit = (node - 1) // 2, digit * 2
    rank = g.op(
        "Add",
        g.op("MatMul", late_left, np.ascontiguousarray(weight[left])),
        g.op("MatMul", late_right, np.ascontiguousarray(weight[left + 1])),
    )
    owner, offset = np.zeros(n_points, dtype=np.int64), np.zeros(n_points)
    for column, leaf in enumerate(leaves):
        start, stop = int(nodes["idx_start"][leaf]), int(nodes["idx_end"][leaf])
        owner[index[start:stop]] = column
        offset[index[start:stop]] = np.arange(stop - start)
    met = g.op("Add", g.op("Mul", g.columns(rank, owner), float(n_points)), offset)
    every = np.array([n_points], dtype=np.int64)
    return f"{g.op('TopK', met, every, axis=1, largest=0, outputs=2)}_1"


def _least_distance(g: Graph, search: Any, rows: str, nodes: Any, bounds: Any) -> str:
    """The least distance that a row can have to the rows of each node, (n_rows, n_nodes)."""
    power = _power(search)
    if search._fit_method == "ball_tree":
        distance = _rooted(g, direct(g, rows, bounds[0], power), power)
        return g.op("Max", g.op("Sub", distance, nodes["radius"][None, :].astype(float)), 0.0)
    total = ""
    for feature in range(bounds.shape[2]):
        x = g.columns(rows, [feature])
        below = g.op("Max", g.op("Sub", bounds[0, None, :, feature], x), 0.0)
        beyond = g.op("Max", g.op("Sub", x, bounds[1, None, :, feature]), 0.0)
        part = g.op("Add", below, beyond)
        if power == 2:
            part = g.op("Mul", part, part)
        elif power not in (1, np.inf):
            part = g.op("Pow", part, np.full((1, len(nodes)), power))
        total = g.op("Max" if power == np.inf else "Add", total, part) if total else part
    return total


def _power(search: Any) -> float:
    metric, parameters = search.effective_metric_, search.effective_metric_params_ or {}
    if not isinstance(metric, str) or parameters.get("w") is not None:
        raise NotCompilable("neighbours by a distance of the user's own")
    named = {"euclidean": 2.0, "l2": 2.0, "manhattan": 1.0, "l1": 1.0, "cityblock": 1.0}
    named |= {"chebyshev": float(np.inf), "minkowski": float(parameters.get("p", 2.0))}
    if metric not in named:
        raise NotCompilable(f"neighbours by {metric} distance")
    return named[metric]


def _rooted(g: Graph, powered: str, power: float) -> str:
    if power in (1, np.inf):
        return powered
    return g.op("Sqrt", powered) if power == 2 else g.op("Pow", powered, 1.0 / power)
