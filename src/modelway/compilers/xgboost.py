"""XGBoost: float32 throughout, from the rounding of the input to the sum of the leaves.

A value goes left where it is below the threshold, both float32; a missing one where the node says.
The starting margin is asked of the library itself, with a copy of the model whose leaves are all 0:
how ``base_score`` becomes a margin depends on the version and the objective.

Source: XGBoost, "Introduction to Model IO" (the JSON model), src/predictor, src/objective.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from modelway.bundles.manifest import Task
from modelway.bundles.ports import Compiled, Description
from modelway.compilers.arithmetic import exponential
from modelway.compilers.categories import categories_of, coded
from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features, graph_inputs
from modelway.compilers.graph import Graph
from modelway.compilers.jumps import Floats, by_feature, column_jumps, merged
from modelway.compilers.tree_ensemble import LESS, Tree, TreeEnsemble, constant_tree
from modelway.domain.errors import NotCompilable
from modelway.domain.signature import Signature
from modelway.domain.tables import Table

_LOGISTIC = ("binary:logistic", "reg:logistic")
_EXPONENTIAL = ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft")
_IDENTITY = (
    "reg:squarederror",
    "reg:squaredlogerror",
    "reg:pseudohubererror",
    "reg:absoluteerror",
    "reg:quantileerror",
    "reg:expectileerror",
    "reg:linear",
    "binary:logitraw",
    "rank:pairwise",
    "rank:ndcg",
    "rank:map",
)


@dataclass(frozen=True)
class _Model:
    """What the JSON of a booster says; ``base`` is the starting margin of each group, float32.

    ``n_coded`` columns were given as categories of a DataFrame, of which the trees have the codes.
    """

    objective: str
    base: npt.NDArray[np.float32]
    trees: Sequence[dict[str, Any]]
    groups: Sequence[int]
    weights: Sequence[float] | None
    linear: Any
    n_features: int
    n_coded: int


def read_booster(booster: Any, n_iterations: int | None = None) -> _Model:
    """A booster's model; the first ``n_iterations`` of it, or all.

    Raises:
        NotCompilable: its trees have vectors for leaves.
    """
    whole = json.loads(bytes(booster.save_raw("json")).decode())
    learner = whole["learner"]
    gradient = learner["gradient_booster"]
    n_features = int(learner["learner_model_param"]["num_feature"])
    objective = learner["objective"]["name"]
    if gradient["name"] == "gblinear":
        linear = np.asarray(gradient["model"]["weights"], dtype=np.float32)
        linear = linear.reshape(n_features + 1, -1)
        gradient["model"]["weights"] = [0.0] * linear.size
        return _Model(objective, _base_margin(whole), [], [], None, linear, n_features, 0)
    weights = gradient["weight_drop"] if gradient["name"] == "dart" else None
    model = gradient["gbtree"]["model"] if "gbtree" in gradient else gradient["model"]
    kept = model.get("cats", {}).get("enc", [])
    n_coded = sum(bool(one["values"]) or len(one.get("offsets", ())) > 1 for one in kept)
    trees, groups = model["trees"], model["tree_info"]
    if any(int(t["tree_param"]["size_leaf_vector"]) > 1 for t in trees):
        raise NotCompilable("XGBoost trees with a vector in each leaf")
    model["trees"] = [_emptied(tree) for tree in trees]
    base = _base_margin(whole)
    if n_iterations is not None:
        stop = model["iteration_indptr"][n_iterations]
        trees, groups = trees[:stop], groups[:stop]
    return _Model(objective, base, trees, groups, weights, None, n_features, n_coded)


def _emptied(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree with 0 in every leaf."""
    split = zip(tree["left_children"], tree["split_conditions"], strict=True)
    return {**tree, "split_conditions": [0.0 if left < 0 else value for left, value in split]}


def _base_margin(whole: Any) -> npt.NDArray[np.float32]:
    """What a model whose leaves or weights are all 0 answers."""
    import xgboost

    learner = whole["learner"]
    # What is asked is one row of zeros: names and types of features would only be in its way.
    learner["feature_names"] = learner["feature_types"] = []
    empty = xgboost.Booster(model_file=bytearray(json.dumps(whole).encode()))
    zeros = xgboost.DMatrix(np.zeros((1, int(learner["learner_model_param"]["num_feature"]))))
    margin = empty.predict(zeros, output_margin=True, validate_features=False)
    return np.asarray(margin, dtype=np.float32).ravel()


def margin(g: Graph, model: _Model, features: Features, missing: float | None = None) -> str:
    """The untransformed answer, float (n_rows, n_groups).

    ``missing`` None stands for ``Booster.predict``; a wrapper predicts in place, and names the
    number that is missing to it.
    """
    stored = features.matrix(g)
    if features.sparse:
        stored = g.op("Where", g.op("Equal", stored, 0.0), np.nan, stored)
    rows = g.cast(stored, "float")
    if missing is not None and not np.isnan(missing):
        rows = g.op("Where", g.op("Equal", rows, np.float32(missing)), np.float32(np.nan), rows)
    if features.width != model.n_features:
        raise NotCompilable(f"{features.width} columns for a booster of {model.n_features}")
    if model.linear is not None:
        return _linear_margin(g, model, rows)
    trees = [_tree(t) for t in model.trees]
    rows = _with_whole_categories(g, rows, features.width, trees)
    ensemble = TreeEnsemble(n_targets=len(model.base))
    for group, value in enumerate(model.base):
        ensemble.add(constant_tree(float(value)), group)
    for i, (tree, group) in enumerate(zip(trees, model.groups, strict=True)):
        if model.weights is not None:
            # In place, the answer of a tree goes through the base margin and back.
            base = np.float32(0) if missing is None else model.base[group]
            leaf = (base + tree.leaf.astype(np.float32) - base) * np.float32(model.weights[i])
            tree = replace(tree, leaf=leaf.astype(np.float64))
        ensemble.add(tree, group)
    return ensemble.emit(g, rows, "float")


def _linear_margin(g: Graph, model: _Model, rows: str) -> str:
    """Bias and base, then feature by feature; a missing value adds nothing."""
    rows = g.op("Where", g.op("IsNaN", rows), np.float32(0), rows)
    answers = []
    for group, base in enumerate(model.base):
        terms = g.op("Mul", rows, model.linear[:-1, group])
        start = np.float32(model.linear[-1, group] + base)
        first = g.op("Add", g.op("Mul", g.columns(rows, [0]), np.float32(0)), start)
        heaped = g.op("CumSum", g.concatenate([first, terms]), np.array(1, dtype=np.int64))
        answers.append(g.columns(heaped, [model.n_features]))
    return g.concatenate(answers)


def _tree(node: dict[str, Any]) -> Tree:
    """One tree; a category of a node's set goes right, so such a node is turned round."""
    left = np.asarray(node["left_children"], dtype=np.int64)
    right = np.asarray(node["right_children"], dtype=np.int64)
    missing = np.asarray(node["default_left"]).astype(bool)
    value = np.asarray(node["split_conditions"], dtype=np.float32).astype(np.float64)
    sets: dict[int, Floats] = {}
    parts = zip(
        node["categories_nodes"], node["categories_segments"], node["categories_sizes"], strict=True
    )
    for at, start, size in parts:
        sets[int(at)] = np.asarray(node["categories"][start : start + size], dtype=np.float64)
        left[at], right[at] = right[at], left[at]
        missing[at] = not missing[at]
    feature = np.asarray(node["split_indices"], dtype=np.int64)
    return Tree(feature, value, left, right, missing, value, mode=LESS, categories=sets)


def _with_whole_categories(g: Graph, rows: str, width: int, trees: Sequence[Tree]) -> str:
    """Categories cut to whole numbers, negative ones to -1, which is in no set."""
    categorical = {int(t.feature[n]) for t in trees for n in t.categories}
    if not categorical:
        return rows
    low = g.op("Where", g.op("Less", rows, np.float32(0)), np.float32(-1), rows)
    is_one = np.array([[i in categorical for i in range(width)]])
    return g.op("Where", is_one, g.op("Floor", low), rows)


def answered(g: Graph, value: str, objective: str, width: int) -> str:
    """What ``Booster.predict`` makes of a margin (n_rows, width): as wide, or one float a row.

    Raises:
        NotCompilable: the objective is none of XGBoost's own.
    """
    if objective in _IDENTITY:
        return value
    if objective in _LOGISTIC:
        return _logistic(g, value)
    if objective in _EXPONENTIAL:
        return _exp(g, value)
    if objective == "binary:hinge":
        return g.cast(g.op("Greater", value, np.float32(0)), "float")
    if objective == "multi:softprob":
        return _softmax(g, value, width)
    if objective == "multi:softmax":
        return g.cast(g.column(g.argmax(value)), "float")
    raise NotCompilable(f"the objective {objective!r}")


def _exp(g: Graph, value: str) -> str:
    """float32 exponential, rounded from a float64 one, as a good C library's is."""
    return g.cast(exponential(g, g.cast(value, "double")), "float")


def _logistic(g: Graph, value: str) -> str:
    one = np.float32(1)
    grown = _exp(g, g.op("Min", g.op("Neg", value), np.float32(88.7)))
    return g.op("Div", one, g.op("Add", g.op("Add", grown, one), np.float32(1e-16)))


def _softmax(g: Graph, value: str, width: int) -> str:
    """Exponentials in float32, their sum in float64, the quotient in float32."""
    axis = np.array([1], dtype=np.int64)
    grown = _exp(g, g.op("Sub", value, g.op("ReduceMax", value, axis, keepdims=1)))
    total = g.cast(g.op("MatMul", g.cast(grown, "double"), np.ones((width, 1))), "float")
    return g.op("Div", grown, total)


def _of_wrapper(estimator: Any) -> _Model:
    _, stop = estimator._get_iteration_range(None)
    model = read_booster(estimator.get_booster(), stop or None)
    if model.n_coded:
        raise NotCompilable("an XGBoost estimator fitted on categories of a DataFrame")
    return model


def xgb_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``XGBClassifier``, ``XGBRFClassifier``: the label is read off the float32 probabilities."""
    g = c.graph
    model = _of_wrapper(estimator)
    value = margin(g, model, features, float(estimator.missing))
    given = answered(g, value, model.objective, len(model.base))
    if model.objective == "multi:softmax":
        probabilities = g.cast(_softmax(g, value, len(model.base)), "double")
        return Classified(g.argmax(value), probabilities)
    if len(model.base) > 1:
        if model.objective != "multi:softprob":
            raise NotCompilable("several labels at once")
        return Classified(g.argmax(given), g.cast(given, "double"))
    index = g.cast(g.flatten(g.op("Greater", given, np.float32(0.5))), "int64")
    both = g.concatenate([g.op("Sub", np.float32(1), given), given])
    return Classified(index, g.cast(both, "double"))


def xgb_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``XGBRegressor``, ``XGBRFRegressor``, ``XGBRanker``: what the booster answers."""
    g = c.graph
    model = _of_wrapper(estimator)
    value = margin(g, model, features, float(estimator.missing))
    return g.cast(answered(g, value, model.objective, len(model.base)), "double")


def splits(model: Any) -> dict[int, Floats]:
    """The last float32 that goes left at each split of a booster or its wrapper."""
    is_wrapper = hasattr(model, "get_booster")
    read = _of_wrapper(model) if is_wrapper else read_booster(model)
    parts = []
    for tree in read.trees:
        inner = np.asarray(tree["left_children"]) >= 0
        inner &= np.asarray(tree["split_type"]) == 0
        border = np.asarray(tree["split_conditions"], dtype=np.float32)
        below = np.nextafter(border, np.float32(-np.inf))
        parts.append(by_feature(tree["split_indices"], below, inner))
    return merged(parts)


class XgboostCompiler:
    """Compiles raw boosters: the graph answers what ``Booster.predict`` answers."""

    def compile(self, model: object, signature: Signature, description: Description) -> Compiled:
        """The booster as ONNX.

        Raises:
            NotCompilable: columns are text but for categories, or the objective is the user's own.
        """
        graph = Graph()
        features, layout = graph_inputs(graph, signature)
        read = read_booster(model)
        categories = categories_of(description, read.n_coded)
        features = coded(graph, features, categories, is_closed=True)
        given = answered(graph, margin(graph, read, features), read.objective, len(read.base))
        if description.task is not Task.REGRESSION:
            raise NotCompilable(f"a booster as a {description.task}")
        graph.output("prediction", graph.cast(given, "double"), "double", ("n_rows", "n_outputs"))
        return Compiled(graph.serialized(), layout)

    def thresholds(self, model: object, signature: Signature, rows: Table) -> Sequence[Floats]:
        """For each column, the values at which some tree splits."""
        return column_jumps(splits(model), signature, single=True)


CLASSIFIERS = {
    "xgboost.sklearn.XGBClassifier": xgb_classify,
    "xgboost.sklearn.XGBRFClassifier": xgb_classify,
}
REGRESSORS = {
    "xgboost.sklearn.XGBRegressor": xgb_regress,
    "xgboost.sklearn.XGBRFRegressor": xgb_regress,
    "xgboost.sklearn.XGBRanker": xgb_regress,
}
