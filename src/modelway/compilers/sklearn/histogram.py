"""Histogram gradient boosting: float64 thresholds, missing values and categories with a way each.

A baseline comes first, then one tree a class in every iteration. Categories are positions given by
the estimator's own encoder; an unknown one is missing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.arithmetic import expit, exponential, softmax, two_shares
from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features, joined
from modelway.compilers.tree_ensemble import Tree, TreeEnsemble, constant_tree, members
from modelway.domain.errors import NotCompilable


def histogram_raw(c: Compilation, estimator: Any, features: Features) -> str:
    """Raw scores (n_rows, n_trees_per_iteration)."""
    encoded = encoded_features(c, estimator, features)
    baseline = np.asarray(estimator._baseline_prediction, dtype=np.float64).ravel()
    ensemble = TreeEnsemble(n_targets=estimator.n_trees_per_iteration_)
    for target in range(estimator.n_trees_per_iteration_):
        ensemble.add(constant_tree(baseline[target if len(baseline) > 1 else 0]), target)
    for iteration in estimator._predictors:
        for target, predictor in enumerate(iteration):
            ensemble.add(histogram_tree(predictor), target)
    return ensemble.emit(c.graph, encoded.matrix(c.graph))


def encoded_features(c: Compilation, estimator: Any, features: Features) -> Features:
    """The columns as the trees see them: categories first, as positions."""
    preprocessor = estimator._preprocessor
    if preprocessor is None:
        return features
    places = preprocessor._transformer_to_input_indices
    encoder = preprocessor.named_transformers_["encoder"]
    categorical = features.select(c.graph, [int(i) for i in places["encoder"]])
    parts = [c.transform(encoder, categorical)]
    if len(places["numerical"]):
        parts.append(features.select(c.graph, [int(i) for i in places["numerical"]]))
    return joined(parts)


def histogram_tree(predictor: Any) -> Tree:
    """One predictor's nodes."""
    nodes = predictor.nodes
    is_leaf = nodes["is_leaf"].astype(bool)
    sets = {
        int(n): members(predictor.raw_left_cat_bitsets[nodes["bitset_idx"][n]])
        for n in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~is_leaf)
    }
    return Tree(
        feature=nodes["feature_idx"].astype(np.int64),
        threshold=nodes["num_threshold"],
        left=np.where(is_leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(is_leaf, -1, nodes["right"].astype(np.int64)),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        leaf=nodes["value"],
        categories=sets,
    )


def histogram_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``HistGradientBoostingClassifier``: labels come from the raw scores."""
    g = c.graph
    raw = histogram_raw(c, estimator, features)
    if estimator.n_trees_per_iteration_ > 1:
        return Classified(g.argmax(raw), softmax(g, raw, estimator.n_trees_per_iteration_), raw)
    index = g.cast(g.flatten(g.op("Greater", raw, 0.0)), "int64")
    return Classified(index, two_shares(g, expit(g, raw)), raw)


def histogram_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``HistGradientBoostingRegressor``: the raw score through the loss's inverse link."""
    raw = histogram_raw(c, estimator, features)
    link = type(estimator._loss.link).__name__
    if link == "IdentityLink":
        return raw
    if link == "LogLink":
        return exponential(c.graph, raw)
    raise NotCompilable(f"histogram gradient boosting with a {link}")


_MODULE = "sklearn.ensemble._hist_gradient_boosting.gradient_boosting"

CLASSIFIERS = {f"{_MODULE}.HistGradientBoostingClassifier": histogram_classify}
REGRESSORS = {f"{_MODULE}.HistGradientBoostingRegressor": histogram_regress}
