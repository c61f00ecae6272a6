"""From the tree nodes of a finished graph to tables of bits (``bundles/leaf_tables.py``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modelway.bundles.leaf_tables import KEY, MOST_LEAVES, LeafTables, packed

Floats = npt.NDArray[np.float64]

_LESS_OR_EQUAL, _LESS = 0, 1
_FEWEST_NODES = 100
"""Fewer nodes are walked through sooner than tables are looked up."""

_MOST_BYTES = 1 << 20
"""Larger tables would not stay in a core's own cache."""


@dataclass(frozen=True, slots=True)
class _Node:
    """An inner node: what is below its threshold goes to the leaves at its ``left``."""

    column: int
    threshold: float
    missing_left: bool
    left: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Tree:
    target: int
    nodes: Sequence[_Node]
    leaves: Sequence[float]


class _Unfit(Exception):
    """The trees have no such tables."""


def add_leaf_tables(model: Any) -> None:
    """Put the tables of a graph's trees into its metadata, where it has such trees."""
    try:
        tables = _tables(model)
    except _Unfit:
        return
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, packed(tables)


def _tables(model: Any) -> LeafTables:
    from onnx import helper

    graph = model.graph
    if [one.name for one in graph.input] != ["X"]:
        raise _Unfit
    ensembles = [
        one for one in graph.node if one.op_type == "TreeEnsemble" and list(one.input) == ["X"]
    ]
    width = graph.input[0].type.tensor_type.shape.dim[1].dim_value
    sums: list[tuple[str, int]] = []
    trees: list[_Tree] = []
    for ensemble in ensembles:
        said = {one.name: helper.get_attribute_value(one) for one in ensemble.attribute}
        first = sum(n_targets for _, n_targets in sums)
        trees += _trees(said, first)
        sums.append((ensemble.output[0], said["n_targets"]))
    n_nodes = sum(len(tree.nodes) for tree in trees)
    if n_nodes < _FEWEST_NODES or not width:
        raise _Unfit
    n_targets = sum(n_targets for _, n_targets in sums)
    by_target = [[tree for tree in trees if tree.target == k] for k in range(n_targets)]
    n_trees = max(map(len, by_target))
    if 2 * width * n_trees * n_targets > _MOST_BYTES:
        raise _Unfit
    placed = [
        (t * n_targets + k, tree)
        for k, its_trees in enumerate(by_target)
        for t, tree in enumerate(its_trees)
    ]
    seen: list[list[float]] = [[] for _ in range(width)]
    for tree in trees:
        for node in tree.nodes:
            seen[node.column].append(node.threshold)
    thresholds = [np.unique(one) for one in seen]
    states = sum(len(one) + 2 for one in thresholds)
    rest = _rest(model, ensembles)
    n_bytes = (states + MOST_LEAVES * 8) * n_trees * n_targets + len(rest)
    if n_bytes > _MOST_BYTES:
        raise _Unfit
    leaves = np.zeros((n_trees * n_targets, MOST_LEAVES))
    for place, tree in placed:
        leaves[place, : len(tree.leaves)] = tree.leaves
    return LeafTables(
        thresholds=[one.astype("<f8").tobytes() for one in thresholds],
        states=_states(thresholds, placed, n_trees * n_targets).tobytes(),
        leaves=leaves.astype("<f8").tobytes(),
        sums=sums,
        rest=rest,
    )


def _trees(said: dict[str, Any], first_target: int) -> Iterator[_Tree]:
    """The trees of one node of the graph. Raises _Unfit."""
    from onnx import numpy_helper

    splits = numpy_helper.to_array(said["nodes_splits"])
    weights = numpy_helper.to_array(said["leaf_weights"])
    modes = numpy_helper.to_array(said["nodes_modes"])
    if splits.dtype != np.float64 or not np.isin(modes, (_LESS_OR_EQUAL, _LESS)).all():
        raise _Unfit
    if not np.isfinite(splits).all():
        raise _Unfit
    below = np.where(modes == _LESS, splits, np.nextafter(splits, np.inf))

    for root in said["tree_roots"]:
        yield _tree(said, below, weights, root, first_target)


def _tree(
    said: dict[str, Any], below: Floats, weights: Floats, root: int, first_target: int
) -> _Tree:
    nodes: list[_Node] = []
    leaves: list[float] = []
    targets: set[int] = set()

    def walked(place: int, is_leaf: int, depth: int) -> list[int]:
        """The leaves below a place, from left to right."""
        if is_leaf:
            targets.add(said["leaf_targetids"][place])
            leaves.append(float(weights[place]))
            return [len(leaves) - 1]
        if depth == MOST_LEAVES:
            raise _Unfit
        true, false = said["nodes_truenodeids"][place], said["nodes_falsenodeids"][place]
        left = walked(true, said["nodes_trueleafs"][place], depth + 1)
        right = walked(false, said["nodes_falseleafs"][place], depth + 1)
        missing_left = bool(said["nodes_missing_value_tracks_true"][place])
        column = said["nodes_featureids"][place]
        nodes.append(_Node(column, float(below[place]), missing_left, left))
        return left + right

    walked(root, 0, 0)
    if len(leaves) > MOST_LEAVES:
        raise _Unfit
    (target,) = targets
    return _Tree(first_target + target, nodes, leaves)


def _states(
    thresholds: Sequence[Floats],
    placed: Sequence[tuple[int, _Tree]],
    width: int,
) -> npt.NDArray[np.uint8]:
    """Which leaves each state of each column leaves over, uint8 (n_states, width)."""
    parts = [np.full((len(one) + 2, width), 0xFF, dtype=np.uint8) for one in thresholds]
    for place, tree in placed:
        for node in tree.nodes:
            kept = 0xFF & ~sum(1 << leaf for leaf in node.left)
            reached = int(np.searchsorted(thresholds[node.column], node.threshold)) + 1
            parts[node.column][reached:-1, place] &= kept
            if not node.missing_left:
                parts[node.column][-1, place] &= kept
    return np.concatenate(parts)


def _rest(model: Any, ensembles: Sequence[Any]) -> bytes:
    """The graph without its trees, whose sums come in."""
    import onnx

    rest = onnx.ModelProto()
    rest.CopyFrom(model)
    graph = rest.graph
    names = [one.output[0] for one in ensembles]
    kept = [one for one in graph.node if one.output[0] not in names]
    used = {name for one in kept for name in one.input} | {one.name for one in graph.output}
    inputs = [one for one in graph.input if one.name in used]
    inputs += [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, [None, None])
        for name in names
    ]
    constants = [one for one in graph.initializer if one.name in used]
    for field, values in (
        (graph.node, kept),
        (graph.input, inputs),
        (graph.initializer, constants),
    ):
        copies = [type(one).FromString(one.SerializeToString()) for one in values]
        del field[:]
        field.extend(copies)
    serialized: bytes = rest.SerializeToString(deterministic=True)
    return serialized
