"""Compiled neighbours answer as the originals do, also where many training rows lie equally far."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsRegressor,
    NearestCentroid,
    RadiusNeighborsClassifier,
    RadiusNeighborsRegressor,
)

from modelway.domain.errors import NotCompilable
from support.answering import assert_same, hard_rows, opened

IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
DIABETES, PROGRESS = load_diabetes(return_X_y=True)
RNG = np.random.default_rng(0)
GRID = RNG.integers(0, 5, (150, 3)).astype(float)
PARITY = (GRID.sum(axis=1) + RNG.integers(0, 2, 150)) % 3

CLASSIFIERS = [
    KNeighborsClassifier(),
    KNeighborsClassifier(1),
    KNeighborsClassifier(6, weights="distance"),
    KNeighborsClassifier(15, leaf_size=1),
    KNeighborsClassifier(7, p=1),
    KNeighborsClassifier(4, p=3),
    KNeighborsClassifier(4, metric="chebyshev"),
    KNeighborsClassifier(5, algorithm="ball_tree", leaf_size=5),
    KNeighborsClassifier(149, algorithm="kd_tree"),
]
OTHERS = [
    RadiusNeighborsClassifier(1.5, outlier_label="most_frequent"),
    RadiusNeighborsClassifier(2.0, outlier_label="most_frequent", weights="distance"),
    RadiusNeighborsClassifier(1e9, p=1),
    NearestCentroid(),
    NearestCentroid(metric="manhattan"),
    NearestCentroid(priors="empirical", shrink_threshold=0.2),
]
REGRESSORS = [
    KNeighborsRegressor(),
    KNeighborsRegressor(3, weights="distance", p=1),
    RadiusNeighborsRegressor(0.1),
    RadiusNeighborsRegressor(0.15, weights="distance"),
]


@pytest.mark.parametrize("model", [*CLASSIFIERS, *OTHERS], ids=str)
@pytest.mark.parametrize(("rows", "labels"), [(IRIS, NAMES), (GRID, PARITY)], ids=["iris", "grid"])
def test_classifiers(model: Any, rows: Any, labels: Any) -> None:
    fitted = clone(model).fit(rows, labels)
    asked = hard_rows(fitted, rows, n=400)
    if isinstance(model, NearestCentroid):
        assert_same(fitted, asked, tolerance=1e-9)
    else:
        assert_same(fitted, np.concatenate([asked, rows]))


@pytest.mark.parametrize("model", REGRESSORS, ids=str)
@pytest.mark.filterwarnings("ignore:One or more samples have no neighbors")
def test_regressors(model: Any) -> None:
    for target in (PROGRESS, np.stack([PROGRESS, -PROGRESS], axis=1)):
        fitted = clone(model).fit(DIABETES, target)
        assert_same(fitted, hard_rows(fitted, DIABETES, n=400))


def test_distances_by_a_product_of_matrices() -> None:
    rows = DIABETES + RNG.normal(scale=1e-3, size=DIABETES.shape)
    fitted = KNeighborsRegressor(20, algorithm="brute").fit(rows, PROGRESS)
    assert_same(fitted, hard_rows(fitted, rows, n=400))


def test_distances_by_a_product_of_matrices_do_not_part_equals() -> None:
    with pytest.raises(NotCompilable, match="keeps to a grid"):
        opened(KNeighborsClassifier(algorithm="brute").fit(GRID, PARITY), GRID)


def test_a_row_without_neighbours_fails_as_the_original_does() -> None:
    model = RadiusNeighborsClassifier(0.5).fit(IRIS, NAMES)
    far = np.full((1, 4), 100.0)
    with pytest.raises(ValueError, match="No neighbors"):
        model.predict(far)
    with pytest.raises(InvalidArgument):
        opened(model, IRIS).of(far)


def test_what_has_no_exact_form_stays_native() -> None:
    for model, reason in (
        (KNeighborsClassifier(metric="canberra"), "canberra"),
        (KNeighborsClassifier(weights=np.sqrt), "user's own"),
        (RadiusNeighborsClassifier(outlier_label="none"), "outliers"),
    ):
        with pytest.raises(NotCompilable, match=reason):
            opened(model.fit(IRIS, NAMES), IRIS)


def test_many_training_rows_stay_native() -> None:
    rows = np.random.default_rng(1).normal(size=(20_000, 3))
    with pytest.raises(NotCompilable, match="60,000"):
        opened(KNeighborsRegressor().fit(rows, rows[:, 0]), rows[:5])
