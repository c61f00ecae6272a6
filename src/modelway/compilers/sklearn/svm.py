"""Support vector machines of libsvm: kernels, votes of pairs of classes, Platt's probabilities.

The label is the class with the most votes, not the most probable one, and not the largest of
``decision_function``. A pair votes for its first class where the decision lies above 0.

Source: libsvm, ``svm_predict_values``, ``svm_predict_probability`` and ``Kernel::k_function``.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from modelway.compilers.arithmetic import (
    added,
    dense,
    exponential,
    first_largest,
    product,
)
from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features
from modelway.compilers.graph import Graph
from modelway.compilers.sklearn.coupling import coupled
from modelway.domain.errors import NotCompilable

Floats = npt.NDArray[np.float64]

_FARTHEST = 1e150
_LEAST_SHARE = 1e-7


def machine_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``SVC``, ``NuSVC``."""
    g = c.graph
    n_classes = len(estimator.classes_)
    pairs = list(combinations(range(n_classes), 2))
    decision = _weighed(c, estimator, features, _pair_coefficients(estimator, pairs))
    probabilities = None
    if hasattr(estimator, "predict_proba"):
        probabilities = coupled(g, _pair_shares(g, estimator, decision), n_classes)
    first = g.op("Greater", decision, 0.0)
    if n_classes == 2:
        index = g.cast(g.flatten(g.op("Not", first)), "int64")
        return Classified(index, probabilities, g.op("Neg", decision))
    said = None
    if estimator.decision_function_shape == "ovr":
        said = _one_vs_rest(g, decision, pairs, n_classes)
    if said is not None and estimator.break_ties:
        index = first_largest(g, said)
    else:
        index = g.argmax(_votes(g, first, pairs, n_classes))
    return Classified(index, probabilities, said)


def machine_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``SVR``, ``NuSVR``."""
    return _weighed(c, estimator, features, dense(estimator._dual_coef_).T)


def _weighed(c: Compilation, estimator: Any, features: Features, weights: Floats) -> str:
    """The kernel's values times the weights (n_vectors, n_outputs), plus the intercepts."""
    g = c.graph
    vectors = dense(estimator.support_vectors_)
    if not len(weights):
        # Every target lies within epsilon: vectors without weight stand for none.
        vectors, weights = np.zeros((2, features.width)), np.zeros((2, weights.shape[1]))
    if len(weights) % 2 and estimator.kernel != "precomputed":
        # Exp and Tanh take two values at once: a vector without weight makes the number even.
        vectors = np.vstack([vectors, np.zeros((1, vectors.shape[1]))])
        weights = np.vstack([weights, np.zeros((1, weights.shape[1]))])
    kernel = _kernel(g, estimator, features.matrix(g), vectors)
    return product(g, kernel, weights.T, estimator._intercept_)


def _kernel(g: Graph, estimator: Any, rows: str, vectors: Floats) -> str:
    """The kernel between each row and each support vector, (n_rows, n_vectors)."""
    kernel = estimator.kernel
    if kernel == "precomputed":
        return g.columns(rows, estimator.support_)
    if kernel == "rbf":
        return _rbf(g, rows, vectors, float(estimator._gamma))
    if kernel not in ("linear", "poly", "sigmoid"):
        raise NotCompilable("a kernel of the user's own")
    dots = product(g, rows, vectors)
    if kernel == "linear":
        return dots
    shifted = g.op("Add", g.op("Mul", dots, float(estimator._gamma)), float(estimator.coef0))
    if kernel == "sigmoid":
        return g.op("Tanh", shifted)
    return _power(g, shifted, int(estimator.degree))


def _rbf(g: Graph, rows: str, vectors: Floats, gamma: float) -> str:
    """exp(-gamma * squared distance); distances about a centre of the vectors keep their digits.

    The centre is a round number, so that whole numbers stay whole and equal distances equal. Far
    rows are brought near enough for their squares to be finite; their kernel is 0 all the same.
    """
    spread = np.ptp(vectors, axis=0)
    unit = np.exp2(np.ceil(np.log2(np.where(spread > 0, spread, 1.0))))
    centre = np.round(vectors.mean(axis=0) / unit) * unit
    vectors = vectors - centre
    near = g.op("Clip", g.op("Sub", rows, centre), -_FARTHEST, _FARTHEST)
    own = added(g, g.op("Mul", near, near), vectors.shape[1])
    crossed = product(g, near, -2 * vectors, (vectors * vectors).sum(axis=1))
    distance = g.op("Max", g.op("Add", crossed, own), 0.0)
    return g.op("Exp", g.op("Mul", distance, -gamma))


def _power(g: Graph, base: str, times: int) -> str:
    """``base`` to a whole power, by libsvm's squarings."""
    given = ""
    square = base
    while times > 0:
        if times % 2:
            given = g.op("Mul", given, square) if given else square
        times //= 2
        if times:
            square = g.op("Mul", square, square)
    return given or g.op("Add", g.op("Mul", base, 0.0), 1.0)


def _pair_coefficients(estimator: Any, pairs: list[tuple[int, int]]) -> Floats:
    """The weight of each support vector in the decision of each pair, (n_vectors, n_pairs)."""
    dual = dense(estimator._dual_coef_)
    ends = np.cumsum(estimator._n_support)
    own = [slice(end - n, end) for end, n in zip(ends, estimator._n_support, strict=True)]
    weights = np.zeros((dual.shape[1], len(pairs)))
    for k, (i, j) in enumerate(pairs):
        weights[own[i], k] = dual[j - 1, own[i]]
        weights[own[j], k] = dual[i, own[j]]
    return weights


def _members(pairs: list[tuple[int, int]], n_classes: int) -> tuple[Floats, Floats]:
    """Which class is the first and which the second of each pair, both (n_pairs, n_classes)."""
    first, second = zip(*pairs, strict=True)
    return np.eye(n_classes)[list(first)], np.eye(n_classes)[list(second)]


def _votes(g: Graph, first: str, pairs: list[tuple[int, int]], n_classes: int) -> str:
    """How many pairs speak for each class; ``first`` says which speak for their first."""
    for_first, for_second = _members(pairs, n_classes)
    swing = g.op("MatMul", g.cast(first, "double"), for_first - for_second)
    return g.op("Add", swing, for_second.sum(axis=0))


def _one_vs_rest(g: Graph, decision: str, pairs: list[tuple[int, int]], n_classes: int) -> str:
    """``decision_function`` of shape "ovr": votes, and less than half a vote of confidence."""
    for_first, for_second = _members(pairs, n_classes)
    votes = _votes(g, g.op("Not", g.op("Less", decision, 0.0)), pairs, n_classes)
    trust = g.op("MatMul", decision, for_first - for_second)
    weight = g.op("Mul", g.op("Add", g.op("Abs", trust), 1.0), 3.0)
    return g.op("Add", votes, g.op("Div", trust, weight))


def _pair_shares(g: Graph, estimator: Any, decision: str) -> str:
    """How probable the first class of each pair is, by Platt's sigmoid."""
    slope, start = dense(estimator._probA), dense(estimator._probB)
    straight = g.op("Add", g.op("Mul", decision, slope), start)
    power = exponential(g, g.op("Neg", g.op("Abs", straight)))
    upper = g.op("GreaterOrEqual", straight, 0.0)
    share = g.op("Div", g.op("Where", upper, power, 1.0), g.op("Add", power, 1.0))
    return g.op("Min", g.op("Max", share, _LEAST_SHARE), 1 - _LEAST_SHARE)


_CLASSES = "sklearn.svm._classes"
CLASSIFIERS = {f"{_CLASSES}.SVC": machine_classify, f"{_CLASSES}.NuSVC": machine_classify}
REGRESSORS = {f"{_CLASSES}.SVR": machine_regress, f"{_CLASSES}.NuSVR": machine_regress}
