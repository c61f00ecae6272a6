"""Dummy estimators: the same answer to every row."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.arithmetic import dense
from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features
from modelway.domain.errors import NotCompilable


def dummy_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``DummyClassifier``: the most frequent class, or the one given."""
    if estimator.n_outputs_ > 1:
        raise NotCompilable("several labels at once")
    if estimator._strategy not in ("most_frequent", "prior", "constant"):
        raise NotCompilable(f"the strategy {estimator._strategy!r} draws its answers")
    prior = dense(estimator.class_prior_)
    index = int(prior.argmax())
    if estimator._strategy == "constant":
        given = np.ravel(estimator.constant)[0]
        index = int(np.flatnonzero(np.asarray(estimator.classes_) == given)[0])
    shares = prior if estimator._strategy == "prior" else np.eye(len(prior))[index]
    label = c.graph.flatten(repeated(c, features, np.array([[index]], dtype=np.int64)))
    return Classified(label, repeated(c, features, shares.reshape(1, -1)))


def dummy_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``DummyRegressor``: the constant of each target."""
    return repeated(c, features, dense(estimator.constant_).reshape(1, -1))


def repeated(c: Compilation, features: Features, row: Any) -> str:
    """A constant row (1, width) once for each row of the input."""
    n_rows = c.graph.op("Shape", features.blocks[0].value, start=0, end=1)
    width = np.array([row.shape[1]], dtype=np.int64)
    return c.graph.op("Expand", row, c.graph.op("Concat", n_rows, width, axis=0))


CLASSIFIERS = {"sklearn.dummy.DummyClassifier": dummy_classify}
REGRESSORS = {"sklearn.dummy.DummyRegressor": dummy_regress}
