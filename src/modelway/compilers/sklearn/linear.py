"""Linear models: one product with the coefficients, and what each estimator makes of it."""

from __future__ import annotations

from typing import Any

from modelway.compilers.arithmetic import (
    above,
    expit,
    exponential,
    first_largest,
    normalized,
    product,
    softmax,
    two_shares,
)
from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features
from modelway.compilers.graph import Graph
from modelway.domain.errors import NotCompilable


def scores(c: Compilation, estimator: Any, features: Features) -> str:
    """``X @ coef_.T + intercept_``: (n_rows, n_outputs), one column where ``coef_`` is flat."""
    return product(c.graph, features.matrix(c.graph), estimator.coef_, estimator.intercept_)


def linear_label(graph: Graph, decision: str, n_classes: int) -> str:
    """The class of a linear decision: of two the second above 0, else the first of the largest."""
    return above(graph, decision, 0.0) if n_classes == 2 else first_largest(graph, decision)


def linear_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """A linear classifier without probabilities."""
    labels = getattr(estimator, "_label_binarizer", None)
    if labels is not None and labels.y_type_.startswith("multilabel"):
        raise NotCompilable("several labels at once")
    decision = scores(c, estimator, features)
    return Classified(linear_label(c.graph, decision, len(estimator.classes_)), None, decision)


def logistic_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``LogisticRegression``, ``LogisticRegressionCV``: the softmax, or each class on its own.

    Each on its own, as older versions of scikit-learn did where asked, or by liblinear.
    """
    g = c.graph
    decision = scores(c, estimator, features)
    n_classes = len(estimator.classes_)
    asked = getattr(estimator, "multi_class", "auto")
    if asked == "ovr" or (
        asked != "multinomial" and (n_classes == 2 or estimator.solver == "liblinear")
    ):
        probabilities = one_vs_rest_shares(g, decision, n_classes)
    else:
        both = g.concatenate([g.op("Neg", decision), decision]) if n_classes == 2 else decision
        probabilities = softmax(g, both, n_classes)
    return Classified(linear_label(g, decision, n_classes), probabilities, decision)


def descent_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``SGDClassifier``: probabilities by the logistic or the modified Huber loss only."""
    g = c.graph
    decision = scores(c, estimator, features)
    n_classes = len(estimator.classes_)
    probabilities = None
    if estimator.loss == "log_loss":
        probabilities = one_vs_rest_shares(g, decision, n_classes)
    elif estimator.loss == "modified_huber":
        share = g.op("Min", g.op("Max", decision, -1.0), 1.0)
        share = g.op("Div", g.op("Add", share, 1.0), 2.0)
        binary = n_classes == 2
        probabilities = two_shares(g, share) if binary else normalized(g, share, n_classes)
    return Classified(linear_label(g, decision, n_classes), probabilities, decision)


def one_vs_rest_shares(graph: Graph, decision: str, n_classes: int) -> str:
    """The logistic function of each score, to a sum of one."""
    share = expit(graph, decision)
    if n_classes == 2:
        return two_shares(graph, share)
    return normalized(graph, share, n_classes)


def linear_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """A linear regressor: the scores are the prediction."""
    return scores(c, estimator, features)


def log_link_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """A generalized linear regressor: the scores through the inverse of its link."""
    given = scores(c, estimator, features)
    link = type(estimator._base_loss.link).__name__
    if link == "IdentityLink":
        return given
    if link != "LogLink":
        raise NotCompilable(f"a generalized linear model with the link {link}")
    return exponential(c.graph, given)


_LINEAR = "sklearn.linear_model"
_PLAIN_REGRESSORS = {
    "_base": ("LinearRegression",),
    "_ridge": ("Ridge", "RidgeCV"),
    "_coordinate_descent": (
        "Lasso",
        "LassoCV",
        "ElasticNet",
        "ElasticNetCV",
        "MultiTaskLasso",
        "MultiTaskLassoCV",
        "MultiTaskElasticNet",
        "MultiTaskElasticNetCV",
    ),
    "_least_angle": ("Lars", "LarsCV", "LassoLars", "LassoLarsCV", "LassoLarsIC"),
    "_omp": ("OrthogonalMatchingPursuit", "OrthogonalMatchingPursuitCV"),
    "_bayes": ("BayesianRidge", "ARDRegression"),
    "_huber": ("HuberRegressor",),
    "_theil_sen": ("TheilSenRegressor",),
    "_quantile": ("QuantileRegressor",),
    "_stochastic_gradient": ("SGDRegressor",),
    "_passive_aggressive": ("PassiveAggressiveRegressor",),
}

CLASSIFIERS = {
    f"{_LINEAR}._logistic.LogisticRegression": logistic_classify,
    f"{_LINEAR}._logistic.LogisticRegressionCV": logistic_classify,
    f"{_LINEAR}._ridge.RidgeClassifier": linear_classify,
    f"{_LINEAR}._ridge.RidgeClassifierCV": linear_classify,
    f"{_LINEAR}._perceptron.Perceptron": linear_classify,
    f"{_LINEAR}._passive_aggressive.PassiveAggressiveClassifier": linear_classify,
    f"{_LINEAR}._stochastic_gradient.SGDClassifier": descent_classify,
    "sklearn.svm._classes.LinearSVC": linear_classify,
}
REGRESSORS = {
    **{
        f"{_LINEAR}.{module}.{name}": linear_regress
        for module, names in _PLAIN_REGRESSORS.items()
        for name in names
    },
    "sklearn.svm._classes.LinearSVR": linear_regress,
    f"{_LINEAR}._glm.glm.PoissonRegressor": log_link_regress,
    f"{_LINEAR}._glm.glm.GammaRegressor": log_link_regress,
    f"{_LINEAR}._glm.glm.TweedieRegressor": log_link_regress,
}
