"""Compiled naive Bayes classifiers answer as the originals do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.naive_bayes import (
    BernoulliNB,
    CategoricalNB,
    ComplementNB,
    GaussianNB,
    MultinomialNB,
)

from support.answering import assert_same, hard_rows, opened

IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
DIGITS, DIGIT = load_digits(return_X_y=True)

CLASSIFIERS = [
    GaussianNB(),
    GaussianNB(priors=[0.2, 0.3, 0.5], var_smoothing=0.1),
    MultinomialNB(),
    MultinomialNB(alpha=0.01, fit_prior=False),
    ComplementNB(),
    ComplementNB(norm=True),
    BernoulliNB(binarize=2.5),
    BernoulliNB(binarize=None),
]


@pytest.mark.parametrize("model", CLASSIFIERS, ids=str)
def test_three_classes_with_text_labels(model: Any) -> None:
    rows = IRIS > 2.5 if getattr(model, "binarize", 0) is None else IRIS
    model.fit(rows.astype(float), NAMES)
    assert_same(model, hard_rows(model, IRIS))


@pytest.mark.parametrize("model", [GaussianNB(), *CLASSIFIERS[2:]], ids=str)
def test_two_classes(model: Any) -> None:
    rows = IRIS > 2.5 if getattr(model, "binarize", 0) is None else IRIS
    model.fit(rows.astype(float)[50:], SPECIES[50:])
    assert_same(model, hard_rows(model, IRIS[50:]))


@pytest.mark.parametrize("n_columns", [8, 9, 23, 64, 300])
def test_sums_of_many_columns_are_taken_in_numpys_order(n_columns: int) -> None:
    rows = np.resize(DIGITS, (600, n_columns)) + np.linspace(0, 1, n_columns)
    model = GaussianNB(var_smoothing=1e-3).fit(rows, DIGIT[:600])
    assert_same(model, hard_rows(model, rows, n=500), tolerance=1e-11)


def test_rows_between_two_equal_classes_go_to_the_same_one() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 9)).round(1)
    model = GaussianNB().fit(np.vstack([rows, -rows]), np.repeat([0, 1], 200))
    asked = rng.normal(size=(2000, 9)).round(1)
    asked[:, 0] = 0
    asked[:, 1:5] = -asked[:, 5:]
    assert_same(model, asked)


def test_rows_so_far_that_no_class_has_a_likelihood() -> None:
    model = GaussianNB().fit(IRIS, SPECIES)
    far = np.random.default_rng(0).choice([0.0, 1e155, -1e200, 1e300], (200, 4))
    with np.errstate(all="ignore"):
        assert_same(model, far)


@pytest.mark.parametrize("settings", [{}, {"min_categories": 12, "fit_prior": False}], ids=str)
def test_categories(settings: Any) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, [3, 10, 2, 7], (300, 4)).astype(float)
    labels = np.array(["no", "perhaps", "yes"])[(rows.sum(axis=1) % 3).astype(int)]
    model = CategoricalNB(**settings).fit(rows, labels)
    # Fractions are cut, also those just below 0.
    assert_same(model, rng.integers(0, [3, 10, 2, 7], (2000, 4)) + rng.choice([0, 0.9], (2000, 4)))
    assert_same(model, np.full((1, 4), -0.5))


def test_categories_that_the_original_refuses_have_no_probabilities() -> None:
    model = CategoricalNB().fit(np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0]]), [0, 1, 1])
    asked = np.array([[3.0, 0.0], [-1.0, 1.0], [0.0, 1e300]])
    assert np.isnan(opened(model, asked).of(asked)["probabilities"]).all()
