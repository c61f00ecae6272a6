"""Discriminant analysis, linear and quadratic."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.arithmetic import (
    added,
    dense,
    first_largest,
    product,
    softmax,
)
from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features, numbers
from modelway.compilers.sklearn.linear import linear_label, one_vs_rest_shares, scores
from modelway.domain.errors import NotCompilable


def linear_discriminant_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``LinearDiscriminantAnalysis``: a linear classifier with the softmax of its scores."""
    g = c.graph
    n_classes = len(estimator.classes_)
    decision = scores(c, estimator, features)
    if n_classes == 2:
        probabilities = one_vs_rest_shares(g, decision, 2)
    else:
        probabilities = softmax(g, decision, n_classes)
    return Classified(linear_label(g, decision, n_classes), probabilities, decision)


def linear_discriminant_transform(c: Compilation, estimator: Any, features: Features) -> Features:
    """``LinearDiscriminantAnalysis`` as a transformer: the directions that part the classes."""
    g = c.graph
    if estimator.solver == "lsqr":
        raise NotCompilable("a discriminant analysis by least squares has no transform")
    rows = features.matrix(g)
    if estimator.solver == "svd":
        rows = g.op("Sub", rows, dense(estimator.xbar_))
    directions = estimator.scalings_[:, : estimator._max_components]
    return numbers(product(g, rows, directions.T), directions.shape[1])


def quadratic_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``QuadraticDiscriminantAnalysis``: the log density of each class's own Gaussian."""
    g = c.graph
    rows = features.matrix(g)
    n_classes = len(estimator.classes_)
    norms = []
    for mean, rotation, scaling in zip(
        estimator.means_, estimator.rotations_, estimator.scalings_, strict=True
    ):
        turned = product(g, g.op("Sub", rows, dense(mean)), (rotation * scaling ** (-0.5)).T)
        norms.append(added(g, g.op("Mul", turned, turned), rotation.shape[1]))
    spread = np.array([np.sum(np.log(s)) for s in estimator.scalings_])
    half = g.op("Mul", g.op("Add", g.concatenate(norms), dense(spread)), -0.5)
    density = g.op("Add", half, dense(np.log(estimator.priors_)))
    decision = density
    if n_classes == 2:
        decision = g.op("Sub", g.columns(density, [1]), g.columns(density, [0]))
    return Classified(first_largest(g, density), softmax(g, density, n_classes), decision)


_MODULE = "sklearn.discriminant_analysis"
TRANSFORMERS = {f"{_MODULE}.LinearDiscriminantAnalysis": linear_discriminant_transform}
CLASSIFIERS = {
    f"{_MODULE}.LinearDiscriminantAnalysis": linear_discriminant_classify,
    f"{_MODULE}.QuadraticDiscriminantAnalysis": quadratic_classify,
}
