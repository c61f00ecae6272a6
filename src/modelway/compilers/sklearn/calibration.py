"""Calibrated classifiers: scores turned into probabilities, averaged over the folds.

The label is the largest averaged probability, and may differ from the estimator's own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.arithmetic import expit, normalized, softmax, two_shares
from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features
from modelway.compilers.graph import Graph
from modelway.compilers.sklearn.isotonic import isotonic_curve
from modelway.compilers.sklearn.responses import decision_of, probabilities_of
from modelway.domain.errors import NotCompilable

_LOG_OFFSET = 1e-12


def calibrated_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``CalibratedClassifierCV``: the mean over its calibrated classifiers."""
    g = c.graph
    total = ""
    for member in estimator.calibrated_classifiers_:
        part = _calibrated(c, member, features)
        total = g.op("Add", total, part) if total else part
    mean = g.op("Div", total, float(len(estimator.calibrated_classifiers_)))
    return Classified(g.argmax(mean), mean)


def _calibrated(c: Compilation, member: Any, features: Features) -> str:
    """Probabilities of one calibrated classifier, (n_rows, n_classes)."""
    g = c.graph
    estimator = member.estimator
    given = c.classify(estimator, features)
    by_decision = hasattr(estimator, "decision_function")
    binary = len(estimator.classes_) == 2
    if by_decision:
        score = decision_of(given)
    else:
        score = probabilities_of(given)
        score = g.columns(score, [1]) if binary else score
    if member.method == "temperature":
        value = _tempered(g, member, score, by_decision=by_decision, binary=binary)
    else:
        value = _one_by_one(g, member, score)
    above = g.op("And", g.op("Greater", value, 1.0), g.op("LessOrEqual", value, 1.0 + 1e-5))
    return g.op("Where", above, 1.0, value)


def _one_by_one(g: Graph, member: Any, score: str) -> str:
    """Each class through its own calibrator, then to a sum of one."""
    classes = np.asarray(member.classes)
    places = np.searchsorted(classes, np.asarray(member.estimator.classes_))
    if len(classes) == 2:
        return two_shares(g, _curve(g, member.calibrators[0], score))
    columns: list[str] = [""] * len(classes)
    for i, (place, calibrator) in enumerate(zip(places, member.calibrators, strict=False)):
        columns[int(place)] = _curve(g, calibrator, g.columns(score, [i]))
    zero = g.op("Mul", next(column for column in columns if column), 0.0)
    value = g.concatenate([column or zero for column in columns])
    return normalized(g, value, len(classes))


def _tempered(g: Graph, member: Any, score: str, *, by_decision: bool, binary: bool) -> str:
    """The softmax of the scores times one number."""
    if not by_decision:
        shares = two_shares(g, score) if binary else score
        logits = g.op("Log", g.op("Add", shares, _LOG_OFFSET))
    else:
        logits = g.concatenate([g.op("Neg", score), score]) if binary else score
    scaled = g.op("Mul", logits, float(member.calibrators[0].beta_))
    return softmax(g, scaled, len(member.estimator.classes_))


def _curve(g: Graph, calibrator: Any, score: str) -> str:
    """One calibrator's answer to a score, (n_rows, 1)."""
    kind = type(calibrator).__name__
    if kind == "_SigmoidCalibration":
        straight = g.op("Add", g.op("Mul", score, float(calibrator.a_)), float(calibrator.b_))
        return expit(g, g.op("Neg", straight))
    if kind != "IsotonicRegression":
        raise NotCompilable(f"calibration by {kind}")
    return isotonic_curve(g, calibrator, score)


CLASSIFIERS = {"sklearn.calibration.CalibratedClassifierCV": calibrated_classify}
