"""Trees of any library as one ``TreeEnsemble`` node, in float64 or float32.

The node adds the leaves of each target in the order in which the trees were added, beginning with
0, in the precision of its input; a library's starting value is therefore a first tree with one
leaf, so that sums have the library's own order. What is done to the columns before is folded into
the thresholds where it can be (``folding.py``).

Source: ONNX, ai.onnx.ml version 5, TreeEnsemble.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from modelway.compilers.folding import Steps
from modelway.compilers.graph import ML, Graph

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

LESS_OR_EQUAL, LESS, MEMBER = 0, 1, 6
_SUM, _NO_TRANSFORM = 1, 0


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree, node by node; node 0 is the root, a node is a leaf where ``left`` is below 0.

    A row goes left where ``value <= threshold`` (or ``<``, see ``mode``), or where the value is one
    of the node's ``categories``; a missing value goes left where ``missing_left``.
    ``leaf`` has the value of a leaf, shape (n_nodes,).
    """

    feature: Ints
    threshold: Floats
    left: Ints
    right: Ints
    missing_left: npt.NDArray[np.bool_]
    leaf: Floats
    mode: int = LESS_OR_EQUAL
    categories: Mapping[int, Floats] = field(default_factory=dict)


def constant_tree(value: float) -> Tree:
    """A tree that gives ``value`` whatever comes."""
    none = np.array([-1])
    return Tree(
        none, np.zeros(1), none, none, np.zeros(1, dtype=np.bool_), np.array([value], dtype=float)
    )


def members(words: npt.ArrayLike) -> Floats:
    """The categories whose bits are set in words of 32 bits."""
    bits = np.unpackbits(np.ascontiguousarray(words, "<u4").view(np.uint8), bitorder="little")
    return np.flatnonzero(bits).astype(np.float64)


def leaf_vectors(graph: Graph, rows: str, trees: Sequence[Tree], leaves: Sequence[Floats]) -> str:
    """The leaf vectors of each row added tree after tree, double (n_rows, n_outputs).

    ``leaves`` has for each tree the vectors of its nodes, shape (n_nodes, n_outputs). A leaf of the
    operator adds to one target only, so one tree an output would walk every tree once an output.
    Instead each tree is walked once and gives the row of its leaf in a table, and a running sum
    over the trees, which keeps their order, has the answer at its end.
    """
    if leaves[0].shape[1] == 1:
        ensemble = TreeEnsemble(n_targets=1)
        for tree, values in zip(trees, leaves, strict=True):
            ensemble.add(replace(tree, leaf=values[:, 0]), 0)
        return ensemble.emit(graph, rows)
    ensemble = TreeEnsemble(n_targets=len(trees))
    table: list[Floats] = []
    filled = 0
    for target, (tree, values) in enumerate(zip(trees, leaves, strict=True)):
        reached = np.flatnonzero(tree.left < 0)
        place = np.zeros(len(values))
        place[reached] = filled + np.arange(len(reached))
        filled += len(reached)
        table.append(values[reached])
        ensemble.add(replace(tree, leaf=place), target)
    index = graph.cast(ensemble.emit(graph, rows), "int64")
    given = graph.op("Gather", np.concatenate(table).astype(np.float64), index, axis=0)
    if len(trees) > 1:
        given = graph.op("CumSum", given, np.array(1, dtype=np.int64))
    return graph.op("Gather", given, np.array(len(trees) - 1, dtype=np.int64), axis=1)


_MOST_APART = 4


class TreeEnsemble:
    """Trees under construction, each adding to one target.

    A few targets get a node each: a leaf of one that has a single target lies in the tree itself,
    and many rows take two thirds of the time. One node more costs a row alone as much as it saves.
    """

    def __init__(self, n_targets: int) -> None:
        self._n_targets = n_targets
        apart = range(n_targets) if 1 < n_targets <= _MOST_APART else ()
        self._apart = [TreeEnsemble(1) for _ in apart]
        self._roots: list[int] = []
        self._nodes: list[tuple[int, int, float, int, int, int, int, int]] = []
        self._leaves: list[tuple[int, float]] = []
        self._members: list[Floats] = []
        self._farthest = np.zeros(n_targets)  # from 0 that the sum of a target may come

    def add(self, tree: Tree, target: int) -> None:
        """Append a tree whose leaves add to ``target``."""
        if self._apart:
            self._apart[target].add(tree, 0)
            return
        self._roots.append(len(self._nodes))
        self._farthest[target] += np.abs(tree.leaf[tree.left < 0]).max()
        if tree.left[0] < 0:
            first = self._leaf(tree, 0, target)
            second = self._leaf(tree, 0, target)
            self._nodes.append((0, LESS_OR_EQUAL, 0.0, first, 1, second, 1, 0))
            return
        inner = np.flatnonzero(tree.left >= 0)
        place = {int(n): len(self._nodes) + i for i, n in enumerate(inner)}
        # Appending in node order would split nodes from their members: keep one loop for both.
        for node in inner.tolist():
            ends = []
            for child in (int(tree.left[node]), int(tree.right[node])):
                is_leaf = tree.left[child] < 0
                ends += [self._leaf(tree, child, target) if is_leaf else place[child], int(is_leaf)]
            mode, threshold = tree.mode, float(tree.threshold[node])
            members = tree.categories.get(node)
            if members is not None and len(members):
                mode = MEMBER
                self._members.append(members)
            elif members is not None:
                # The operator refuses an empty set; nothing is below minus infinity either.
                mode, threshold = LESS, -np.inf
            self._nodes.append(
                (
                    int(tree.feature[node]),
                    mode,
                    threshold,
                    *ends,
                    int(tree.missing_left[node]),
                )  # type: ignore[arg-type]  # mypy cannot count the unpacked four
            )

    def _leaf(self, tree: Tree, node: int, target: int) -> int:
        self._leaves.append((target, float(tree.leaf[node])))
        return len(self._leaves) - 1

    def emit(self, graph: Graph, rows: str, element: Literal["double", "float"] = "double") -> str:
        """The sums over ``rows`` (n_rows, n_features) of ``element`` type; (n_rows, n_targets)."""
        if self._apart:
            parts = [one.emit(graph, rows, element) for one in self._apart]
            total = graph.concatenate(parts)
            graph.note_farthest(total, max(graph.farthest(part) for part in parts))
            return total
        dtype = np.float64 if element == "double" else np.float32
        feature, mode, split, true_id, true_leaf, false_id, false_leaf, missing = (
            list(column) for column in zip(*self._nodes, strict=True)
        )
        target, weight = (list(column) for column in zip(*self._leaves, strict=True))
        if element == "double" and not self._members and not np.isnan(split).any():
            steps = Steps(graph, rows)
            rows = steps.source
            strict = np.array(mode) == LESS
            split = steps.thresholds(np.array(feature), np.array(split), strict).tolist()
        attributes: dict[str, Any] = {
            "nodes_modes": _tensor("modes", np.array(mode, dtype=np.uint8)),
            "nodes_splits": _tensor("splits", np.array(split, dtype=dtype)),
            "leaf_weights": _tensor("weights", np.array(weight, dtype=dtype)),
        }
        if self._members:
            # Sets of a node end with NaN, in the order of the nodes that test membership.
            values = np.concatenate([np.append(m, np.nan) for m in self._members])
            attributes["membership_values"] = _tensor("members", values.astype(dtype))
        total = graph.op(
            "TreeEnsemble",
            rows,
            domain=ML,
            n_targets=self._n_targets,
            aggregate_function=_SUM,
            post_transform=_NO_TRANSFORM,
            tree_roots=self._roots,
            nodes_featureids=feature,
            nodes_truenodeids=true_id,
            nodes_trueleafs=true_leaf,
            nodes_falsenodeids=false_id,
            nodes_falseleafs=false_leaf,
            nodes_missing_value_tracks_true=missing,
            leaf_targetids=target,
            **attributes,
        )
        graph.note_farthest(total, float(self._farthest.max()))
        return total


def _tensor(name: str, values: npt.NDArray[Any]) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(values, name)
