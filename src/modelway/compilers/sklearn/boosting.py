"""Boosted estimators of scikit-learn: gradient boosting and AdaBoost.

Gradient boosting adds to a starting value, stage by stage; the label comes from that sum and never
from the probabilities. AdaBoost adds weighted votes, or takes a weighted median.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.arithmetic import expit, softmax, two_shares
from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features, numbers
from modelway.compilers.sklearn.trees import (
    class_shares,
    float32_rows,
    is_single_tree,
    sklearn_tree,
    target_values,
)
from modelway.compilers.tree_ensemble import TreeEnsemble, constant_tree, leaf_vectors
from modelway.domain.errors import NotCompilable

_EPSILON = float(np.finfo(np.float64).eps)


def gradient_boosting_raw(c: Compilation, estimator: Any, features: Features) -> str:
    """Raw scores (n_rows, n_trees_per_stage): the starting value, then stage by stage."""
    g = c.graph
    rows = float32_rows(c, features)
    n_targets = estimator.estimators_.shape[1]
    constant = _constant_start(estimator, features.width)
    if constant is None:
        return _from_another_model(c, estimator, numbers(rows, features.width))
    ensemble = TreeEnsemble(n_targets)
    for target, value in enumerate(constant):
        ensemble.add(constant_tree(value), target)
    for stage in estimator.estimators_:
        for target, tree in enumerate(stage):
            leaf = estimator.learning_rate * tree.tree_.value[:, 0, 0]
            ensemble.add(sklearn_tree(tree.tree_, leaf), target)
    return ensemble.emit(g, rows)


def _constant_start(estimator: Any, width: int) -> Any:
    if isinstance(estimator.init_, str):  # "zero"
        return np.zeros(estimator.estimators_.shape[1])
    if type(estimator.init_).__module__ == "sklearn.dummy":
        return estimator._raw_predict_init(np.zeros((1, width)))[0]
    return None


def _from_another_model(c: Compilation, estimator: Any, features: Features) -> str:
    """Raw scores that start from another model's answer, stage after stage in a running sum."""
    g = c.graph
    if any(getattr(v, "dtype", None) == np.float32 for v in vars(estimator.init_).values()):
        raise NotCompilable("gradient boosting that starts from a model that adds up in float32")
    rows = features.matrix(g)
    n_targets = estimator.estimators_.shape[1]
    if hasattr(estimator, "classes_"):
        given = c.classify(estimator.init_, features).probabilities
        if given is None:
            raise NotCompilable("gradient boosting that starts from a model without probabilities")
        start = _linked(c, estimator, g.op("Min", g.op("Max", given, _EPSILON), 1.0 - _EPSILON))
    else:
        start = c.regress(estimator.init_, features)
    totals = []
    n_stages = len(estimator.estimators_)
    for target in range(n_targets):
        ensemble = TreeEnsemble(n_stages)
        for i, stage in enumerate(estimator.estimators_):
            leaf = estimator.learning_rate * stage[target].tree_.value[:, 0, 0]
            ensemble.add(sklearn_tree(stage[target].tree_, leaf), i)
        first = g.columns(start, [target])
        parts = g.op("Concat", first, ensemble.emit(g, rows), axis=1)
        totals.append(g.columns(g.op("CumSum", parts, np.array(1, dtype=np.int64)), [n_stages]))
    return g.concatenate(totals)


def _linked(c: Compilation, estimator: Any, probabilities: str) -> str:
    """The raw scores that stand for probabilities, by the loss's own link."""
    g = c.graph
    if estimator.n_classes_ > 2:
        axis = np.array([1], dtype=np.int64)
        geometric_mean = g.op("Exp", g.op("ReduceMean", g.op("Log", probabilities), axis))
        return g.op("Log", g.op("Div", probabilities, geometric_mean))
    positive = g.columns(probabilities, [1])
    odds = g.op("Log", g.op("Div", positive, g.op("Sub", 1.0, positive)))
    return g.op("Mul", odds, 0.5) if estimator.loss == "exponential" else odds


def gradient_boosting_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``GradientBoostingClassifier``: labels come from the raw scores, not the probabilities."""
    g = c.graph
    raw = gradient_boosting_raw(c, estimator, features)
    if estimator.n_classes_ == 2:
        index = g.cast(g.flatten(g.op("GreaterOrEqual", raw, 0.0)), "int64")
        doubled = g.op("Mul", raw, 2.0) if estimator.loss == "exponential" else raw
        probabilities = two_shares(g, expit(g, doubled))
    else:
        index = g.argmax(raw)
        probabilities = softmax(g, raw, int(estimator.n_classes_))
    return Classified(index, probabilities, raw)


def ada_boost_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``AdaBoostClassifier``: weighted votes; a vote against a class is shared by the others."""
    g = c.graph
    n_classes = int(estimator.n_classes_)
    if n_classes < 2:
        raise NotCompilable("a classifier of one class")
    votes = _weighted_votes(c, estimator, features, n_classes)
    score = g.op("Div", votes, float(estimator.estimator_weights_.sum()))
    if n_classes == 2:
        decision = g.op("Sub", g.columns(score, [1]), g.columns(score, [0]))
        index = g.cast(g.flatten(g.op("Greater", decision, 0.0)), "int64")
        halves = g.op("Div", g.concatenate([g.op("Neg", decision), decision]), 2.0)
        return Classified(index, softmax(g, halves, 2), decision)
    scaled = g.op("Div", score, float(n_classes - 1))
    return Classified(g.argmax(score), softmax(g, scaled, n_classes), score)


def _weighted_votes(c: Compilation, estimator: Any, features: Features, n_classes: int) -> str:
    g = c.graph
    members = list(zip(estimator.estimators_, estimator.estimator_weights_, strict=False))
    against = [-1 / (n_classes - 1) * weight for _, weight in members]
    if all(is_single_tree(m) for m, _ in members):
        trees = [sklearn_tree(m.tree_) for m, _ in members]
        leaves = []
        for (member, weight), other in zip(members, against, strict=True):
            place = np.searchsorted(estimator.classes_, member.classes_)
            voted = place[class_shares(member).argmax(axis=1)]
            leaves.append(np.where(voted[:, None] == np.arange(n_classes), weight, other))
        return leaf_vectors(g, float32_rows(c, features), trees, leaves)
    total = ""
    for (member, weight), other in zip(members, against, strict=True):
        place = np.searchsorted(estimator.classes_, member.classes_).astype(np.int64)
        voted = g.op("Gather", place, c.classify(member, features).index)
        hit = g.op("Equal", g.column(voted), np.arange(n_classes, dtype=np.int64))
        part = g.op("Where", hit, float(weight), float(other))
        total = g.op("Add", total, part) if total else part
    return total


def gradient_boosting_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``GradientBoostingRegressor``: the raw score, whatever the loss."""
    return gradient_boosting_raw(c, estimator, features)


def ada_boost_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``AdaBoostRegressor``: the median of the members' predictions by their weights."""
    g = c.graph
    members = estimator.estimators_
    if all(is_single_tree(m) for m in members):
        ensemble = TreeEnsemble(n_targets=len(members))
        for target, member in enumerate(members):
            ensemble.add(sklearn_tree(member.tree_, target_values(member)[:, 0]), target)
        given = ensemble.emit(g, float32_rows(c, features))
    else:
        given = g.concatenate([c.regress(m, features) for m in members])
    size = np.array([len(members)], dtype=np.int64)
    ordered = g.op("TopK", given, size, axis=1, largest=0, sorted=1, outputs=2)
    weights = np.asarray(estimator.estimator_weights_[: len(members)], dtype=np.float64)
    heaped = g.op("Gather", weights, f"{ordered}_1")
    heaped = g.op("CumSum", heaped, np.array(1, dtype=np.int64))
    half = g.op("Mul", g.columns(heaped, [len(members) - 1]), 0.5)
    reached = g.cast(g.op("GreaterOrEqual", heaped, half), "int64")
    middle = g.op("ArgMax", reached, axis=1, keepdims=1)
    return g.op("GatherElements", ordered, middle, axis=1)


CLASSIFIERS = {
    "sklearn.ensemble._gb.GradientBoostingClassifier": gradient_boosting_classify,
    "sklearn.ensemble._weight_boosting.AdaBoostClassifier": ada_boost_classify,
}
REGRESSORS = {
    "sklearn.ensemble._gb.GradientBoostingRegressor": gradient_boosting_regress,
    "sklearn.ensemble._weight_boosting.AdaBoostRegressor": ada_boost_regress,
}
