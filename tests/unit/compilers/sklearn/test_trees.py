"""Compiled trees, forests and boosted ensembles answer as the originals do, on hard rows.

Hard rows lie on split thresholds and a float64 and a float32 to either side of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    RandomTreesEmbedding,
)
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

from modelway.domain.errors import NotCompilable
from support.answering import assert_same, hard_rows, opened

IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
DIABETES, PROGRESS = load_diabetes(return_X_y=True)


def small_tree(depth: int = 3) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=depth, random_state=0)


CLASSIFIERS = [
    DecisionTreeClassifier(random_state=0),
    ExtraTreeClassifier(random_state=0),
    RandomForestClassifier(7, random_state=0),
    # Two shallow trees: many rows have equal probabilities.
    RandomForestClassifier(2, max_depth=1, random_state=0),
    ExtraTreesClassifier(20, min_samples_leaf=3, random_state=0),
    GradientBoostingClassifier(n_estimators=10, random_state=0),
    GradientBoostingClassifier(n_estimators=5, init="zero", random_state=0),
    GradientBoostingClassifier(n_estimators=5, init=small_tree(2), random_state=0),
    HistGradientBoostingClassifier(max_iter=10, random_state=0),
    AdaBoostClassifier(n_estimators=10, random_state=0),
    AdaBoostClassifier(RandomForestClassifier(3), n_estimators=4, random_state=0),
    BaggingClassifier(max_features=0.5, random_state=0),
    BaggingClassifier(RandomForestClassifier(3), max_features=2, max_samples=5, random_state=0),
    make_pipeline(RandomTreesEmbedding(5, random_state=0), small_tree()),
]
REGRESSORS = [
    DecisionTreeRegressor(random_state=0),
    ExtraTreeRegressor(max_depth=4, random_state=0),
    RandomForestRegressor(9, random_state=0),
    ExtraTreesRegressor(5, random_state=0),
    GradientBoostingRegressor(n_estimators=20, random_state=0),
    GradientBoostingRegressor(n_estimators=10, loss="huber", random_state=0),
    GradientBoostingRegressor(n_estimators=5, init=DecisionTreeRegressor(max_depth=2)),
    HistGradientBoostingRegressor(random_state=0),
    HistGradientBoostingRegressor(loss="poisson", random_state=0),
    HistGradientBoostingRegressor(loss="gamma", random_state=0),
    HistGradientBoostingRegressor(loss="quantile", quantile=0.3, random_state=0),
    AdaBoostRegressor(n_estimators=20, random_state=0),
    AdaBoostRegressor(RandomForestRegressor(3), n_estimators=5, random_state=0),
    BaggingRegressor(random_state=0),
    BaggingRegressor(GradientBoostingRegressor(n_estimators=3), max_features=3, random_state=0),
]
TAKE_MISSING = [
    DecisionTreeClassifier(random_state=0),
    RandomForestClassifier(5, random_state=0),
    ExtraTreesClassifier(3, random_state=0),
    BaggingClassifier(random_state=0),
    HistGradientBoostingClassifier(max_iter=20, random_state=0),
]


@pytest.mark.parametrize("model", CLASSIFIERS, ids=str)
def test_three_classes_with_text_labels(model: Any) -> None:
    model.fit(IRIS, NAMES)
    assert_same(model, hard_rows(model, IRIS))


@pytest.mark.parametrize("model", CLASSIFIERS, ids=str)
def test_two_classes_behind_a_scaler(model: Any) -> None:
    both = make_pipeline(StandardScaler(), model)
    both.fit(IRIS[50:], SPECIES[50:])
    assert_same(both, hard_rows(both, IRIS[50:]))


@pytest.mark.parametrize("loss", ["log_loss", "exponential"])
@pytest.mark.parametrize("init", [None, "zero", small_tree(2)], ids=str)
def test_two_classes_of_gradient_boosting(loss: str, init: Any) -> None:
    model = GradientBoostingClassifier(loss=loss, init=init, n_estimators=9, random_state=0)
    model.fit(IRIS[50:], SPECIES[50:])
    assert_same(model, hard_rows(model, IRIS[50:]))


@pytest.mark.parametrize("model", REGRESSORS, ids=str)
def test_regressors(model: Any) -> None:
    model.fit(DIABETES, PROGRESS)
    assert_same(model, hard_rows(model, DIABETES))


@pytest.mark.parametrize("model", REGRESSORS[:4], ids=str)
def test_several_targets_at_once(model: Any) -> None:
    model.fit(DIABETES, np.stack([PROGRESS, -PROGRESS, DIABETES[:, 0]], axis=1))
    assert_same(model, hard_rows(model, DIABETES))


@pytest.mark.parametrize("model", TAKE_MISSING, ids=str)
def test_missing_values_go_where_the_tree_sends_them(model: Any) -> None:
    holes = np.random.default_rng(0).random(IRIS.shape) < 0.2
    rows = np.where(holes, np.nan, IRIS)
    model.fit(rows, NAMES)
    assert_same(model, hard_rows(model, rows))


@pytest.mark.parametrize(
    "model",
    [
        HistGradientBoostingClassifier(max_iter=30, random_state=0),
        HistGradientBoostingRegressor(max_iter=30, loss="poisson", random_state=0),
    ],
    ids=str,
)
def test_text_categories_of_histogram_boosting(model: Any) -> None:
    rng = np.random.default_rng(1)
    n = 800
    rows = pd.DataFrame(
        {
            "a": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "kind": rng.choice(list("pqrstuvw"), n).astype(object),
            "b": rng.normal(size=n),
            "place": rng.choice(np.array(["x", "y", None], dtype=object), n),
        }
    )
    target = (rows["a"].fillna(0) + rows["kind"].isin(list("psw")) * 2 > 1).astype(int)
    model.set_params(categorical_features=["kind", "place"]).fit(rows, target)
    asked = rows.astype({"kind": object, "place": object})
    asked.loc[::7, "kind"] = "unseen"
    assert_same(model, hard_rows(model, asked), train=rows)


def test_numeric_categories_unknown_ones_and_fractions() -> None:
    rng = np.random.default_rng(2)
    rows = np.stack([rng.normal(size=900), rng.integers(0, 200, 900)], axis=1)
    rows[::9, 1] = np.nan
    target = rows[:, 0] + (np.nan_to_num(rows[:, 1]) % 7 > 3) > 0.5
    model = HistGradientBoostingClassifier(categorical_features=[1], max_iter=40).fit(rows, target)
    asked = hard_rows(model, rows)
    asked[:, 1] = rng.choice([*range(-3, 210), 2.5, 1e12, np.nan], len(asked))
    assert_same(model, asked)


def test_several_labels_at_once_stay_native() -> None:
    model = DecisionTreeClassifier(max_depth=2).fit(IRIS, np.stack([SPECIES, SPECIES > 0], axis=1))
    model.classes_ = np.arange(3)
    with pytest.raises(NotCompilable, match="several labels"):
        opened(model, IRIS)


def test_a_start_that_adds_up_in_float32_stays_native() -> None:
    model = GradientBoostingRegressor(n_estimators=3, init=LinearRegression())
    model.fit(DIABETES, PROGRESS)
    with pytest.raises(NotCompilable, match="float32"):
        opened(model, DIABETES)


def test_probabilities_do_not_depend_on_the_batch() -> None:
    for model in (HistGradientBoostingClassifier(max_iter=9), AdaBoostClassifier(n_estimators=9)):
        model.fit(IRIS, NAMES)
        answers = opened(model, IRIS)
        together = answers.of(IRIS)["probabilities"]
        alone = [answers.of(IRIS[i : i + 1])["probabilities"][0] for i in range(len(IRIS))]
        np.testing.assert_array_equal(together, np.array(alone))


def test_the_same_model_gives_the_same_bytes() -> None:
    model = RandomForestClassifier(3, random_state=0).fit(IRIS, NAMES)
    first, second = opened(model, IRIS), opened(model, IRIS)
    assert first.compiled.onnx == second.compiled.onnx
