"""Leaf tables give the bits of the tree nodes that they stand for, whatever the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.bundles.leaf_tables import KEY, packed, unpacked
from modelway.compilers.graph import Graph
from modelway.compilers.tree_ensemble import LESS, LESS_OR_EQUAL, Tree, TreeEnsemble
from modelway.domain.errors import LoadFailed
from modelway.runtimes.leaf_tables import TabledSession
from modelway.runtimes.onnx_session import quickest, session_of

WIDTH = 4
SIZES = (8, 9, 64, 128, 129, 130, 257)


@dataclass(frozen=True)
class Ensemble:
    """What trees there are: each of the targets has as many of them, and some has more."""

    seed: int
    n_targets: int
    n_trees: int
    depth: int
    mode: int


def random_tree(rng: np.random.Generator, depth: int, mode: int) -> Tree:
    """A tree of at most this depth, over few thresholds, so that trees share them."""
    feature: list[int] = []
    threshold: list[float] = []
    left: list[int] = []
    right: list[int] = []
    missing: list[bool] = []
    leaf: list[float] = []

    def node(depth: int) -> int:
        place = len(feature)
        feature.append(int(rng.integers(WIDTH)))
        threshold.append(float(rng.integers(-3, 4)) / 4)
        missing.append(bool(rng.integers(2)))
        leaf.append(float(rng.choice([0.0, -0.0, rng.normal(), 1e-300, 1e15])))
        left.append(-1)
        right.append(-1)
        if depth and (depth == 3 or rng.integers(4)):
            left[place] = node(depth - 1)
            right[place] = node(depth - 1)
        return place

    node(depth)
    return Tree(
        feature=np.array(feature),
        threshold=np.array(threshold),
        left=np.array(left),
        right=np.array(right),
        missing_left=np.array(missing),
        leaf=np.array(leaf),
        mode=mode,
    )


def graph_of(made: Ensemble, width: int = WIDTH) -> bytes:
    rng = np.random.default_rng(made.seed)
    graph = Graph()
    rows = graph.input("X", "double", width)
    ensemble = TreeEnsemble(made.n_targets)
    for k in range(made.n_targets):
        for _ in range(made.n_trees + (k == 1)):
            ensemble.add(random_tree(rng, made.depth, made.mode), k)
    sums = ensemble.emit(graph, rows)
    graph.output("sums", sums, "double", ("n_rows", made.n_targets))
    graph.output("twice", graph.op("Add", sums, sums), "double", ("n_rows", made.n_targets))
    return graph.serialized()


def rows_of(seed: int, n_rows: int) -> npt.NDArray[np.float64]:
    """Rows of thresholds, their neighbours, and what else a float64 may be."""
    rng = np.random.default_rng(seed)
    at = np.arange(-3, 4) / 4
    values = np.concatenate(
        [at, np.nextafter(at, np.inf), np.nextafter(at, -np.inf), rng.normal(size=7)]
    )
    special = [np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -5e-324, 1e308]
    return rng.choice(np.concatenate([values, special]), size=(n_rows, WIDTH))


ensembles = st.builds(
    Ensemble,
    seed=st.integers(0, 2**32 - 1),
    n_targets=st.sampled_from([1, 2, 3, 5]),
    n_trees=st.integers(100, 130),
    depth=st.sampled_from([2, 3]),
    mode=st.sampled_from([LESS_OR_EQUAL, LESS]),
)


@settings(deadline=None, max_examples=40)
@given(ensembles, st.integers(0, 2**32 - 1))
def test_tables_have_the_bits_of_the_nodes(made: Ensemble, seed: int) -> None:
    session = session_of(graph_of(made))
    tabled = quickest(session)
    assert isinstance(tabled, TabledSession)
    for n_rows in SIZES:
        rows = rows_of(seed, n_rows)
        expected = session.run(["sums", "twice"], {"X": rows})
        found = tabled.run(["sums", "twice"], {"X": rows}, None)
        for one, other in zip(expected, found, strict=True):
            assert one.tobytes() == other.tobytes(), made
    assert tabled.sums(rows).shape == (made.n_targets, SIZES[-1])


def test_a_row_has_the_same_bits_in_any_company() -> None:
    tabled = quickest(session_of(graph_of(Ensemble(1, 3, 50, 3, LESS_OR_EQUAL))))
    rows = rows_of(2, 300)
    whole = tabled.run(["sums"], {"X": rows}, None)[0]
    for start, end in ((0, 1), (0, 7), (5, 13), (17, 160), (1, 300)):
        (part,) = tabled.run(["sums"], {"X": rows[start:end]}, None)
        assert part.tobytes() == whole[start:end].tobytes()


@pytest.mark.parametrize(
    "made",
    [Ensemble(0, 1, 5, 3, LESS), Ensemble(0, 1, 60, 5, LESS)],
    ids=["few nodes", "many leaves"],
)
def test_what_gains_nothing_or_does_not_fit_has_no_tables(made: Ensemble) -> None:
    model = onnx.load_from_string(graph_of(made))
    assert not model.metadata_props
    assert not isinstance(quickest(session_of(model.SerializeToString())), TabledSession)


def test_what_stands_behind_the_trees_may_need_the_rows_too() -> None:
    rng = np.random.default_rng(0)
    graph = Graph()
    rows = graph.input("X", "double", WIDTH)
    ensemble = TreeEnsemble(1)
    for _ in range(60):
        ensemble.add(random_tree(rng, 3, LESS), 0)
    total = graph.op("Add", ensemble.emit(graph, rows), graph.sum_rows(rows))
    graph.output("total", total, "double", ("n_rows", 1))
    session = session_of(graph.serialized())
    given_rows = rows_of(3, 40)
    expected = session.run(["total"], {"X": given_rows})[0]
    assert quickest(session).run(["total"], {"X": given_rows}, None)[0].tobytes() == (
        expected.tobytes()
    )


def test_the_same_trees_have_the_same_tables() -> None:
    made = Ensemble(3, 2, 50, 3, LESS)
    assert graph_of(made) == graph_of(made)


def test_damaged_tables_are_refused() -> None:
    model = onnx.load_from_string(graph_of(Ensemble(0, 1, 50, 3, LESS)))
    (entry,) = model.metadata_props
    tables = unpacked(entry.value)
    assert packed(tables) == entry.value
    assert entry.key == KEY
    for damaged in ("no base64 at all", entry.value[: len(entry.value) // 8 * 4]):
        entry.value = damaged
        with pytest.raises(LoadFailed, match="leaf tables"):
            quickest(session_of(model.SerializeToString()))
