"""Compiled votes, stacks, calibrations and the like answer as the originals do, on hard rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, RANSACRegressor
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from modelway.domain.errors import NotCompilable
from support.answering import assert_same, hard_rows, opened

IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
DIABETES, PROGRESS = load_diabetes(return_X_y=True)


def tree(depth: int = 3) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=depth, random_state=0)


def boosted() -> GradientBoostingClassifier:
    return GradientBoostingClassifier(n_estimators=4, random_state=0)


def value_tree(depth: int = 4) -> DecisionTreeRegressor:
    return DecisionTreeRegressor(max_depth=depth, random_state=0)


def members() -> list[tuple[str, Any]]:
    scaled = make_pipeline(StandardScaler(), tree(2))
    return [("tree", tree()), ("boosted", boosted()), ("scaled", scaled)]


def value_members() -> list[tuple[str, Any]]:
    scaled = make_pipeline(StandardScaler(), value_tree(2))
    boosted_values = GradientBoostingRegressor(n_estimators=3, random_state=0)
    return [("tree", value_tree()), ("boosted", boosted_values), ("scaled", scaled)]


CLASSIFIERS = [
    VotingClassifier(members()),
    VotingClassifier(members(), weights=[1, 2, 1.5]),
    VotingClassifier(members(), voting="soft"),
    VotingClassifier(members(), voting="soft", weights=[1, 2, 0.5]),
    make_pipeline(VotingClassifier(members(), voting="soft"), tree()),
    StackingClassifier(members(), tree()),
    StackingClassifier(members(), boosted(), passthrough=True),
    StackingClassifier(members(), boosted(), stack_method="predict"),
    StackingClassifier(members(), boosted(), stack_method="predict_proba"),
    OneVsRestClassifier(tree()),
    OneVsRestClassifier(boosted()),
    OneVsOneClassifier(tree()),
    OneVsOneClassifier(boosted()),
    OutputCodeClassifier(boosted(), code_size=3, random_state=0),
    CalibratedClassifierCV(boosted()),
    CalibratedClassifierCV(tree(), method="isotonic"),
    CalibratedClassifierCV(boosted(), method="isotonic", ensemble=False),
    CalibratedClassifierCV(boosted(), method="temperature"),
    CalibratedClassifierCV(tree(), method="temperature"),
    GridSearchCV(tree(), {"max_depth": [1, 2]}),
    RandomizedSearchCV(tree(), {"max_depth": [1, 2]}, n_iter=1, random_state=0),
]
REGRESSORS = [
    VotingRegressor(value_members()),
    VotingRegressor(value_members(), weights=[1, 2, 0.5]),
    StackingRegressor(value_members(), value_tree()),
    StackingRegressor(value_members(), value_tree(), passthrough=True),
    RANSACRegressor(value_tree(), min_samples=50, random_state=0),
    GridSearchCV(value_tree(), {"max_depth": [2]}),
    TransformedTargetRegressor(value_tree()),
    TransformedTargetRegressor(value_tree(), func=np.log1p, inverse_func=np.expm1),
    TransformedTargetRegressor(value_tree(), transformer=StandardScaler()),
    TransformedTargetRegressor(value_tree(), transformer=MinMaxScaler()),
    TransformedTargetRegressor(value_tree(), transformer=RobustScaler()),
    TransformedTargetRegressor(value_tree(), transformer=PowerTransformer()),
    TransformedTargetRegressor(value_tree(), transformer=PowerTransformer("box-cox")),
    TransformedTargetRegressor(value_tree(), transformer=QuantileTransformer(n_quantiles=50)),
    TransformedTargetRegressor(
        LinearRegression(),
        transformer=QuantileTransformer(n_quantiles=50, output_distribution="normal"),
    ),
    TransformedTargetRegressor(LinearRegression(), transformer=QuantileTransformer(n_quantiles=9)),
    TransformedTargetRegressor(
        value_tree(), transformer=make_pipeline(StandardScaler(), PowerTransformer())
    ),
]
OF_TWO_CLASSES = [
    FixedThresholdClassifier(tree(), threshold=0.3),
    FixedThresholdClassifier(boosted()),
    FixedThresholdClassifier(
        boosted(), threshold=0.2, pos_label="versicolor", response_method="decision_function"
    ),
    TunedThresholdClassifierCV(tree()),
    TunedThresholdClassifierCV(boosted()),
]
OF_SEVERAL_TARGETS = [
    MultiOutputRegressor(value_tree()),
    RegressorChain(value_tree()),
    RegressorChain(value_tree(), order=[2, 0, 1]),
    TransformedTargetRegressor(value_tree(), transformer=StandardScaler()),
]


@pytest.mark.parametrize("model", CLASSIFIERS, ids=str)
def test_three_classes(model: Any) -> None:
    model.fit(IRIS, NAMES)
    assert_same(model, hard_rows(model, IRIS))


@pytest.mark.parametrize("model", [*CLASSIFIERS, *OF_TWO_CLASSES], ids=str)
def test_two_classes(model: Any) -> None:
    model.fit(IRIS[50:], NAMES[50:])
    assert_same(model, hard_rows(model, IRIS[50:]))


@pytest.mark.parametrize("model", REGRESSORS, ids=str)
def test_regressors(model: Any) -> None:
    model.fit(DIABETES, PROGRESS)
    assert_same(model, hard_rows(model, DIABETES), tolerance=1e-9)


@pytest.mark.parametrize("model", OF_SEVERAL_TARGETS, ids=str)
def test_several_targets(model: Any) -> None:
    model.fit(DIABETES, np.stack([PROGRESS, -PROGRESS, DIABETES[:, 0]], axis=1))
    assert_same(model, hard_rows(model, DIABETES))


def test_labels_found_by_self_training() -> None:
    known = np.where(np.arange(len(SPECIES)) % 3 == 0, SPECIES, -1)
    model = SelfTrainingClassifier(boosted()).fit(IRIS, known)
    assert_same(model, hard_rows(model, IRIS))


def test_frozen_estimators_answer_themselves() -> None:
    frozen = FrozenEstimator(boosted().fit(IRIS, NAMES))
    assert_same(frozen, hard_rows(frozen, IRIS))
    calibrated = CalibratedClassifierCV(frozen).fit(IRIS, NAMES)
    assert_same(calibrated, hard_rows(calibrated, IRIS))


def test_an_inverse_of_the_users_own_stays_native() -> None:
    model = TransformedTargetRegressor(
        value_tree(), func=lambda y: y / 3, inverse_func=lambda y: y * 3
    ).fit(DIABETES, PROGRESS)
    with pytest.raises(NotCompilable, match="on the target"):
        opened(model, DIABETES)
