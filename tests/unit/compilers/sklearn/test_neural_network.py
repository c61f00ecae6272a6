"""Compiled multi-layer perceptrons answer as the originals do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.neural_network import MLPClassifier, MLPRegressor

from modelway.domain.errors import NotCompilable
from support.answering import assert_same, hard_rows, opened

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
DIABETES, PROGRESS = load_diabetes(return_X_y=True)

SETTINGS = [
    {},
    {"activation": "tanh", "hidden_layer_sizes": (7, 5)},
    {"activation": "logistic", "hidden_layer_sizes": (9,)},
    {"activation": "identity", "hidden_layer_sizes": (3, 4, 3)},
    {"solver": "lbfgs", "hidden_layer_sizes": ()},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_three_classes_with_text_labels(settings: Any) -> None:
    model = MLPClassifier(**settings, max_iter=60, random_state=0).fit(IRIS, NAMES)
    assert_same(model, hard_rows(model, IRIS))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_two_classes(settings: Any) -> None:
    model = MLPClassifier(**settings, max_iter=60, random_state=0).fit(IRIS[50:], SPECIES[50:])
    assert_same(model, hard_rows(model, IRIS[50:]))


@pytest.mark.parametrize("settings", [*SETTINGS, {"loss": "poisson"}], ids=str)
def test_regressors(settings: Any) -> None:
    model = MLPRegressor(**settings, max_iter=60, random_state=0).fit(DIABETES, PROGRESS)
    assert_same(model, hard_rows(model, DIABETES))


def test_several_targets_at_once() -> None:
    model = MLPRegressor(max_iter=20, random_state=0)
    model.fit(DIABETES, np.stack([PROGRESS, -PROGRESS], axis=1))
    assert_same(model, hard_rows(model, DIABETES))


def test_fitted_in_float32() -> None:
    model = MLPClassifier(max_iter=20, random_state=0).fit(IRIS.astype(np.float32), SPECIES)
    assert_same(model, hard_rows(model, IRIS))


def test_several_labels_at_once_stay_native() -> None:
    labels = np.stack([SPECIES > 0, SPECIES > 1], axis=1).astype(int)
    model = MLPClassifier(max_iter=5).fit(IRIS, labels)
    with pytest.raises(NotCompilable, match="several labels"):
        opened(model, IRIS)
