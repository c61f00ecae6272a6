"""Multi-layer perceptrons: products and activations, layer after layer, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.arithmetic import (
    above,
    dense,
    expit,
    exponential,
    first_largest,
    product,
    softmax,
    two_shares,
)
from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features
from modelway.compilers.graph import Graph
from modelway.domain.errors import NotCompilable


def perceptron_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``MLPClassifier``: of two classes the second above one half, else the most probable."""
    labels = estimator._label_binarizer
    if labels.y_type_.startswith("multilabel"):
        raise NotCompilable("several labels at once")
    g = c.graph
    given = _forward(c, estimator, features)
    if estimator.n_outputs_ == 1:
        return Classified(above(g, given, 0.5), two_shares(g, given))
    return Classified(first_largest(g, given), given)


def perceptron_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``MLPRegressor``: what the last layer gives."""
    return _forward(c, estimator, features)


def _forward(c: Compilation, estimator: Any, features: Features) -> str:
    """The activation of the last layer, (n_rows, n_outputs)."""
    value = features.matrix(c.graph)
    padding = 0
    for i, (weights, shift) in enumerate(
        zip(estimator.coefs_, estimator.intercepts_, strict=True), start=1
    ):
        is_last = i == len(estimator.coefs_)
        weights = np.pad(dense(weights), ((0, padding), (0, 0)))
        # Tanh takes two values at once: a unit without weight makes their number even.
        padding = 0 if is_last else len(shift) % 2
        weights, shift = np.pad(weights, ((0, 0), (0, padding))), np.pad(dense(shift), (0, padding))
        value = product(c.graph, value, weights.T, shift)
        activation = estimator.out_activation_ if is_last else estimator.activation
        value = _activated(c.graph, activation, value, len(shift))
    return value


def _activated(graph: Graph, activation: str, value: str, width: int) -> str:
    match activation:
        case "identity":
            return value
        case "relu":
            return graph.op("Max", value, 0.0)
        case "tanh":
            return graph.op("Tanh", value)
        case "logistic":
            return expit(graph, value)
        case "exp":
            return exponential(graph, value)
        case "softmax":
            return softmax(graph, value, width)
    raise NotCompilable(f"the activation {activation!r}")


_MODULE = "sklearn.neural_network._multilayer_perceptron"
CLASSIFIERS = {f"{_MODULE}.MLPClassifier": perceptron_classify}
REGRESSORS = {f"{_MODULE}.MLPRegressor": perceptron_regress}
