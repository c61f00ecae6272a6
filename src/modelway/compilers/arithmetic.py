"""numpy's and scikit-learn's own arithmetic in a graph: products, sums, shares, the largest.

A row gets the same bits alone and in any batch. ONNX Runtime's ``MatMul`` keeps to that; its
``ReduceSum`` over rows, ``Softmax``, and ``Exp``, ``Log``, ``Tanh`` of an odd number of values do
not: they work on two values at once and give a last one alone other bits. So sums are products
with ones, and a power of e is ``Pow``. Where a label hangs on a sum it is taken in numpy's order:
eight running sums to 128 values, halves above.

Source: numpy, ``pairwise_sum`` of its loops; scipy, ``expit``; scikit-learn, ``_logsumexp``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from modelway.compilers.graph import Graph

_LARGEST = float(np.finfo(np.float64).max)
_NEAR = 100.0


def dense(parameter: Any) -> npt.NDArray[np.float64]:
    """A learned parameter as a float64 array, also where it was made sparse."""
    whole = parameter.toarray() if hasattr(parameter, "toarray") else parameter
    return np.ascontiguousarray(whole, dtype=np.float64)


def product(graph: Graph, rows: str, weights: Any, shift: Any = None) -> str:
    """``rows @ weights.T + shift``; weights (n_outputs, n_features), or (n_features,) for one.

    By ``Gemm``: ONNX Runtime merges ``MatMul`` with a multiplication by one number next to it, and
    keeps that number as float32.
    """
    columns = np.ascontiguousarray(np.atleast_2d(dense(weights)).T)
    if shift is None:
        return graph.op("Gemm", rows, columns)
    return graph.op("Gemm", rows, columns, np.atleast_1d(dense(shift)))


def first_largest(graph: Graph, value: str) -> str:
    """``numpy.argmax`` of each row, int64 (n_rows,): the first NaN, else the first of the largest.

    ``ArgMax`` alone passes over NaN, which sums of huge values become.
    """
    below = graph.op("Min", value, _LARGEST)
    return graph.argmax(graph.op("Where", graph.op("IsNaN", value), float(np.inf), below))


def above(graph: Graph, value: str, border: float) -> str:
    """1 where an (n_rows, 1) value lies above ``border``, else 0; int64 (n_rows,)."""
    return graph.cast(graph.flatten(graph.op("Greater", value, border)), "int64")


def exponential(graph: Graph, value: str) -> str:
    """e to the power of each value, within 6e-17 of itself times the power."""
    return graph.op("Pow", float(np.e), value)


def expit(graph: Graph, value: str) -> str:
    """``scipy.special.expit``; the ``Sigmoid`` of ONNX Runtime is 0 from -38 down."""
    grown = graph.op("Add", exponential(graph, graph.op("Neg", value)), 1.0)
    return graph.op("Div", 1.0, grown)


def softmax(graph: Graph, value: str, width: int) -> str:
    """The softmax of each row of (n_rows, width).

    Less the largest of the row first, unless no power of e can come near the end of float64.
    """
    if graph.farthest(value) > _NEAR:
        value = graph.op("Sub", value, largest(graph, value))
    power = exponential(graph, value)
    return graph.op("Div", power, added(graph, power, width))


def largest(graph: Graph, value: str) -> str:
    """The largest value of each row, (n_rows, 1)."""
    return graph.op("ReduceMax", value, np.array([1], dtype=np.int64), keepdims=1)


def two_shares(graph: Graph, second: str) -> str:
    """The probabilities of two classes from that of the second, (n_rows, 1)."""
    return graph.concatenate([graph.op("Sub", 1.0, second), second])


def normalized(graph: Graph, value: str, n_classes: int) -> str:
    """Each row divided by its sum; equal shares where the sum is 0."""
    total = added(graph, value, n_classes)
    none = graph.op("Equal", total, 0.0)
    shares = graph.op("Div", value, graph.op("Where", none, 1.0, total))
    return graph.op("Where", none, 1 / n_classes, shares)


def posterior(graph: Graph, joint: str, n_classes: int) -> str:
    """Probabilities from joint log likelihoods (n_rows, n_classes): less their log-sum-exp."""
    top = largest(graph, joint)
    at_top = graph.op("Equal", joint, top)
    times = added(graph, graph.cast(at_top, "double"), n_classes)
    others = graph.op("Where", at_top, float(-np.inf), joint)
    rest = added(graph, exponential(graph, graph.op("Sub", others, top)), n_classes)
    grown = graph.op("Add", graph.op("Div", rest, times), 1.0)
    logarithms = graph.op("Log", graph.concatenate([grown, times]))
    total = graph.op("Add", added(graph, logarithms, 2), top)
    return exponential(graph, graph.op("Sub", joint, total))


def added(graph: Graph, value: str, width: int) -> str:
    """The last axis added from left to right, kept with length 1."""
    return graph.op("MatMul", value, np.ones((width, 1)))


def pairwise_sum(graph: Graph, value: str, width: int) -> str:
    """The last of three axes added in numpy's order, kept with length 1."""
    if width < 8:
        return added(graph, value, width)
    if width > 128:
        half = width // 2 - width // 2 % 8
        first = pairwise_sum(graph, _part(graph, value, 0, half), half)
        return graph.op(
            "Add", first, pairwise_sum(graph, _part(graph, value, half, width), width - half)
        )
    whole = width - width % 8
    eight = graph.op(
        "Reshape",
        value if whole == width else _part(graph, value, 0, whole),
        np.array([0, 0, whole // 8, 8], dtype=np.int64),
    )
    total = graph.op("MatMul", np.ones((1, whole // 8)), eight)
    for pairs in (4, 2, 1):
        total = graph.op("Reshape", total, np.array([0, 0, pairs, 2], dtype=np.int64))
        total = graph.op("ReduceSum", total, np.array([3], dtype=np.int64), keepdims=0)
    if whole == width:
        return total
    rest = _part(graph, value, whole, width)
    return added(graph, graph.op("Concat", total, rest, axis=2), 1 + width - whole)


def _part(graph: Graph, value: str, start: int, stop: int) -> str:
    ends = (np.array([n], dtype=np.int64) for n in (start, stop, 2))
    return graph.op("Slice", value, *ends)
