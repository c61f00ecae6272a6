"""Steps before a tree in its thresholds: the same way for every float64 number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from modelway.compilers.folding import Steps
from modelway.compilers.graph import Graph

Floats = npt.NDArray[np.float64]

MEAN = np.array([0.0, 5.8, -1e300, 3e-310])
SCALE = np.array([1.0, 0.43, 7.0, 1e-5])
EXTREMES = np.array([0.0, -0.0, 5e-324, 1e-310, 3.4e38, 3.5e38, 1.7e308, np.inf])


def neighbours(values: Floats) -> Floats:
    """The values and a float to either side."""
    with np.errstate(over="ignore"):
        sides = [values, np.nextafter(values, -np.inf), np.nextafter(values, np.inf)]
    return np.concatenate(sides)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("kinds", [("Sub", "Div"), ("Mul", "Add"), ("Div",), ()])
def test_a_row_goes_the_way_it_went(kinds: tuple[str, ...], strict: bool) -> None:
    graph = Graph()
    rows = graph.input("X", "double", 4)
    for kind in kinds:
        rows = graph.columnwise(kind, rows, MEAN if kind in ("Sub", "Add") else SCALE)
    rows = graph.float32_rounded(rows)
    steps = Steps(graph, rows)
    assert steps.source == "X"

    def moved(values: Floats, place: int) -> Floats:
        operations = {"Sub": np.subtract, "Add": np.add, "Mul": np.multiply, "Div": np.divide}
        with np.errstate(over="ignore"):
            for kind in kinds:
                constants = MEAN if kind in ("Sub", "Add") else SCALE
                values = operations[kind](values, constants[place])
            return values.astype(np.float32).astype(np.float64)

    random = np.random.default_rng(3)
    wide = random.normal(size=200) * 10.0 ** random.integers(-320, 308, 200)
    for place in range(4):
        values = np.concatenate([EXTREMES, -EXTREMES, wide, random.normal(size=200)])
        seen = moved(values, place)
        # Thresholds that values lie on, and others.
        splits = np.concatenate([seen, neighbours(random.normal(size=50))])
        features = np.full(len(splits), place)
        found = steps.thresholds(features, splits, np.full(len(splits), strict))
        asked = neighbours(np.concatenate([values, found]))
        after = moved(asked, place)
        for split, brought in zip(splits, found, strict=True):
            if strict:
                np.testing.assert_array_equal(after < split, asked < brought)
            else:
                np.testing.assert_array_equal(after <= split, asked <= brought)


@pytest.mark.parametrize("constants", [np.array([1.0, -1.0]), np.array([1.0, 0.0]), [1.0, np.inf]])
def test_what_does_not_keep_the_order_stays_in_the_graph(constants: list[float]) -> None:
    graph = Graph()
    scaled = graph.columnwise("Mul", graph.input("X", "double", 2), np.array(constants))
    steps = Steps(graph, graph.float32_rounded(scaled))
    assert steps.source == scaled


def test_without_steps_thresholds_stay_as_they_are() -> None:
    graph = Graph()
    steps = Steps(graph, graph.op("Abs", graph.input("X", "double", 2)))
    splits = np.array([0.25, -0.0])
    found = steps.thresholds(np.array([0, 1]), splits, np.zeros(2, dtype=np.bool_))
    assert found is splits
