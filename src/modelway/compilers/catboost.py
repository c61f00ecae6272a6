"""CatBoost: inputs rounded to float32, float64 sums of leaves, then one scale and a bias.

A value goes right where it is above the border. A missing value counts as below or above every
border, as the feature says. Leaves are asked of the library; all else is in its JSON form.

Source: CatBoost, catboost/libs/model (evaluation), model_export/json_model_helpers.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelway.bundles.manifest import Task
from modelway.bundles.ports import Compiled, Description
from modelway.compilers.arithmetic import expit, exponential, softmax
from modelway.compilers.compilation import Classified, Compilation, Converters
from modelway.compilers.features import Features, graph_inputs
from modelway.compilers.graph import Graph
from modelway.compilers.jumps import Floats, by_feature, column_jumps, merged
from modelway.compilers.tree_ensemble import Tree, leaf_vectors
from modelway.domain.errors import NotCompilable
from modelway.domain.signature import Signature
from modelway.domain.tables import Table


@dataclass(frozen=True)
class _Model:
    """``leaves`` are vectors at every node of each tree, (n_nodes, n_targets); ``columns`` are the
    positions of the number features among all columns."""

    loss: str
    scale: float
    bias: Floats
    columns: Sequence[int]
    trees: Sequence[Tree]
    leaves: Sequence[Floats]


def read_model(model: Any) -> _Model:
    """A model's trees over its number features.

    Raises:
        NotCompilable: a tree asks for a category, a text or an embedding, or there is no tree.
    """
    said = _json(model)
    trees_key = "oblivious_trees" if "oblivious_trees" in said else "trees"
    if not said.get(trees_key):
        raise NotCompilable("a CatBoost model without trees")
    scale, bias = said["scale_and_bias"]
    floats = said["features_info"].get("float_features", [])
    missing_right = {f["feature_index"]: f["nan_value_treatment"] == "AsTrue" for f in floats}
    read = _oblivious if trees_key == "oblivious_trees" else _unequal
    pairs = [read(tree, missing_right, len(np.atleast_1d(bias))) for tree in said[trees_key]]
    return _Model(
        _loss(said),
        float(scale),
        np.atleast_1d(np.asarray(bias, dtype=np.float64)),
        [f["flat_feature_index"] for f in sorted(floats, key=lambda f: int(f["feature_index"]))],
        [tree for tree, _ in pairs],
        [leaves for _, leaves in pairs],
    )


def _json(model: Any) -> dict[str, Any]:
    from catboost import CatBoostError

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.json")
        try:
            model.save_model(str(path), format="json")
        except CatBoostError as error:
            raise NotCompilable(f"CatBoost cannot say what is in the model: {error}") from error
        said: dict[str, Any] = json.loads(path.read_text())
    return said


def _loss(said: dict[str, Any]) -> str:
    parameters = said["model_info"].get("params", {})
    parameters = json.loads(parameters) if isinstance(parameters, str) else parameters
    return str(parameters.get("loss_function", {}).get("type", ""))


def _oblivious(
    tree: dict[str, Any], missing_right: dict[int, bool], n_targets: int
) -> tuple[Tree, Floats]:
    """A tree with one split a level; bit ``i`` of a leaf's number is the answer to split ``i``."""
    splits = [_split(split) for split in reversed(tree.get("splits") or [])]
    depth = len(splits)
    n_inner = 2**depth - 1
    level = np.repeat(np.arange(depth), 2 ** np.arange(depth))
    no_child = np.full(n_inner + 1, -1)
    first = 2 * np.arange(n_inner) + 1
    values = np.asarray(tree["leaf_values"], dtype=np.float64).reshape(n_inner + 1, n_targets)
    feature = np.array([f for f, _ in splits], dtype=np.int64)[level]
    border = np.array([b for _, b in splits], dtype=np.float64)[level]
    return Tree(
        feature=np.append(feature, no_child),
        threshold=np.append(border, np.zeros(n_inner + 1)),
        left=np.append(first, no_child),
        right=np.append(first + 1, no_child),
        missing_left=np.append([not missing_right[int(f)] for f in feature], no_child > 0),
        leaf=np.zeros(2 * n_inner + 1),
    ), np.concatenate([np.zeros((n_inner, n_targets)), values])


def _unequal(
    root: dict[str, Any], missing_right: dict[int, bool], n_targets: int
) -> tuple[Tree, Floats]:
    """A tree that grew by depth or by its best leaf."""
    nodes = [root]
    rows: list[tuple[int, float, int, int, bool]] = []
    for node in nodes:
        # The list grows while it is walked: children come behind every node known so far.
        if "split" in node:
            feature, border = _split(node["split"])
            rows.append((feature, border, len(nodes), len(nodes) + 1, not missing_right[feature]))
            nodes += [node["left"], node["right"]]
        else:
            rows.append((-1, 0.0, -1, -1, False))
    leaves = np.array(
        [np.broadcast_to(node.get("value", 0.0), n_targets) for node in nodes], dtype=np.float64
    )
    feature_, border_, left, right, missing = (np.array(c) for c in zip(*rows, strict=True))
    return Tree(feature_, border_, left, right, missing, np.zeros(len(rows))), leaves


def _split(split: dict[str, Any]) -> tuple[int, float]:
    if split["split_type"] != "FloatFeature":
        raise NotCompilable(f"a CatBoost split by {split['split_type']}")
    return int(split["float_feature_index"]), float(np.float32(split["border"]))


def raw_scores(g: Graph, model: _Model, features: Features) -> str:
    """What ``prediction_type="RawFormulaVal"`` gives, double (n_rows, n_targets)."""
    rows = g.float32_rounded(features.select(g, model.columns).matrix(g))
    value = leaf_vectors(g, rows, model.trees, model.leaves)
    if model.scale != 1.0:
        value = g.op("Mul", value, model.scale)
    return g.op("Add", value, model.bias)


def catboost_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``CatBoostClassifier``: the label comes from the raw scores, not the probabilities."""
    g = c.graph
    model = read_model(estimator)
    raw = raw_scores(g, model, features)
    if model.loss == "MultiClass":
        return Classified(g.argmax(raw), softmax(g, raw, len(model.bias)))
    if model.loss == "MultiClassOneVsAll":
        return Classified(g.argmax(raw), expit(g, raw))
    if model.loss not in ("Logloss", "CrossEntropy") or len(estimator.classes_) != 2:
        raise NotCompilable(f"the loss {model.loss!r} of a CatBoost classifier")
    share = float(estimator.get_probability_threshold() or 0.5)
    border = float(-np.log(1 / share - 1))
    index = g.cast(g.flatten(g.op("Greater", raw, border)), "int64")
    both = g.concatenate([expit(g, g.op("Neg", raw)), expit(g, raw)])
    return Classified(index, both)


def catboost_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``CatBoostRegressor``, ``CatBoost``: the raw score, and its exponential of some losses."""
    model = read_model(estimator)
    raw = raw_scores(c.graph, model, features)
    kind = type(estimator).__name__
    if kind != "CatBoostRegressor":
        return raw
    said = estimator._get_default_prediction_type()
    if said == "Exponent":
        return exponential(c.graph, raw)
    if said == "RMSEWithUncertainty":
        g = c.graph
        spread = exponential(g, g.op("Mul", g.columns(raw, [1]), 2.0))
        return g.concatenate([g.columns(raw, [0]), spread])
    if said != "RawFormulaVal":
        raise NotCompilable(f"CatBoost predictions of type {said}")
    return raw


def splits(model: Any) -> dict[int, Floats]:
    """The borders of a model, by column."""
    read = read_model(model)
    parts = []
    for tree in read.trees:
        # Values that are missing have a border at the very end of all numbers.
        inner = (tree.left >= 0) & (np.abs(tree.threshold) < np.finfo(np.float32).max)
        columns = np.append(read.columns, -1)[tree.feature]
        parts.append(by_feature(columns, tree.threshold, inner))
    return merged(parts)


class CatboostCompiler:
    """Compiles CatBoost's own models: classes and probabilities, or what ``predict`` answers."""

    def compile(self, model: object, signature: Signature, description: Description) -> Compiled:
        """The model as ONNX.

        Raises:
            NotCompilable: it splits by categories or text, or its loss has no exact form.
        """
        graph = Graph()
        features, layout = graph_inputs(graph, signature)
        compilation = Compilation(graph, Converters({}, {}, {}, {}))
        if description.task is Task.CLASSIFICATION and description.classes is not None:
            given = catboost_classify(compilation, model, features)
            graph.output("class_index", given.index, "int64", ("n_rows",))
            if given.probabilities is not None:
                shape = ("n_rows", len(description.classes))
                graph.output("probabilities", given.probabilities, "double", shape)
        elif description.task is Task.FUNCTION:
            raise NotCompilable("several labels at once")
        else:
            prediction = catboost_regress(compilation, model, features)
            graph.output("prediction", prediction, "double", ("n_rows", "n_outputs"))
        return Compiled(graph.serialized(), layout)

    def thresholds(self, model: object, signature: Signature, rows: Table) -> Sequence[Floats]:
        """For each column, the borders of the trees."""
        return column_jumps(splits(model), signature, single=True)


CLASSIFIERS = {"catboost.core.CatBoostClassifier": catboost_classify}
REGRESSORS = {"catboost.core.CatBoostRegressor": catboost_regress}
