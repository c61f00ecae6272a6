"""Compiled dummy estimators answer as the originals do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor

from modelway.domain.errors import NotCompilable
from support.answering import assert_same, opened

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(100, 3))
LABELS = RNG.choice(["a", "b", "c"], 100, p=[0.2, 0.5, 0.3])


@pytest.mark.parametrize(
    "model",
    [
        DummyClassifier(),
        DummyClassifier(strategy="most_frequent"),
        DummyClassifier(strategy="constant", constant="c"),
    ],
    ids=str,
)
def test_classifiers(model: Any) -> None:
    assert_same(model.fit(ROWS, LABELS), ROWS)


@pytest.mark.parametrize("strategy", ["uniform", "stratified"])
def test_drawn_answers_stay_native(strategy: Any) -> None:
    model = DummyClassifier(strategy=strategy, random_state=0).fit(ROWS, LABELS)
    with pytest.raises(NotCompilable, match="draws"):
        opened(model, ROWS)


@pytest.mark.parametrize(
    "model",
    [
        DummyRegressor(),
        DummyRegressor(strategy="median"),
        DummyRegressor(strategy="quantile", quantile=0.9),
        DummyRegressor(strategy="constant", constant=7),
    ],
    ids=str,
)
def test_regressors(model: Any) -> None:
    assert_same(model.fit(ROWS, ROWS[:, 0]), ROWS)


def test_several_targets_at_once() -> None:
    assert_same(DummyRegressor().fit(ROWS, ROWS[:, :2]), ROWS)
