"""The graph under construction: shared constants, nothing unused, the same bytes every time."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort

from modelway.compilers.graph import Graph


def shifted(*, with_unused: bool = False) -> bytes:
    graph = Graph()
    rows = graph.input("X", "double", 2)
    if with_unused:
        graph.op("Mul", rows, 3.0)
    once = graph.op("Add", rows, np.array([1.0, 2.0]))
    twice = graph.op("Add", once, np.array([1.0, 2.0]))
    graph.output("shifted", twice, "double", ("n_rows", 2))
    return graph.serialized()


def test_operations_run_in_the_order_given() -> None:
    session = ort.InferenceSession(shifted())
    np.testing.assert_array_equal(session.run(None, {"X": np.zeros((1, 2))})[0], [[2.0, 4.0]])


def test_equal_constants_are_one() -> None:
    assert len(onnx.load_from_string(shifted()).graph.initializer) == 1


def test_what_no_output_needs_is_left_out() -> None:
    kinds = [n.op_type for n in onnx.load_from_string(shifted(with_unused=True)).graph.node]
    assert kinds == ["Add", "Add", "Identity"]


def test_the_same_calls_give_the_same_bytes() -> None:
    assert shifted() == shifted()


def test_constants_differ_by_type_and_shape() -> None:
    graph = Graph()
    names = {
        graph.constant(1.0),
        graph.constant(1),
        graph.constant(np.array([1.0])),
        graph.constant(np.array(["a", "b"])),
        graph.constant(np.array([["a", "b"]])),
    }
    assert len(names) == 5


def test_float32_rounding_is_that_of_numpy() -> None:
    graph = Graph()
    graph.output("y", graph.float32_rounded(graph.input("X", "double", 1)), "double", ("n", 1))
    rows = np.random.default_rng(0).normal(size=(1000, 1)) * 1e5
    answer = ort.InferenceSession(graph.serialized()).run(None, {"X": rows})[0]
    np.testing.assert_array_equal(answer, rows.astype(np.float32).astype(np.float64))
