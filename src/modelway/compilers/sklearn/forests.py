"""Forests, bags of estimators and tree embeddings: members answer, their answers are averaged.

A forest adds its members in order, beginning with zeros, and divides by their number at the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features, numbers
from modelway.compilers.sklearn.trees import (
    class_shares,
    float32_rows,
    is_single_tree,
    sklearn_tree,
    target_values,
)
from modelway.compilers.tree_ensemble import TreeEnsemble, leaf_vectors
from modelway.domain.errors import NotCompilable


def forest_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``RandomForestClassifier``, ``ExtraTreesClassifier``: the mean of the trees' shares."""
    members = estimator.estimators_
    trees = [sklearn_tree(m.tree_) for m in members]
    shares = [class_shares(m) for m in members]
    total = leaf_vectors(c.graph, float32_rows(c, features), trees, shares)
    mean = c.graph.op("Div", total, float(len(members)))
    return Classified(c.graph.argmax(mean), mean)


def forest_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``RandomForestRegressor``, ``ExtraTreesRegressor``: the mean of the trees' values."""
    members = estimator.estimators_
    trees = [sklearn_tree(m.tree_) for m in members]
    values = [target_values(m) for m in members]
    total = leaf_vectors(c.graph, float32_rows(c, features), trees, values)
    return c.graph.op("Div", total, float(len(members)))


def bagging_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``BaggingClassifier``: the mean of the members' probabilities, or of their votes."""
    g = c.graph
    n_classes = int(estimator.n_classes_)
    members = list(zip(estimator.estimators_, estimator.estimators_features_, strict=True))
    if all(is_single_tree(m) for m, _ in members):
        trees = [sklearn_tree(m.tree_, columns=columns) for m, columns in members]
        shares = [_spread(class_shares(m), m.classes_, n_classes) for m, _ in members]
        total = leaf_vectors(g, float32_rows(c, features), trees, shares)
    else:
        total = ""
        for member, columns in members:
            given = c.classify(member, features.select(g, _positions(columns)))
            known = np.asarray(member.classes_, dtype=np.int64)
            if hasattr(member, "predict_proba"):
                if given.probabilities is None:
                    raise NotCompilable("a member's probabilities have no exact ONNX form")
                part = _spread_columns(c, given.probabilities, known, n_classes)
            else:
                label = g.op("Gather", known, given.index)
                part = _one_hot(c, label, n_classes)
            total = g.op("Add", total, part) if total else part
    mean = g.op("Div", total, float(len(members)))
    return Classified(g.argmax(mean), mean, _bagged_decision(c, estimator, features))


def bagging_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``BaggingRegressor``: the mean of the members' predictions."""
    g = c.graph
    members = list(zip(estimator.estimators_, estimator.estimators_features_, strict=True))
    if all(is_single_tree(m) for m, _ in members):
        trees = [sklearn_tree(m.tree_, columns=columns) for m, columns in members]
        values = [target_values(m) for m, _ in members]
        total = leaf_vectors(g, float32_rows(c, features), trees, values)
    else:
        total = ""
        for member, columns in members:
            part = c.regress(member, features.select(g, _positions(columns)))
            total = g.op("Add", total, part) if total else part
    return g.op("Div", total, float(len(members)))


def trees_embedding(c: Compilation, estimator: Any, features: Features) -> Features:
    """``RandomTreesEmbedding``: 1 in the column of each leaf that the row falls into, else 0."""
    g = c.graph
    members = estimator.estimators_
    ensemble = TreeEnsemble(n_targets=len(members))
    owner: list[int] = []
    for target, (member, seen) in enumerate(
        zip(members, estimator.one_hot_encoder_.categories_, strict=True)
    ):
        place = np.full(member.tree_.node_count, -1.0)
        place[np.asarray(seen, dtype=np.int64)] = len(owner) + np.arange(len(seen))
        owner += [target] * len(seen)
        ensemble.add(sklearn_tree(member.tree_, place), target)
    index = g.columns(ensemble.emit(g, float32_rows(c, features)), owner)
    hit = g.op("Equal", index, np.arange(len(owner), dtype=np.float64))
    return numbers(g.cast(hit, "double"), len(owner))


def _bagged_decision(c: Compilation, estimator: Any, features: Features) -> str | None:
    """The mean of the members' decision functions, where each has one and knows every class."""
    g = c.graph
    total = ""
    for member, columns in zip(estimator.estimators_, estimator.estimators_features_, strict=True):
        if not hasattr(member, "decision_function") or len(member.classes_) < estimator.n_classes_:
            return None
        part = c.classify(member, features.select(g, _positions(columns))).decision
        if part is None:
            return None
        total = g.op("Add", total, part) if total else part
    return g.op("Div", total, float(len(estimator.estimators_)))


def _positions(columns: Any) -> list[int]:
    index = np.asarray(columns)
    return [int(i) for i in (np.flatnonzero(index) if index.dtype == np.bool_ else index)]


def _spread(shares: Any, known: Any, n_classes: int) -> Any:
    """Shares of the classes that a member knows, as columns of all classes."""
    if shares.shape[1] == n_classes:
        return shares
    whole = np.zeros((len(shares), n_classes))
    whole[:, np.asarray(known, dtype=np.int64)] = shares
    return whole


def _spread_columns(c: Compilation, value: str, known: Any, n_classes: int) -> str:
    if len(known) == n_classes:
        return value
    g = c.graph
    zero = g.op("Mul", g.columns(value, [0]), 0.0)
    place = {int(k): i for i, k in enumerate(known)}
    # Column 0 of the widened value is the zero of a class that the member never saw.
    return g.columns(g.concatenate([zero, value]), [place.get(k, -1) + 1 for k in range(n_classes)])


def _one_hot(c: Compilation, label: str, n_classes: int) -> str:
    hit = c.graph.op("Equal", c.graph.column(label), np.arange(n_classes, dtype=np.int64))
    return c.graph.cast(hit, "double")


TRANSFORMERS = {"sklearn.ensemble._forest.RandomTreesEmbedding": trees_embedding}
CLASSIFIERS = {
    "sklearn.ensemble._forest.RandomForestClassifier": forest_classify,
    "sklearn.ensemble._forest.ExtraTreesClassifier": forest_classify,
    "sklearn.ensemble._bagging.BaggingClassifier": bagging_classify,
}
REGRESSORS = {
    "sklearn.ensemble._forest.RandomForestRegressor": forest_regress,
    "sklearn.ensemble._forest.ExtraTreesRegressor": forest_regress,
    "sklearn.ensemble._bagging.BaggingRegressor": bagging_regress,
}
