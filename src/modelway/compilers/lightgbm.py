"""LightGBM: float64 throughout, with three ways to take a missing value.

Each split says what is missing to it: nothing (NaN counts as 0), zero and NaN, or NaN alone. A
column is given to the trees in each of the forms that splits may ask for. Up to 1e-35 a value is 0.
The model is read from LightGBM's own text, whose numbers have all their digits.

Source: LightGBM, include/LightGBM/tree.h (decisions), src/objective (answers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modelway.bundles.manifest import Task
from modelway.bundles.ports import Compiled, Description
from modelway.compilers.arithmetic import expit, exponential, softmax
from modelway.compilers.categories import categories_of, coded
from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features, graph_inputs
from modelway.compilers.graph import Graph
from modelway.compilers.jumps import Floats, by_feature, column_jumps, merged
from modelway.compilers.tree_ensemble import Tree, TreeEnsemble, members
from modelway.domain.errors import NotCompilable
from modelway.domain.signature import Signature
from modelway.domain.tables import Table

_ZERO = float(np.float32(1e-35))
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_NONE_MISSING, _ZERO_MISSING, _NAN_MISSING, _WHOLE = range(4)

_IDENTITY = (
    "regression",
    "regression_l1",
    "huber",
    "fair",
    "quantile",
    "mape",
    "lambdarank",
    "rank_xendcg",
    "custom",
)
_EXPONENTIAL = ("poisson", "gamma", "tweedie")


@dataclass(frozen=True)
class _Model:
    """What the text of a booster says; tree ``i`` adds to target ``i`` modulo ``n_targets``.

    ``n_coded`` columns were given as categories of pandas, of which the trees have the codes.
    """

    objective: str
    parameters: dict[str, str]
    n_targets: int
    n_features: int
    is_averaged: bool
    n_coded: int
    trees: Sequence[dict[str, str]]


def read_booster(booster: Any) -> _Model:
    """A booster's model, up to its best iteration where it has one.

    Raises:
        NotCompilable: its leaves hold linear models.
    """
    head, *blocks = str(booster.model_to_string()).split("\nTree=")
    header = _entries(head)
    trees = [_entries(block.partition("end of trees")[0]) for block in blocks]
    if any(int(tree.get("is_linear", "0")) for tree in trees):
        raise NotCompilable("LightGBM trees with linear models in their leaves")
    objective, *words = header.get("objective", "custom").split() or ["custom"]
    return _Model(
        objective,
        {word.partition(":")[0]: word.partition(":")[2] for word in words},
        int(header["num_tree_per_iteration"]),
        int(header["max_feature_idx"]) + 1,
        "average_output" in header,
        len(booster.pandas_categorical or ()),
        trees,
    )


def _entries(text: str) -> dict[str, str]:
    parts = (line.partition("=") for line in text.splitlines())
    return {name: value for name, _, value in parts}


def _numbers(tree: dict[str, str], name: str) -> Floats:
    return np.array(tree.get(name, "").split(), dtype=np.float64)


def _whole_numbers(tree: dict[str, str], name: str) -> npt.NDArray[np.int64]:
    return np.array(tree.get(name, "").split(), dtype=np.int64)


def margin(g: Graph, model: _Model, features: Features) -> str:
    """The untransformed answer, double (n_rows, n_targets)."""
    if features.width != model.n_features:
        raise NotCompilable(f"{features.width} columns for a booster of {model.n_features}")
    trees = [_tree(t, model.n_features) for t in model.trees]
    ensemble = TreeEnsemble(model.n_targets)
    for i, tree in enumerate(trees):
        ensemble.add(tree, i % model.n_targets)
    value = ensemble.emit(g, _forms(g, features))
    if model.is_averaged:
        value = g.op("Div", value, float(len(trees) // model.n_targets))
    return value


def _forms(g: Graph, features: Features) -> str:
    """The columns in the four forms that splits may ask for, side by side."""
    rows = features.matrix(g)
    is_small = g.op("LessOrEqual", g.op("Abs", rows), _ZERO)
    as_is = g.op("Where", is_small, 0.0, rows)
    filled = g.op("Where", g.op("IsNaN", as_is), 0.0, as_is)
    emptied = g.op("Where", g.op("Equal", filled, 0.0), np.nan, filled)
    below = g.op("Less", as_is, 0.0)
    whole = g.op("Where", below, g.op("Ceil", as_is), g.op("Floor", as_is))
    return g.concatenate([filled, emptied, as_is, whole])


def _tree(text: dict[str, str], n_features: int) -> Tree:
    """One tree: its inner nodes, then its leaves."""
    leaf = _numbers(text, "leaf_value")
    decision = _whole_numbers(text, "decision_type")
    n_inner = len(decision)
    threshold = _numbers(text, "threshold")
    bounds, words = _whole_numbers(text, "cat_boundaries"), _whole_numbers(text, "cat_threshold")
    is_categorical = (decision & _CATEGORICAL) > 0
    sets = {}
    for node in np.flatnonzero(is_categorical).tolist():
        at = int(threshold[node])
        sets[node] = members(words[bounds[at] : bounds[at + 1]])
    form = np.where(is_categorical, _WHOLE, decision >> 2 & 3)
    no_child = np.full(len(leaf), -1)
    left, right = (
        np.where(child < 0, n_inner + ~child, child)
        for child in (_whole_numbers(text, "left_child"), _whole_numbers(text, "right_child"))
    )
    return Tree(
        feature=np.append(_whole_numbers(text, "split_feature") + form * n_features, no_child),
        threshold=np.append(threshold, np.zeros(len(leaf))),
        left=np.append(left, no_child),
        right=np.append(right, no_child),
        missing_left=np.append((decision & _DEFAULT_LEFT > 0) & ~is_categorical, no_child > 0),
        leaf=np.append(np.zeros(n_inner), leaf),
        categories=sets,
    )


def answered(g: Graph, value: str, model: _Model) -> str:
    """What ``Booster.predict`` makes of a margin, double (n_rows, n_targets).

    Raises:
        NotCompilable: the objective is not known.
    """
    objective = model.objective
    if objective in _IDENTITY:
        is_root = "sqrt" in model.parameters
        return g.op("Mul", value, g.op("Abs", value)) if is_root else value
    if objective in _EXPONENTIAL:
        return exponential(g, value)
    if objective in ("binary", "multiclassova", "cross_entropy", "xentropy"):
        steepness = float(model.parameters.get("sigmoid", "1"))
        return expit(g, g.op("Mul", value, steepness))
    if objective in ("cross_entropy_lambda", "xentlambda"):
        return g.op("Log", g.op("Add", exponential(g, value), 1.0))
    if objective == "multiclass":
        return softmax(g, value, model.n_targets)
    raise NotCompilable(f"the objective {objective!r}")


def _of_wrapper(estimator: Any) -> _Model:
    model = read_booster(estimator.booster_)
    if model.n_coded:
        raise NotCompilable("a LightGBM estimator fitted on categories of a DataFrame")
    return model


def lgbm_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``LGBMClassifier``: the label is the first of the largest probabilities."""
    g = c.graph
    if callable(estimator._objective):
        raise NotCompilable("an objective of the user's own, whose answers are no labels")
    model = _of_wrapper(estimator)
    given = answered(g, margin(g, model, features), model)
    if int(estimator.n_classes_) <= 2:
        given = g.concatenate([g.op("Sub", 1.0, given), given])
    return Classified(g.argmax(given), given)


def lgbm_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``LGBMRegressor``, ``LGBMRanker``: what the booster answers."""
    model = _of_wrapper(estimator)
    return answered(c.graph, margin(c.graph, model, features), model)


def splits(model: Any) -> dict[int, Floats]:
    """The threshold of each split of a booster or its wrapper, and where a zero begins and ends."""
    parts = []
    for tree in read_booster(getattr(model, "booster_", model)).trees:
        feature, decision = (_whole_numbers(tree, n) for n in ("split_feature", "decision_type"))
        is_number = decision & _CATEGORICAL == 0
        parts.append(by_feature(feature, _numbers(tree, "threshold"), is_number))
        takes_zero = is_number & (decision >> 2 & 3 == _ZERO_MISSING)
        for border in (np.nextafter(-_ZERO, -np.inf), _ZERO):
            parts.append(by_feature(feature, np.full(len(feature), border), takes_zero))
    return merged(parts)


class LightgbmCompiler:
    """Compiles raw boosters: the graph answers what ``Booster.predict`` answers."""

    def compile(self, model: object, signature: Signature, description: Description) -> Compiled:
        """The booster as ONNX.

        Raises:
            NotCompilable: columns are text but for categories, or the objective or the leaves have
                no exact form.
        """
        if description.task is not Task.REGRESSION:
            raise NotCompilable(f"a booster as a {description.task}")
        graph = Graph()
        features, layout = graph_inputs(graph, signature)
        read = read_booster(model)
        features = coded(graph, features, categories_of(description, read.n_coded))
        given = answered(graph, margin(graph, read, features), read)
        graph.output("prediction", given, "double", ("n_rows", "n_outputs"))
        return Compiled(graph.serialized(), layout)

    def thresholds(self, model: object, signature: Signature, rows: Table) -> Sequence[Floats]:
        """For each column, the values at which some tree splits."""
        return column_jumps(splits(model), signature, single=False)


CLASSIFIERS = {"lightgbm.sklearn.LGBMClassifier": lgbm_classify}
REGRESSORS = {
    "lightgbm.sklearn.LGBMRegressor": lgbm_regress,
    "lightgbm.sklearn.LGBMRanker": lgbm_regress,
}
