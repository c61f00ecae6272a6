"""Many classes out of two: one against the rest or against one, output codes, moved borders."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.arithmetic import added, two_shares
from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features
from modelway.compilers.sklearn.meta import inside
from modelway.compilers.sklearn.responses import (
    decision_of,
    is_classifier,
    positive_score,
    probabilities_of,
)
from modelway.domain.errors import NotCompilable


def one_vs_rest_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``OneVsRestClassifier``: the class whose own estimator speaks loudest."""
    g = c.graph
    if estimator.multilabel_:
        raise NotCompilable("several labels at once")
    members = estimator.estimators_
    scores = [positive_score(c, member, features) for member in members]
    probabilities = None
    if all(hasattr(m, "predict_proba") for m in members):
        shares = g.concatenate([_second_share(c, m, features) for m in members])
        if len(members) == 1:
            shares = two_shares(g, shares)
        total = added(g, shares, max(2, len(members)))
        none = g.op("Equal", total, 0.0)
        probabilities = g.op("Div", shares, g.op("Where", none, 1.0, total))
    score = g.concatenate([value for value, _ in scores])
    has_decision = all(hasattr(m, "decision_function") for m in members)
    if len(members) == 1:
        index = g.cast(g.flatten(g.op("Greater", score, scores[0][1])), "int64")
    else:
        index = g.argmax(score)
    return Classified(index, probabilities, score if has_decision else None)


def _second_share(c: Compilation, member: Any, features: Features) -> str:
    if type(member).__name__ == "_ConstantPredictor":
        return positive_score(c, member, features)[0]
    return c.graph.columns(probabilities_of(c.classify(member, features)), [1])


def one_vs_one_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``OneVsOneClassifier``: votes, and less than half a vote for confidence."""
    g = c.graph
    if estimator.pairwise_indices_ is not None:
        raise NotCompilable("one against one over a precomputed kernel")
    n_classes = len(estimator.classes_)
    pairs = [(i, j) for i in range(n_classes) for j in range(i + 1, n_classes)]
    confidence: list[str] = [""] * n_classes
    votes: list[str] = [""] * n_classes
    border = 0.0
    for (i, j), member in zip(pairs, estimator.estimators_, strict=True):
        score, border = positive_score(c, member, features)
        if is_classifier(member):
            second = g.cast(g.column(c.classify(member, features).index), "double")
        else:
            raise NotCompilable("one against one with regressors")
        for place, vote, trust in (
            (i, g.op("Sub", 1.0, second), g.op("Neg", score)),
            (j, second, score),
        ):
            votes[place] = g.op("Add", votes[place], vote) if votes[place] else vote
            held = confidence[place]
            confidence[place] = g.op("Add", held, trust) if held else trust
    trust = g.concatenate(confidence)
    weight = g.op("Mul", g.op("Add", g.op("Abs", trust), 1.0), 3.0)
    decision = g.op("Add", g.concatenate(votes), g.op("Div", trust, weight))
    if n_classes > 2:
        return Classified(g.argmax(decision), None, decision)
    decision = g.columns(decision, [1])
    return Classified(g.cast(g.flatten(g.op("Greater", decision, border)), "int64"), None, decision)


def output_code_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``OutputCodeClassifier``: the class whose code lies nearest to the scores."""
    g = c.graph
    codes = np.asarray(estimator.code_book_, dtype=np.float64)
    score = g.concatenate([positive_score(c, m, features)[0] for m in estimator.estimators_])
    own = added(g, g.op("Mul", score, score), codes.shape[1])
    crossed = g.op("Mul", g.op("MatMul", score, np.ascontiguousarray(codes.T)), -2.0)
    distance = g.op("Add", g.op("Add", own, crossed), (codes * codes).sum(axis=1))
    nearest = g.op("Neg", g.op("Max", distance, 0.0))
    return Classified(g.argmax(nearest))


def threshold_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``FixedThresholdClassifier``, ``TunedThresholdClassifierCV``: a border of their own."""
    g = c.graph
    member = inside(estimator)
    given = c.classify(member, features)
    positive = _positive_label(estimator)
    classes = list(np.asarray(estimator.classes_).tolist())
    place = 1 if positive is None else classes.index(positive)
    method = estimator._get_response_method()
    methods = [method] if isinstance(method, str) else list(method)
    used = next(name for name in methods if hasattr(member, name))
    if used == "predict_proba":
        score, automatic = g.columns(probabilities_of(given), [place]), 0.5
    else:
        score, automatic = decision_of(given), 0.0
        if place == 0:
            score = g.op("Neg", score)
    border = getattr(estimator, "best_threshold_", None)
    if border is None:
        border = automatic if estimator.threshold == "auto" else estimator.threshold
    above = g.flatten(g.op("GreaterOrEqual", score, float(border)))
    index = g.op("Where", above, place, 1 - place)
    return Classified(index, given.probabilities, given.decision)


def _positive_label(estimator: Any) -> Any:
    scorer = getattr(estimator, "_curve_scorer", None)
    return estimator.pos_label if scorer is None else scorer._get_pos_label()


CLASSIFIERS = {
    "sklearn.multiclass.OneVsRestClassifier": one_vs_rest_classify,
    "sklearn.multiclass.OneVsOneClassifier": one_vs_one_classify,
    "sklearn.multiclass.OutputCodeClassifier": output_code_classify,
    "sklearn.model_selection._classification_threshold.FixedThresholdClassifier": (
        threshold_classify
    ),
    "sklearn.model_selection._classification_threshold.TunedThresholdClassifierCV": (
        threshold_classify
    ),
}
