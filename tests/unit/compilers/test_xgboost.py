"""Compiled XGBoost models answer as the originals do, on hard rows, in float32 throughout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xgboost
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelway.compilers.xgboost import XgboostCompiler
from modelway.domain.errors import NotCompilable
from support.answering import assert_same, hard_rows, opened
from support.boosting import OF_A_BOOSTER, assert_booster_same, compiled_on_categories
from support.categories import NUMBERS, TEXTS, asked, framed

IRIS, SPECIES = load_iris(return_X_y=True)
DIABETES, PROGRESS = load_diabetes(return_X_y=True)
HOLES = np.where(np.random.default_rng(0).random(IRIS.shape) < 0.2, np.nan, IRIS)
SMALL = {"eta": 0.4, "seed": 0, "nthread": 1}

OBJECTIVES = [
    "reg:squarederror",
    "reg:squaredlogerror",
    "reg:pseudohubererror",
    "reg:absoluteerror",
    "reg:logistic",
    "reg:gamma",
    "reg:tweedie",
    "count:poisson",
    "survival:cox",
    "binary:logistic",
    "binary:logitraw",
    "binary:hinge",
    "rank:pairwise",
    "rank:ndcg",
]
BOOSTERS: list[dict[str, Any]] = [
    {"booster": "gbtree", "tree_method": "exact"},
    {"booster": "gbtree", "tree_method": "hist", "grow_policy": "lossguide", "max_leaves": 7},
    {"booster": "gbtree", "num_parallel_tree": 3, "subsample": 0.5},
    {"booster": "gbtree", "base_score": 0.3},
    {"booster": "dart", "rate_drop": 0.3},
    {"booster": "gblinear"},
]
CLASSIFIERS = [
    xgboost.XGBClassifier(n_estimators=12, max_depth=3),
    xgboost.XGBClassifier(n_estimators=5, booster="dart", rate_drop=0.2),
    xgboost.XGBClassifier(n_estimators=5, booster="gblinear"),
    xgboost.XGBClassifier(n_estimators=1, max_depth=1),
    xgboost.XGBRFClassifier(n_estimators=9),
]
REGRESSORS = [
    xgboost.XGBRegressor(n_estimators=20),
    xgboost.XGBRegressor(n_estimators=8, objective="count:poisson"),
    xgboost.XGBRegressor(n_estimators=8, objective="reg:gamma", base_score=30.0),
    xgboost.XGBRegressor(n_estimators=8, objective="reg:quantileerror", quantile_alpha=[0.1, 0.9]),
    xgboost.XGBRegressor(n_estimators=9, booster="dart", rate_drop=0.3),
    xgboost.XGBRFRegressor(n_estimators=9),
]


def named(model: Any) -> str:
    return str({k: v for k, v in model.get_params().items() if v is not None})


def trained(parameters: dict[str, Any], rows: Any, target: Any, **more: Any) -> xgboost.Booster:
    return xgboost.train(
        SMALL | parameters, xgboost.DMatrix(rows, target, **more), num_boost_round=9
    )


def same(booster: xgboost.Booster, rows: Any, tolerance: float) -> None:
    def predict(asked: Any) -> Any:
        return booster.predict(xgboost.DMatrix(asked))

    assert_booster_same(XgboostCompiler(), booster, predict, rows, tolerance=tolerance)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_objectives(objective: str) -> None:
    more = {"group": [50, 50, 50]} if objective.startswith("rank") else {}
    target = (SPECIES > 0) + (objective == "reg:gamma")
    booster = trained({"objective": objective}, HOLES, target, **more)
    same(booster, HOLES, 2e-7)


@pytest.mark.parametrize("objective", ["multi:softprob", "multi:softmax"])
@pytest.mark.parametrize("parameters", BOOSTERS, ids=str)
def test_three_classes_of_a_booster(objective: str, parameters: dict[str, Any]) -> None:
    booster = trained({**parameters, "objective": objective, "num_class": 3}, IRIS, SPECIES)
    same(booster, IRIS, 2e-7)


@pytest.mark.parametrize("parameters", BOOSTERS, ids=str)
def test_sums_are_those_of_float32(parameters: dict[str, Any]) -> None:
    same(trained(parameters, DIABETES, PROGRESS), DIABETES, 0.0)


def test_a_booster_of_several_targets() -> None:
    targets = np.stack([PROGRESS, -PROGRESS], axis=1)
    same(trained({}, DIABETES, targets), DIABETES, 0.0)


@pytest.mark.parametrize("model", CLASSIFIERS, ids=named)
def test_classifiers(model: Any) -> None:
    three = clone(model).fit(IRIS, SPECIES)
    assert_same(three, hard_rows(three, IRIS), tolerance=2e-7)
    both = make_pipeline(StandardScaler(), clone(model)).fit(IRIS[50:], SPECIES[50:] > 1)
    assert_same(both, hard_rows(both, IRIS[50:]), tolerance=2e-7)


@pytest.mark.parametrize("model", REGRESSORS, ids=named)
def test_regressors(model: Any) -> None:
    model.fit(DIABETES, PROGRESS)
    exact = model.get_params()["objective"] == "reg:squarederror"
    assert_same(model, hard_rows(model, DIABETES), tolerance=0.0 if exact else 2e-7)


def test_missing_values_and_a_number_that_means_missing() -> None:
    for missing, rows in ((np.nan, HOLES), (-1.0, np.nan_to_num(HOLES, nan=-1.0))):
        model = xgboost.XGBClassifier(n_estimators=6, missing=missing).fit(rows, SPECIES)
        assert_same(model, hard_rows(model, rows), tolerance=2e-7)


def test_early_stopping_leaves_out_the_last_trees() -> None:
    model = xgboost.XGBClassifier(n_estimators=50, early_stopping_rounds=2)
    model.fit(IRIS[::2], SPECIES[::2], eval_set=[(IRIS[1::2], SPECIES[1::2])], verbose=False)
    assert model.best_iteration < 49
    assert_same(model, hard_rows(model, IRIS), tolerance=2e-7)


@pytest.mark.parametrize("one_hot", [1, 100])
def test_categories(one_hot: int) -> None:
    rng = np.random.default_rng(2)
    rows = np.stack([rng.normal(size=900), rng.integers(0, 40, 900)], axis=1)
    rows[::9, 1] = np.nan
    target = rows[:, 0] + (np.nan_to_num(rows[:, 1]) % 7 > 3)
    more = {"feature_types": ["q", "c"], "enable_categorical": True}
    booster = trained({"max_cat_to_onehot": one_hot}, rows, target, **more)

    asked = rng.choice(rows[:, 0], (500, 2))
    asked[:, 1] = rng.choice([*range(45), 2.5, np.nan], 500)
    given = opened(booster, rows, XgboostCompiler(), OF_A_BOOSTER).of(asked)["prediction"]
    expected = booster.predict(xgboost.DMatrix(asked, **more))
    np.testing.assert_array_equal(given[:, 0], expected)


@pytest.mark.parametrize("categories", [TEXTS, NUMBERS], ids=["texts", "numbers"])
@pytest.mark.parametrize("one_hot", [1, 100])
@pytest.mark.parametrize("kind", ["gbtree", "dart"])
def test_categories_of_a_frame_become_their_codes(
    categories: tuple[Any, ...], one_hot: int, kind: str
) -> None:
    rows, target = framed(categories)
    data = xgboost.DMatrix(rows, target, enable_categorical=True)
    parameters = {"booster": kind, "max_cat_to_onehot": one_hot, "nthread": 1}
    booster = xgboost.train(parameters, data, 12)
    rows = asked(categories)
    given = compiled_on_categories(XgboostCompiler(), booster, categories, rows)
    expected = booster.predict(xgboost.DMatrix(rows, enable_categorical=True))
    np.testing.assert_array_equal(given, expected)
    unseen = asked(categories, "pink" if categories is TEXTS else 15)
    with pytest.raises(InvalidArgument, match="out of data bounds"):
        compiled_on_categories(XgboostCompiler(), booster, categories, unseen)


def test_categories_of_a_frame_that_nobody_describes_stay_native() -> None:
    rows, target = framed(NUMBERS)
    model = xgboost.XGBRegressor(n_estimators=3, enable_categorical=True).fit(rows, target)
    with pytest.raises(NotCompilable, match="codes only the booster itself"):
        opened(model.get_booster(), DIABETES[:, :2], XgboostCompiler(), OF_A_BOOSTER)
    with pytest.raises(NotCompilable, match="categories of a DataFrame"):
        opened(model, DIABETES[:, :2])


def test_names_of_features_do_not_matter() -> None:
    booster = trained({}, DIABETES, PROGRESS, feature_names=[f"c{i}" for i in range(10)])
    given = opened(booster, DIABETES, XgboostCompiler(), OF_A_BOOSTER).of(DIABETES)["prediction"]
    expected = booster.predict(xgboost.DMatrix(DIABETES), validate_features=False)
    np.testing.assert_array_equal(given[:, 0], expected)


def test_vectors_in_leaves_stay_native() -> None:
    targets = np.stack([PROGRESS, -PROGRESS], axis=1)
    booster = trained({"multi_strategy": "multi_output_tree"}, DIABETES, targets)
    with pytest.raises(NotCompilable, match="vector"):
        opened(booster, DIABETES, XgboostCompiler(), OF_A_BOOSTER)


@pytest.mark.parametrize("sparse", [True, False])
def test_a_zero_that_a_sparse_matrix_does_not_store_is_missing(sparse: bool) -> None:
    rows = np.round(IRIS)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=sparse)
    model = make_pipeline(encoder, xgboost.XGBClassifier(n_estimators=5)).fit(rows, SPECIES)
    assert_same(model, rows, tolerance=1e-7)
