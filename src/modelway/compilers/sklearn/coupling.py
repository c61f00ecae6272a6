"""Class probabilities out of probabilities of pairs of classes, as libsvm couples them.

libsvm improves the probabilities class by class, sweep after sweep, and stops a row once it is near
enough: not at the optimum, so the sweeps are counted as libsvm counts them. A row at rest stays as
it is while others move.

Source: Wu, Lin and Weng, Probability Estimates for Multi-class Classification by Pairwise Coupling
(2004), algorithm 2; libsvm, ``multiclass_probability``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.arithmetic import added, largest
from modelway.compilers.graph import Graph

_NEAR = 0.005
_MOST_SWEEPS = 100
_INNER = "inner_"


def coupled(graph: Graph, pairs: str, n_classes: int) -> str:
    """Probabilities (n_rows, n_classes) from those of pairs, (n_rows, n_pairs).

    Column k of ``pairs`` says how probable class i is beside class j, for the pairs i < j in order.
    """
    start = graph.op("Shape", pairs, start=0, end=1)
    shape = graph.op("Concat", start, np.array([n_classes], dtype=np.int64), axis=0)
    equal = graph.op("Expand", 1.0 / n_classes, shape)
    return graph.op(
        "Loop",
        max(_MOST_SWEEPS, n_classes),
        np.array(True),
        equal,
        _quadratic_form(graph, pairs, n_classes),
        outputs=2,
        body=_sweep(n_classes),
    )


def _quadratic_form(graph: Graph, pairs: str, n: int) -> str:
    """The matrix Q of each row, row after row in (n_rows, n * n)."""
    both = graph.concatenate([pairs, graph.op("Sub", 1.0, pairs)])
    place = np.zeros((n, n), dtype=np.int64)
    upper = np.triu_indices(n, 1)
    n_pairs = len(upper[0])
    place[upper] = np.arange(n_pairs)
    place.T[upper] = n_pairs + np.arange(n_pairs)
    beside, against = graph.columns(both, place.ravel()), graph.columns(both, place.T.ravel())
    squares = graph.op("Mul", against, against)
    others = np.kron(np.eye(n), np.ones((n, 1))) * (1 - np.eye(n)).reshape(-1, 1)
    on_diagonal = graph.op("MatMul", squares, others)
    crossed = graph.op("Mul", graph.op("Neg", against), beside)
    whole = np.arange(n * n).reshape(n, n)
    np.fill_diagonal(whole, n * n + np.arange(n))
    return graph.columns(graph.concatenate([crossed, on_diagonal]), whole.ravel())


def _sweep(n: int) -> Any:
    """One sweep over the classes, for the rows that are not yet near enough."""
    g = Graph()
    p, q = g.input("p", "double", n), g.input("q", "double", n * n)
    every = np.tile(np.arange(n), n)
    blocks = np.kron(np.eye(n), np.ones((n, 1)))
    qp = g.op("MatMul", g.op("Mul", q, g.columns(p, every)), blocks)
    pqp = added(g, g.op("Mul", p, qp), n)
    error = largest(g, g.op("Abs", g.op("Sub", qp, pqp)))
    moving = g.op("Not", g.op("Less", error, _NEAR / n))
    moved = p
    for t in range(n):
        row = g.columns(q, np.arange(t * n, (t + 1) * n))
        own, qp_t = g.columns(row, [t]), g.columns(qp, [t])
        step = g.op("Div", g.op("Sub", pqp, qp_t), own)
        scale = g.op("Add", step, 1.0)
        grown = g.op("Add", g.op("Mul", step, own), g.op("Mul", qp_t, 2.0))
        pqp = g.op("Add", pqp, g.op("Mul", step, grown))
        pqp = g.op("Div", g.op("Div", pqp, scale), scale)
        qp = g.op("Div", g.op("Add", qp, g.op("Mul", step, row)), scale)
        alone = np.eye(n)[t].reshape(1, n)
        moved = g.op("Div", g.op("Add", moved, g.op("Mul", step, alone)), scale)
    any_moving = g.op("ReduceMax", g.cast(moving, "int64"), keepdims=0)
    g.output("goes_on", g.cast(any_moving, "bool"), "bool", ())
    g.output("p_next", g.op("Where", moving, moved, p), "double", ("n_rows", n))
    g.output("q_next", g.op("Identity", q), "double", ("n_rows", n * n))
    return _as_body(g)


def _as_body(inner: Graph) -> Any:
    """The graph as the body of a ``Loop``, with names that none outside has."""
    from onnx import TensorProto, helper, load_model_from_string

    body = load_model_from_string(inner.serialized()).graph
    for node in body.node:
        node.input[:] = [_INNER + name for name in node.input]
        node.output[:] = [_INNER + name for name in node.output]
    for named in (*body.initializer, *body.input, *body.output):
        named.name = _INNER + named.name
    counted = [
        helper.make_tensor_value_info(f"{_INNER}sweep", TensorProto.INT64, []),
        helper.make_tensor_value_info(f"{_INNER}going", TensorProto.BOOL, []),
    ]
    given = [*counted, *body.input]
    del body.input[:]
    body.input.extend(given)
    return body
