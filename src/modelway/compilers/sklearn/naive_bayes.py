"""Naive Bayes classifiers: joint log likelihoods, the largest of them, and their log-sum-exp."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.arithmetic import (
    dense,
    first_largest,
    pairwise_sum,
    posterior,
    product,
)
from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features
from modelway.compilers.graph import Graph


def gaussian_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``GaussianNB``: squared distances in units of the variance, all classes at once."""
    g = c.graph
    n_classes, width = estimator.theta_.shape
    rows = g.op("Unsqueeze", features.matrix(g), np.array([1], dtype=np.int64))
    offset = g.op("Sub", rows, dense(estimator.theta_))
    squares = g.op("Div", g.op("Mul", offset, offset), dense(estimator.var_))
    distance = g.op("Mul", pairwise_sum(g, squares, width), 0.5)
    flat = g.op("Reshape", distance, np.array([-1, n_classes], dtype=np.int64))
    start = -0.5 * np.sum(np.log(2.0 * np.pi * estimator.var_), axis=1)
    joint = g.op("Add", g.op("Sub", dense(start), flat), dense(np.log(estimator.class_prior_)))
    return _most_likely(g, joint, n_classes)


def multinomial_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``MultinomialNB``: counts times log probabilities, plus the log prior."""
    return _weighed(c, features.matrix(c.graph), estimator, estimator.class_log_prior_)


def complement_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``ComplementNB``: as ``MultinomialNB``, but without a prior."""
    prior = estimator.class_log_prior_ if len(estimator.classes_) == 1 else 0.0
    return _weighed(c, features.matrix(c.graph), estimator, prior)


def bernoulli_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``BernoulliNB``: the log probabilities of what is there and of what is not."""
    g = c.graph
    rows = features.matrix(g)
    if estimator.binarize is not None:
        rows = g.cast(g.op("Greater", rows, float(estimator.binarize)), "double")
    absent = np.log(1 - np.exp(estimator.feature_log_prob_))
    weights = estimator.feature_log_prob_ - absent
    start = estimator.class_log_prior_ + absent.sum(axis=1)
    return _most_likely(g, product(g, rows, weights, start), len(estimator.classes_))


def categorical_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``CategoricalNB``: the log probabilities of the categories, column after column.

    A category it does not know, on which scikit-learn raises, gives NaN.
    """
    g = c.graph
    n_classes = len(estimator.classes_)
    tables = [dense(table).T for table in estimator.feature_log_prob_]
    sizes = np.array([len(table) for table in tables], dtype=np.int64)
    known = np.concatenate([*tables, np.full((1, n_classes), np.nan)])
    place = g.cast(features.matrix(g), "int64")
    outside = g.op("Or", g.op("Less", place, 0), g.op("GreaterOrEqual", place, sizes))
    moved = g.op("Add", place, np.cumsum(sizes) - sizes)
    moved = g.op("Where", outside, len(known) - 1, moved)
    found = g.op("Gather", known, moved, axis=0)
    total = g.op("MatMul", np.ones((1, len(tables))), found)
    total = g.op("Reshape", total, np.array([-1, n_classes], dtype=np.int64))
    joint = g.op("Add", total, dense(estimator.class_log_prior_))
    return _most_likely(g, joint, n_classes)


def _weighed(c: Compilation, rows: str, estimator: Any, start: Any) -> Classified:
    joint = product(c.graph, rows, estimator.feature_log_prob_, start)
    return _most_likely(c.graph, joint, len(estimator.classes_))


def _most_likely(graph: Graph, joint: str, n_classes: int) -> Classified:
    return Classified(first_largest(graph, joint), posterior(graph, joint, n_classes))


_MODULE = "sklearn.naive_bayes"
CLASSIFIERS = {
    f"{_MODULE}.GaussianNB": gaussian_classify,
    f"{_MODULE}.MultinomialNB": multinomial_classify,
    f"{_MODULE}.ComplementNB": complement_classify,
    f"{_MODULE}.BernoulliNB": bernoulli_classify,
    f"{_MODULE}.CategoricalNB": categorical_classify,
}
