"""Gaussian processes: kernels between a row and every training row, weighted and added up.

A classifier's probability is an integral that scikit-learn writes as five error functions; ONNX
Runtime has none for float64, so theirs is built from scipy's own rational functions.

Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", algorithms 2.1 and 3.2;
Cephes, ndtr.c (erf, erfc).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.arithmetic import (
    above,
    added,
    exponential,
    first_largest,
    normalized,
    product,
    two_shares,
)
from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features
from modelway.compilers.graph import Graph
from modelway.compilers.sklearn.distances import learned_points
from modelway.compilers.sklearn.kernels import between, with_itself
from modelway.domain.errors import NotCompilable

_SLOPES = np.array([0.41, 0.4, 0.37, 0.44, 0.39])
_SHARES = np.array([-1854.8214151, 3516.89893646, 221.29346712, 128.12323805, -2010.49422654])


def process_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``GaussianProcessRegressor``: the mean of the posterior."""
    g = c.graph
    if not hasattr(estimator, "X_train_"):
        raise NotCompilable("a Gaussian process without training rows")
    points = learned_points(estimator.X_train_, features.width)
    weights = np.asarray(estimator.alpha_, dtype=np.float64)
    shared = between(g, estimator.kernel_, features.matrix(g), points)
    mean = product(g, shared, weights.T)
    spread = np.asarray(estimator._y_train_std, dtype=np.float64)
    return g.op("Add", g.op("Mul", mean, spread), np.asarray(estimator._y_train_mean, np.float64))


def process_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``GaussianProcessClassifier``: one process for two classes, else one against the rest."""
    g = c.graph
    inner = estimator.base_estimator_
    if int(estimator.n_classes_) == 2:
        mean, share = _binary(g, inner, features)
        return Classified(above(g, mean, 0.0), two_shares(g, share))
    if estimator.multi_class != "one_vs_rest":
        raise NotCompilable("Gaussian processes of one class against one")
    shares = g.concatenate([_binary(g, member, features)[1] for member in inner.estimators_])
    return Classified(first_largest(g, shares), normalized(g, shares, len(inner.estimators_)))


def _binary(g: Graph, process: Any, features: Features) -> tuple[str, str]:
    """The latent mean and the probability of the second class, (n_rows, 1) each."""
    from scipy.linalg import solve_triangular

    rows = features.matrix(g)
    points = learned_points(process.X_train_, features.width)
    shared = between(g, process.kernel_, rows, points)
    mean = product(g, shared, process.y_train_ - process.pi_)
    solved = solve_triangular(process.L_, np.diag(process.W_sr_), lower=True)
    explained = product(g, shared, solved)
    explained = added(g, g.op("Mul", explained, explained), len(points))
    variance = g.op("Sub", with_itself(g, process.kernel_, rows, features.width), explained)

    alpha = g.op("Div", 1.0, g.op("Mul", variance, 2.0))
    root = g.op("Sqrt", g.op("Div", alpha, g.op("Add", alpha, _SLOPES**2)))
    curve = error_function(g, g.op("Mul", g.op("Mul", mean, _SLOPES), root))
    area = g.op("Mul", g.op("Sqrt", g.op("Div", float(np.pi), alpha)), curve)
    below = g.op("Sqrt", g.op("Mul", g.op("Mul", variance, 2.0), float(np.pi)))
    integrals = g.op("Div", area, g.op("Mul", below, 2.0))
    weighted = added(g, g.op("Mul", integrals, _SHARES), len(_SHARES))
    return mean, g.op("Add", weighted, float(0.5 * _SHARES.sum()))


def error_function(g: Graph, x: str) -> str:
    """erf of each double, to the last digits."""
    size = g.op("Abs", x)
    square = g.op("Mul", x, x)
    inner = g.op("Min", square, 1.0)
    near = g.op("Mul", x, g.op("Div", _polynomial(g, inner, _T), _polynomial(g, inner, _U)))
    # Beyond 8 erfc is below 1e-28: erf is 1 to the last digit whatever the fraction says.
    mild = g.op("Min", g.op("Max", size, 1.0), 8.0)
    fraction = g.op("Div", _polynomial(g, mild, _P), _polynomial(g, mild, _Q))
    tail = g.op("Mul", exponential(g, g.op("Neg", g.op("Mul", mild, mild))), fraction)
    far = g.op("Mul", g.op("Sign", x), g.op("Sub", 1.0, tail))
    return g.op("Where", g.op("LessOrEqual", size, 1.0), near, far)


def _polynomial(g: Graph, x: str, coefficients: tuple[float, ...]) -> str:
    """Horner's rule, the highest power first."""
    value = g.op("Add", g.op("Mul", x, coefficients[0]), coefficients[1])
    for coefficient in coefficients[2:]:
        value = g.op("Add", g.op("Mul", value, x), coefficient)
    return value


_P = (
    2.46196981473530512524e-10,
    5.64189564831068821977e-1,
    7.46321056442269912687e0,
    4.86371970985681366614e1,
    1.96520832956077098242e2,
    5.26445194995477358631e2,
    9.34528527171957607540e2,
    1.02755188689515710272e3,
    5.57535335369399327526e2,
)
_Q = (
    1.0,
    1.32281951154744992508e1,
    8.67072140885989742329e1,
    3.54937778887819891062e2,
    9.75708501743205489753e2,
    1.82390916687909736289e3,
    2.24633760818710981792e3,
    1.65666309194161350182e3,
    5.57535340817727675546e2,
)
_T = (
    9.60497373987051638749e0,
    9.00260197203842689217e1,
    2.23200534594684319226e3,
    7.00332514112805075473e3,
    5.55923013010394962768e4,
)
_U = (
    1.0,
    3.35617141647503099647e1,
    5.21357949780152679795e2,
    4.59432382970980127987e3,
    2.26290000613890934246e4,
    4.92673942608635921086e4,
)

_MODULE = "sklearn.gaussian_process"

CLASSIFIERS = {f"{_MODULE}._gpc.GaussianProcessClassifier": process_classify}
REGRESSORS = {f"{_MODULE}._gpr.GaussianProcessRegressor": process_regress}
