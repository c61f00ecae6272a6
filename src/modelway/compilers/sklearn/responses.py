"""What an estimator inside another one answers: probabilities, a decision, a label or a value."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features
from modelway.domain.errors import NotCompilable

Method = Literal["predict_proba", "decision_function", "predict"]


def probabilities_of(given: Classified) -> str:
    """The probabilities. Raises NotCompilable where they have no exact form."""
    if given.probabilities is None:
        raise NotCompilable("the probabilities of an estimator inside have no exact ONNX form")
    return given.probabilities


def decision_of(given: Classified) -> str:
    """The decision function. Raises NotCompilable where it has no exact form."""
    if given.decision is None:
        raise NotCompilable("the decision function of an estimator inside has no exact ONNX form")
    return given.decision


def is_classifier(estimator: Any) -> bool:
    """Whether ``estimator`` is a fitted classifier, as scikit-learn sees it."""
    from sklearn.base import is_classifier as said

    return bool(said(estimator))


def response(c: Compilation, estimator: Any, features: Features, method: str) -> str:
    """What the named method gives, double (n_rows, width).

    A decision of two classes has one column; labels are given as numbers.

    Raises:
        NotCompilable: labels are not numbers, or the answer has no exact form.
    """
    if not is_classifier(estimator):
        return c.regress(estimator, features)
    given = c.classify(estimator, features)
    if method == "predict_proba":
        return probabilities_of(given)
    if method == "decision_function":
        return decision_of(given)
    return label_numbers(c, estimator.classes_, given)


def label_numbers(c: Compilation, classes: Any, given: Classified) -> str:
    """The label itself as a number, double (n_rows, 1). Raises NotCompilable for text."""
    labels = np.asarray(classes)
    if labels.dtype.kind not in "biuf":
        raise NotCompilable("labels that are text, taken as features")
    return c.graph.column(c.graph.op("Gather", labels.astype(np.float64), given.index))


def positive_score(c: Compilation, estimator: Any, features: Features) -> tuple[str, float]:
    """How much a binary estimator speaks for its second class, and where the border lies.

    The score, (n_rows, 1), is the decision, else the probability, or what a regressor predicts; the
    border is 0 for a decision and one half otherwise.
    """
    g = c.graph
    if type(estimator).__name__ == "_ConstantPredictor":
        n_rows = g.op("Shape", features.blocks[0].value, start=0, end=1)
        shape = g.op("Concat", n_rows, np.array([1], dtype=np.int64), axis=0)
        return g.op("Expand", float(estimator.y_[0]), shape), 0.0
    if not is_classifier(estimator):
        return c.regress(estimator, features), 0.5
    given = c.classify(estimator, features)
    if hasattr(estimator, "decision_function"):
        return decision_of(given), 0.0
    return g.columns(probabilities_of(given), [1]), 0.5
