"""Compiled LightGBM models answer as the originals do, on hard rows, their sums bit for bit."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelway.compilers.lightgbm import LightgbmCompiler
from modelway.domain.errors import NotCompilable
from support.answering import Rows, assert_close, assert_same, hard_rows, opened
from support.boosting import OF_A_BOOSTER, assert_booster_same, compiled_on_categories
from support.categories import NUMBERS, TEXTS, asked, framed

IRIS, SPECIES = load_iris(return_X_y=True)
DIABETES, PROGRESS = load_diabetes(return_X_y=True)
HOLES = np.where(np.random.default_rng(0).random(DIABETES.shape) < 0.2, np.nan, DIABETES)
SMALL = {"num_leaves": 7, "min_data_in_leaf": 5, "seed": 0, "verbose": -1, "num_threads": 1}
QUIET: dict[str, Any] = {"n_estimators": 12, "min_child_samples": 5, "verbose": -1}

BOOSTERS: list[dict[str, Any]] = [
    {"objective": "regression"},
    {"objective": "regression", "reg_sqrt": True},
    {"objective": "regression_l1"},
    {"objective": "huber"},
    {"objective": "fair"},
    {"objective": "quantile", "alpha": 0.2},
    {"objective": "mape"},
    {"objective": "regression", "boosting": "dart", "drop_rate": 0.5},
    {"objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
    {"objective": "regression", "data_sample_strategy": "goss"},
    {"objective": "regression", "extra_trees": True, "boost_from_average": False},
]
LINKED = ["poisson", "gamma", "tweedie"]
OF_SHARES: list[dict[str, Any]] = [
    {"objective": "binary"},
    {"objective": "binary", "sigmoid": 2.5, "is_unbalance": True},
    {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
    {"objective": "cross_entropy"},
    {"objective": "cross_entropy_lambda"},
]
OF_CLASSES: list[dict[str, Any]] = [
    {"objective": "multiclass", "num_class": 3},
    {"objective": "multiclassova", "num_class": 3, "sigmoid": 0.7},
    {"objective": "multiclass", "num_class": 3, "boosting": "dart"},
]
CLASSIFIERS = [
    lightgbm.LGBMClassifier(**QUIET),
    lightgbm.LGBMClassifier(**QUIET, boosting_type="dart"),
    lightgbm.LGBMClassifier(
        **QUIET, boosting_type="rf", subsample_freq=1, subsample=0.5, class_weight="balanced"
    ),
    lightgbm.LGBMClassifier(n_estimators=1, num_leaves=2, verbose=-1),
]


def trained(parameters: dict[str, Any], rows: Any, target: Any, **more: Any) -> lightgbm.Booster:
    return lightgbm.train(SMALL | parameters, lightgbm.Dataset(rows, target, **more), 15)


def same(booster: lightgbm.Booster, rows: Rows, tolerance: float) -> None:
    assert_booster_same(LightgbmCompiler(), booster, booster.predict, rows, tolerance=tolerance)


@pytest.mark.parametrize("parameters", BOOSTERS, ids=str)
def test_sums_are_those_of_float64(parameters: dict[str, Any]) -> None:
    same(trained(parameters, HOLES, PROGRESS), HOLES, 0.0)


@pytest.mark.parametrize("objective", LINKED)
def test_logarithmic_links(objective: str) -> None:
    same(trained({"objective": objective}, HOLES, PROGRESS), HOLES, 1e-14)


@pytest.mark.parametrize("parameters", OF_SHARES, ids=str)
def test_shares(parameters: dict[str, Any]) -> None:
    same(trained(parameters, HOLES, (PROGRESS > 150).astype(float)), HOLES, 1e-14)


@pytest.mark.parametrize("parameters", OF_CLASSES, ids=str)
def test_three_classes_of_a_booster(parameters: dict[str, Any]) -> None:
    same(trained(parameters, IRIS, SPECIES), IRIS, 1e-14)


def test_ranks() -> None:
    booster = trained({"objective": "lambdarank"}, IRIS, SPECIES, group=[50, 50, 50])
    same(booster, IRIS, 0.0)


@pytest.mark.parametrize(
    "of_zero", [{"zero_as_missing": True}, {"use_missing": False}, {}], ids=str
)
def test_what_is_missing(of_zero: dict[str, Any]) -> None:
    rng = np.random.default_rng(3)
    rows = np.where(rng.random(HOLES.shape) < 0.3, 0.0, HOLES)
    booster = trained(of_zero, rows, PROGRESS + 100 * (rows[:, 0] == 0))
    same(booster, rows, 0.0)
    tiny = rng.choice(
        [0.0, -0.0, 1e-36, -1e-36, 1e-35, -1e-35, 1.1e-35, -1.1e-35, 1e-30, np.nan], rows.shape
    )
    given = opened(booster, rows, LightgbmCompiler(), OF_A_BOOSTER).of(tiny)["prediction"]
    np.testing.assert_array_equal(given[:, 0], booster.predict(tiny))


def test_infinities() -> None:
    booster = trained({}, HOLES, PROGRESS)
    asked = np.random.default_rng(1).choice([np.inf, -np.inf, 1e300, -1e300, np.nan], HOLES.shape)
    given = opened(booster, HOLES, LightgbmCompiler(), OF_A_BOOSTER).of(asked)["prediction"]
    np.testing.assert_array_equal(given[:, 0], booster.predict(asked))


@pytest.mark.parametrize("n_categories", [5, 40, 300])
def test_categories_unknown_ones_and_fractions(n_categories: int) -> None:
    rng = np.random.default_rng(2)
    rows = np.stack([rng.normal(size=3000), rng.integers(0, n_categories, 3000)], axis=1)
    rows[::9, 1] = np.nan
    target = rows[:, 0] + (np.nan_to_num(rows[:, 1]) % 7 > 3)
    for more in ({}, {"max_cat_to_onehot": 1, "cat_smooth": 1}, {"max_cat_to_onehot": 400}):
        booster = trained(more, rows, target, categorical_feature=[1])
        asked = rng.choice(rows[:, 0], (2000, 2))
        odd = [*range(-3, n_categories + 70), 2.5, -0.5, 1e12, -1e12, 3e9, np.inf, -np.inf, np.nan]
        asked[:, 1] = rng.choice(odd, 2000)
        given = opened(booster, rows, LightgbmCompiler(), OF_A_BOOSTER).of(asked)["prediction"]
        np.testing.assert_array_equal(given[:, 0], booster.predict(asked))


def test_a_booster_read_back_and_stopped_early() -> None:
    train, watched = lightgbm.Dataset(DIABETES[::2], PROGRESS[::2]), DIABETES[1::2]
    booster = lightgbm.train(
        SMALL,
        train,
        300,
        valid_sets=[lightgbm.Dataset(watched, PROGRESS[1::2], reference=train)],
        callbacks=[lightgbm.early_stopping(3, verbose=False)],
        keep_training_booster=True,
    )
    assert booster.best_iteration < booster.current_iteration()
    same(booster, DIABETES, 0.0)
    same(lightgbm.Booster(model_str=booster.model_to_string()), DIABETES, 0.0)


@pytest.mark.parametrize("model", CLASSIFIERS, ids=str)
def test_classifiers(model: Any) -> None:
    names = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
    three = clone(model).fit(IRIS, names)
    assert_same(three, hard_rows(three, IRIS), tolerance=1e-14)
    both = make_pipeline(StandardScaler().set_output(transform="default"), clone(model))
    both.fit(IRIS[50:], names[50:])
    assert_same(both, hard_rows(both, IRIS[50:]), tolerance=1e-14)


def test_regressors() -> None:
    for objective in ("regression", "poisson", "quantile"):
        model = lightgbm.LGBMRegressor(**QUIET, objective=objective).fit(HOLES, PROGRESS)
        assert_same(model, hard_rows(model, HOLES), tolerance=1e-14)
    ranker = lightgbm.LGBMRanker(**QUIET).fit(IRIS, SPECIES, group=[50, 50, 50])
    asked = hard_rows(ranker, IRIS)
    given = opened(ranker, IRIS).of(asked)["prediction"]
    assert_close(given[:, 0], ranker.predict(asked), 0.0)


def test_trees_of_one_leaf() -> None:
    same(trained({"min_data_in_leaf": 400}, DIABETES, PROGRESS), DIABETES, 0.0)


def test_linear_leaves_stay_native() -> None:
    booster = trained({"linear_tree": True}, DIABETES, PROGRESS)
    with pytest.raises(NotCompilable, match="linear"):
        opened(booster, DIABETES, LightgbmCompiler(), OF_A_BOOSTER)


@pytest.mark.parametrize("categories", [TEXTS, NUMBERS], ids=["texts", "numbers"])
def test_categories_of_a_frame_become_their_codes(categories: tuple[Any, ...]) -> None:
    model = lightgbm.LGBMRegressor(**QUIET, min_data_per_group=5).fit(*framed(categories))
    rows = asked(categories, *(("pink", "Red", "red ") if categories is TEXTS else (99, 0, -1)))
    given = compiled_on_categories(LightgbmCompiler(), model.booster_, categories, rows)
    np.testing.assert_array_equal(given, model.predict(rows))


def test_categories_of_a_frame_that_nobody_describes_stay_native() -> None:
    rows, target = framed(NUMBERS)
    model = lightgbm.LGBMRegressor(**QUIET).fit(rows, target)
    with pytest.raises(NotCompilable, match="codes only the booster itself"):
        opened(model.booster_, DIABETES[:, :2], LightgbmCompiler(), OF_A_BOOSTER)
    with pytest.raises(NotCompilable, match="categories of a DataFrame"):
        opened(model, DIABETES[:, :2])
