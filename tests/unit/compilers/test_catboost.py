"""Compiled CatBoost models answer as the originals do, on hard rows, their sums bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import catboost
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelway.bundles.manifest import Task
from modelway.bundles.ports import Description
from modelway.compilers.catboost import CatboostCompiler
from modelway.domain.errors import NotCompilable
from support.answering import assert_close, assert_same, hard_rows, opened
from support.boosting import OF_A_BOOSTER, assert_booster_same

IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
DIABETES, PROGRESS = load_diabetes(return_X_y=True)
HOLES = np.where(np.random.default_rng(0).random(DIABETES.shape) < 0.2, np.nan, DIABETES)
QUIET: dict[str, Any] = {
    "verbose": 0,
    "allow_writing_files": False,
    "iterations": 25,
    "thread_count": 1,
}

REGRESSORS: list[dict[str, Any]] = [
    {},
    {"depth": 1},
    {"grow_policy": "Lossguide"},
    {"grow_policy": "Depthwise"},
    {"boosting_type": "Ordered"},
    {"loss_function": "MAE"},
    {"loss_function": "Quantile:alpha=0.2"},
]
LINKED = ["Poisson", "Tweedie:variance_power=1.5", "RMSEWithUncertainty"]
CLASSIFIERS: list[dict[str, Any]] = [
    {},
    {"loss_function": "MultiClassOneVsAll"},
    {"loss_function": "MultiClass", "grow_policy": "Lossguide"},
    {"iterations": 2, "depth": 1},
]


def same(model: Any, rows: Any, tolerance: float) -> None:
    assert_booster_same(CatboostCompiler(), model, model.predict, rows, tolerance=tolerance)


@pytest.mark.parametrize("parameters", REGRESSORS, ids=str)
@pytest.mark.parametrize("nan_mode", ["Min", "Max"])
def test_sums_are_those_of_float64(parameters: dict[str, Any], nan_mode: str) -> None:
    for rows in (DIABETES, HOLES):
        model = catboost.CatBoostRegressor(**{**QUIET, "nan_mode": nan_mode, **parameters})
        same(model.fit(rows, PROGRESS), rows, 0.0)


@pytest.mark.parametrize("loss", LINKED)
def test_links(loss: str) -> None:
    model = catboost.CatBoostRegressor(**QUIET, loss_function=loss).fit(HOLES, PROGRESS)
    same(model, HOLES, 1e-14)
    assert_same(model, hard_rows(model, HOLES), tolerance=1e-14)


def test_several_targets() -> None:
    targets = np.stack([PROGRESS, -PROGRESS], axis=1)
    for policy in ("SymmetricTree", "Lossguide"):
        model = catboost.CatBoostRegressor(**QUIET, loss_function="MultiRMSE", grow_policy=policy)
        same(model.fit(HOLES, targets), HOLES, 0.0)


def test_infinities_and_what_float32_cannot_hold() -> None:
    model = catboost.CatBoostRegressor(**QUIET).fit(HOLES, PROGRESS)
    far = [np.inf, -np.inf, 1e300, -1e300, 3.4028235e38, -3.4028235e38, np.nan]
    asked = np.random.default_rng(1).choice(far, HOLES.shape)
    given = opened(model, HOLES, CatboostCompiler(), OF_A_BOOSTER).of(asked)["prediction"]
    assert_close(given[:, 0], model.predict(asked), 0.0)


@pytest.mark.parametrize("parameters", CLASSIFIERS, ids=str)
def test_three_classes(parameters: dict[str, Any]) -> None:
    model = catboost.CatBoostClassifier(**{**QUIET, **parameters}).fit(IRIS, NAMES)
    assert_same_classes(model, hard_rows(model, IRIS))


@pytest.mark.parametrize("threshold", [None, 0.3])
def test_two_classes(threshold: float | None, tmp_path: Path) -> None:
    model = catboost.CatBoostClassifier(**QUIET).fit(IRIS[50:], NAMES[50:])
    if threshold is not None:
        model.set_probability_threshold(threshold)
    asked = hard_rows(model, IRIS[50:])
    assert_same_classes(model, asked)
    model.save_model(tmp_path / "model.cbm")
    read = catboost.CatBoostClassifier().load_model(tmp_path / "model.cbm")
    assert_same_classes(read, asked)


def assert_same_classes(model: Any, asked: Any) -> None:
    """As ``assert_same``, by CatBoost's own compiler, whose labels come as a column."""
    classes = tuple(np.asarray(model.classes_).tolist())
    description = Description(Task.CLASSIFICATION, "matrix", classes, probabilities=True)
    given = opened(model, asked, CatboostCompiler(), description).of(asked)
    labels = np.asarray(classes)[given["class_index"]]
    np.testing.assert_array_equal(labels, model.predict(asked).ravel())
    assert_close(given["probabilities"], model.predict_proba(asked), 1e-12)


def test_inside_a_pipeline() -> None:
    model = make_pipeline(StandardScaler(), catboost.CatBoostRegressor(**QUIET))
    model.fit(DIABETES, PROGRESS)
    assert_same(model, hard_rows(model, DIABETES), tolerance=0.0)


def test_splits_by_categories_stay_native() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"a": rng.normal(size=300), "kind": rng.choice(list("pqrs"), 300)})
    target = rows["a"] + rows["kind"].isin(["p", "q"])
    model = catboost.CatBoostRegressor(**QUIET, cat_features=["kind"]).fit(rows, target)
    with pytest.raises(NotCompilable, match="CatBoost"):
        opened(model, rows, CatboostCompiler(), OF_A_BOOSTER)


def test_several_labels_stay_native() -> None:
    labels = np.stack([DIABETES[:, 0] > 0, DIABETES[:, 2] > 0], axis=1).astype(int)
    model = catboost.CatBoostClassifier(**QUIET, loss_function="MultiLogloss").fit(DIABETES, labels)
    with pytest.raises(NotCompilable, match="several labels"):
        opened(model, DIABETES, CatboostCompiler(), Description(Task.FUNCTION, "matrix"))
