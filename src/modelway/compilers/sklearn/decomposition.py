"""Decompositions and projections that give a row's coordinates along learned directions."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.arithmetic import dense, product
from modelway.compilers.compilation import Compilation
from modelway.compilers.features import Features, numbers


def principal_components(c: Compilation, estimator: Any, features: Features) -> Features:
    """``PCA``, ``IncrementalPCA``: projected, then centred, then divided where whitened."""
    g = c.graph
    directions = estimator.components_
    value = product(g, features.matrix(g), directions)
    value = g.op("Sub", value, dense(np.reshape(estimator.mean_, (1, -1)) @ directions.T))
    if estimator.whiten:
        scale = np.sqrt(estimator.explained_variance_)
        value = g.op("Div", value, dense(np.maximum(scale, np.finfo(scale.dtype).eps)))
    return numbers(value, len(directions))


def projected(c: Compilation, estimator: Any, features: Features) -> Features:
    """``TruncatedSVD`` and random projections: the product alone."""
    given = product(c.graph, features.matrix(c.graph), estimator.components_)
    return numbers(given, estimator.components_.shape[0])


def independent_components(c: Compilation, estimator: Any, features: Features) -> Features:
    """``FastICA``: centred where whitened, then projected."""
    rows = features.matrix(c.graph)
    if estimator.whiten:
        rows = c.graph.op("Sub", rows, dense(estimator.mean_))
    return numbers(product(c.graph, rows, estimator.components_), len(estimator.components_))


def factors(c: Compilation, estimator: Any, features: Features) -> Features:
    """``FactorAnalysis``: the expected factors of a row."""
    g = c.graph
    directions = estimator.components_
    n_factors = len(directions)
    weighed = directions / estimator.noise_variance_
    spread = np.linalg.inv(np.eye(n_factors) + weighed @ directions.T)
    centred = g.op("Sub", features.matrix(g), dense(estimator.mean_))
    return numbers(product(g, product(g, centred, weighed), spread.T), n_factors)


_MODULE = "sklearn.decomposition"
TRANSFORMERS = {
    f"{_MODULE}._pca.PCA": principal_components,
    f"{_MODULE}._incremental_pca.IncrementalPCA": principal_components,
    f"{_MODULE}._truncated_svd.TruncatedSVD": projected,
    f"{_MODULE}._fastica.FastICA": independent_components,
    f"{_MODULE}._factor_analysis.FactorAnalysis": factors,
    "sklearn.random_projection.GaussianRandomProjection": projected,
    "sklearn.random_projection.SparseRandomProjection": projected,
}
