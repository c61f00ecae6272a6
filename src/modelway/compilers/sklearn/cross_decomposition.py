"""Partial least squares and canonical correlation."""

from __future__ import annotations

from typing import Any

from modelway.compilers.arithmetic import dense, product
from modelway.compilers.compilation import Compilation
from modelway.compilers.features import Features, numbers


def least_squares_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``PLSRegression``, ``PLSCanonical``, ``CCA``: a linear model of the centred columns."""
    rows = c.graph.op("Sub", features.matrix(c.graph), dense(estimator._x_mean))
    return product(c.graph, rows, estimator.coef_, estimator.intercept_)


def rotated(c: Compilation, estimator: Any, features: Features) -> Features:
    """``PLSRegression``, ``PLSCanonical``, ``CCA`` as transformers: the scores of the columns."""
    return _turned(c, estimator, features, estimator.x_rotations_)


def weighed(c: Compilation, estimator: Any, features: Features) -> Features:
    """``PLSSVD``: the scores of the columns."""
    return _turned(c, estimator, features, estimator.x_weights_)


def _turned(c: Compilation, estimator: Any, features: Features, directions: Any) -> Features:
    g = c.graph
    centred = g.op("Sub", features.matrix(g), dense(estimator._x_mean))
    rows = g.op("Div", centred, dense(estimator._x_std))
    return numbers(product(g, rows, directions.T), directions.shape[1])


_MODULE = "sklearn.cross_decomposition._pls"
_REGRESSIONS = (f"{_MODULE}.PLSRegression", f"{_MODULE}.PLSCanonical", f"{_MODULE}.CCA")
TRANSFORMERS = {**dict.fromkeys(_REGRESSIONS, rotated), f"{_MODULE}.PLSSVD": weighed}
REGRESSORS = dict.fromkeys(_REGRESSIONS, least_squares_regress)
