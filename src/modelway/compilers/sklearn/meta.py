"""Estimators made of estimators that vote, stack, chain or stand in for one of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features, joined, numbers
from modelway.compilers.sklearn.responses import (
    is_classifier,
    label_numbers,
    probabilities_of,
    response,
)
from modelway.compilers.sklearn.targets import untransformed
from modelway.domain.errors import NotCompilable


def inside(estimator: Any) -> Any:
    """The fitted estimator that answers for ``estimator``."""
    for name in ("best_estimator_", "estimator_", "base_estimator_"):
        found = getattr(estimator, name, None)
        if found is not None:
            return found
    return estimator.estimator


def delegate_transform(c: Compilation, estimator: Any, features: Features) -> Features:
    """An estimator that hands its input to the one inside."""
    return c.transform(inside(estimator), features)


def delegate_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """An estimator that hands its input to the one inside."""
    return c.classify(inside(estimator), features)


def delegate_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """An estimator that hands its input to the one inside."""
    return c.regress(inside(estimator), features)


def delegate_cluster(c: Compilation, estimator: Any, features: Features) -> Classified:
    """An estimator that hands its input to the one inside."""
    return c.cluster(inside(estimator), features)


def _weights(estimator: Any) -> list[float] | None:
    found = estimator._weights_not_none
    return None if found is None else [float(w) for w in found]


def _average(c: Compilation, parts: list[str], weights: list[float] | None) -> str:
    """``numpy.average`` of values of one shape: added in order, then divided."""
    g = c.graph
    if weights is not None:
        parts = [g.op("Mul", part, weight) for part, weight in zip(parts, weights, strict=True)]
    total = parts[0]
    for part in parts[1:]:
        total = g.op("Add", total, part)
    return g.op("Div", total, float(len(parts) if weights is None else np.sum(weights)))


def voting_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``VotingClassifier``: the average of probabilities, or the most votes."""
    g = c.graph
    if isinstance(estimator.le_, list):
        raise NotCompilable("a vote on several labels at once")
    given = [c.classify(member, features) for member in estimator.estimators_]
    weights = _weights(estimator)
    if estimator.voting == "soft":
        mean = _average(c, [probabilities_of(one) for one in given], weights)
        return Classified(g.argmax(mean), mean)
    n_classes = len(estimator.classes_)
    votes = ""
    for i, (member, one) in enumerate(zip(estimator.estimators_, given, strict=True)):
        voted = g.op("Gather", np.asarray(member.classes_, dtype=np.int64), one.index)
        hit = g.op("Equal", g.column(voted), np.arange(n_classes, dtype=np.int64))
        vote = g.op("Where", hit, 1.0 if weights is None else weights[i], 0.0)
        votes = g.op("Add", votes, vote) if votes else vote
    return Classified(g.argmax(votes))


def voting_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``VotingRegressor``: the average of the predictions."""
    parts = [c.regress(member, features) for member in estimator.estimators_]
    return _average(c, parts, _weights(estimator))


def stacked(c: Compilation, estimator: Any, features: Features) -> Features:
    """What the members of a stack answer, side by side; the input behind it where passed on."""
    parts = []
    binary = len(getattr(estimator, "classes_", ())) == 2
    for member, method in zip(estimator.estimators_, estimator.stack_method_, strict=True):
        value = response(c, member, features, method)
        if method == "predict_proba" and binary:
            # The second class says all there is to say.
            parts.append(numbers(c.graph.columns(value, [1]), 1))
        else:
            parts.append(numbers(value, _width(member, method)))
    if estimator.passthrough:
        parts.append(numbers(features.matrix(c.graph), features.width))
    return joined(parts)


def _width(estimator: Any, method: str) -> int:
    """How many columns the named method of a member gives."""
    if not is_classifier(estimator):
        return _n_outputs(estimator)
    n_classes = len(estimator.classes_)
    alone = method == "predict" or (method == "decision_function" and n_classes == 2)
    return 1 if alone else n_classes


def _n_outputs(estimator: Any) -> int:
    """How many values a regressor predicts at once; one where it does not say."""
    return int(getattr(estimator, "n_outputs_", 1))


def stacking_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``StackingClassifier``: the final estimator, on the members' answers."""
    if isinstance(estimator._label_encoder, list):
        raise NotCompilable("a stack for several labels at once")
    final = estimator.final_estimator_
    if not is_classifier(final):
        raise NotCompilable("a stack of a classifier that ends in a regressor")
    return c.classify(final, stacked(c, estimator, features))


def stacking_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``StackingRegressor``: the final estimator, on the members' answers."""
    return c.regress(estimator.final_estimator_, stacked(c, estimator, features))


def stacking_transform(c: Compilation, estimator: Any, features: Features) -> Features:
    """A stack as a transformer: the members' answers."""
    return stacked(c, estimator, features)


def voting_transform(c: Compilation, estimator: Any, features: Features) -> Features:
    """A vote as a transformer: what each member says."""
    if not is_classifier(estimator):
        return joined([numbers(c.regress(m, features), 1) for m in estimator.estimators_])
    given = [c.classify(member, features) for member in estimator.estimators_]
    if estimator.voting == "soft":
        if not estimator.flatten_transform:
            raise NotCompilable("a vote that gives a value of three axes")
        width = len(estimator.classes_)
        return joined([numbers(probabilities_of(one), width) for one in given])
    members = zip(estimator.estimators_, given, strict=True)
    return joined([numbers(label_numbers(c, m.classes_, one), 1) for m, one in members])


def multi_output_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``MultiOutputRegressor``: one regressor a target, side by side."""
    return c.graph.concatenate([c.regress(member, features) for member in estimator.estimators_])


def chain_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``RegressorChain``: each regressor also sees what those before it predicted."""
    given: list[str] = []
    seen = numbers(features.matrix(c.graph), features.width)
    for member in estimator.estimators_:
        given.append(c.regress(member, seen))
        seen = joined([seen, numbers(given[-1], 1)])
    place = {int(target): i for i, target in enumerate(estimator.order_)}
    return c.graph.concatenate([given[place[target]] for target in range(len(given))])


def transformed_target_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``TransformedTargetRegressor``: back from what was learned."""
    given = c.regress(estimator.regressor_, features)
    return untransformed(c.graph, estimator.transformer_, given)


_STAND_INS = (
    "sklearn.model_selection._search.GridSearchCV",
    "sklearn.model_selection._search.RandomizedSearchCV",
    "sklearn.model_selection._search_successive_halving.HalvingGridSearchCV",
    "sklearn.model_selection._search_successive_halving.HalvingRandomSearchCV",
    "sklearn.frozen._frozen.FrozenEstimator",
)
_ENSEMBLE = "sklearn.ensemble"

TRANSFORMERS = {
    **dict.fromkeys(_STAND_INS, delegate_transform),
    f"{_ENSEMBLE}._voting.VotingClassifier": voting_transform,
    f"{_ENSEMBLE}._voting.VotingRegressor": voting_transform,
    f"{_ENSEMBLE}._stacking.StackingClassifier": stacking_transform,
    f"{_ENSEMBLE}._stacking.StackingRegressor": stacking_transform,
}
CLASSIFIERS = {
    **dict.fromkeys(_STAND_INS, delegate_classify),
    "sklearn.semi_supervised._self_training.SelfTrainingClassifier": delegate_classify,
    f"{_ENSEMBLE}._voting.VotingClassifier": voting_classify,
    f"{_ENSEMBLE}._stacking.StackingClassifier": stacking_classify,
}
REGRESSORS = {
    **dict.fromkeys(_STAND_INS, delegate_regress),
    "sklearn.linear_model._ransac.RANSACRegressor": delegate_regress,
    "sklearn.multioutput.MultiOutputRegressor": multi_output_regress,
    "sklearn.multioutput.RegressorChain": chain_regress,
    "sklearn.compose._target.TransformedTargetRegressor": transformed_target_regress,
    f"{_ENSEMBLE}._voting.VotingRegressor": voting_regress,
    f"{_ENSEMBLE}._stacking.StackingRegressor": stacking_regress,
}
CLUSTERERS = dict.fromkeys(_STAND_INS, delegate_cluster)
