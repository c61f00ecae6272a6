"""scikit-learn's heap of the lowest values, pushed to value by value, all rows at once.

The largest value lies at the root and is the one that a lower value replaces; which of several
equal ones that is, only the heap knows.

Source: scikit-learn, utils/_heap.pyx.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.graph import Graph

_INSIDE = "heap."


def pushed_in_order(g: Graph, values: str, names: str, size: int, times: str) -> str:
    """The names of what is left in a heap of ``size`` after ``times`` pushes, (n_rows, size).

    ``values`` double and ``names`` int64, (n_rows, n_values), are pushed from left to right.
    ``times`` is an int64 without axes; with 0 nothing is pushed, and the names mean nothing.
    """
    nothing = g.op("Mul", g.cast(g.columns(names, [0]), "double"), 0.0)
    empty = g.op("Add", nothing, np.full((1, size), np.inf))
    unnamed = g.cast(g.op("Add", nothing, np.zeros((1, size))), "int64")
    body = _push(size)
    last = g.op("Loop", times, "", empty, unnamed, values, names, outputs=4, body=body)
    return f"{last}_1"


def _push(size: int) -> Any:
    """The body of the loop: one column of values goes into the heaps of all rows."""
    g = Graph()
    values, names = g.input("values", "double", size), g.input("names", "int64", size)
    coming, called = g.input("coming", "double", 1), g.input("called", "int64", 1)
    step = g.op("Reshape", "step", np.array([1], dtype=np.int64))
    value = g.op("Gather", coming, step, axis=1)
    name = g.op("Gather", called, step, axis=1)

    depth = int(np.floor(np.log2(size)))
    missing = np.zeros((1, 2 ** (depth + 1) - 1 - size))
    if missing.size:
        nothing = g.op("Mul", g.cast(name, "double"), 0.0)
        heaped = g.concatenate([values, g.op("Add", nothing, missing - np.inf)])
        labels = g.concatenate([names, g.cast(g.op("Add", nothing, missing), "int64")])
    else:
        heaped, labels = values, names
    hole = g.op("Mul", name, 0)
    for _ in range(depth):
        left = g.op("Add", g.op("Mul", hole, 2), 1)
        right = g.op("Add", left, 1)
        of_left = g.op("GatherElements", heaped, left, axis=1)
        of_right = g.op("GatherElements", heaped, right, axis=1)
        is_left = g.op("GreaterOrEqual", of_left, of_right)
        child = g.op("Where", is_left, left, right)
        larger = g.op("Where", is_left, of_left, of_right)
        sinks = g.op("Less", value, larger)
        # Where the value stays, the hole keeps what it has until the value fills it.
        up = g.op("Where", sinks, larger, g.op("GatherElements", heaped, hole, axis=1))
        of_child = g.op("GatherElements", labels, child, axis=1)
        label_up = g.op("Where", sinks, of_child, g.op("GatherElements", labels, hole, axis=1))
        heaped = g.op("ScatterElements", heaped, hole, up, axis=1)
        labels = g.op("ScatterElements", labels, hole, label_up, axis=1)
        hole = g.op("Where", sinks, child, hole)
    heaped = g.op("ScatterElements", heaped, hole, value, axis=1)
    labels = g.op("ScatterElements", labels, hole, name, axis=1)
    enters = g.op("Less", value, g.columns(values, [0]))
    g.output("values_", g.op("Where", enters, g.columns(heaped, range(size)), values), "double", ())
    g.output("names_", g.op("Where", enters, g.columns(labels, range(size)), names), "int64", ())
    g.output("coming_", coming, "double", ())
    g.output("called_", called, "int64", ())
    return _as_loop(g)


def _as_loop(g: Graph) -> Any:
    """A graph as the body of a loop: with its step and condition, under names of its own."""
    import onnx
    from onnx import TensorProto, compose, helper

    graph = onnx.load_from_string(g.serialized()).graph
    for port in (*graph.input, *graph.output):
        port.type.tensor_type.ClearField("shape")
    step = helper.make_tensor_value_info("step", TensorProto.INT64, [])
    more = helper.make_tensor_value_info("more", TensorProto.BOOL, [])
    again = helper.make_tensor_value_info("again", TensorProto.BOOL, [])
    body = helper.make_graph(
        [helper.make_node("Identity", ["more"], ["again"]), *graph.node],
        "push",
        [step, more, *graph.input],
        [again, *graph.output],
        list(graph.initializer),
    )
    return compose.add_prefix_graph(body, _INSIDE)
