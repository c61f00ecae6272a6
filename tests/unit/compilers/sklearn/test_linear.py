"""Compiled linear models answer as the originals do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import (
    ARDRegression,
    BayesianRidge,
    ElasticNet,
    ElasticNetCV,
    GammaRegressor,
    HuberRegressor,
    Lars,
    LarsCV,
    Lasso,
    LassoCV,
    LassoLars,
    LassoLarsCV,
    LassoLarsIC,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    MultiTaskElasticNet,
    MultiTaskElasticNetCV,
    MultiTaskLasso,
    MultiTaskLassoCV,
    OrthogonalMatchingPursuit,
    OrthogonalMatchingPursuitCV,
    PassiveAggressiveClassifier,
    PassiveAggressiveRegressor,
    Perceptron,
    PoissonRegressor,
    QuantileRegressor,
    RANSACRegressor,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
    SGDClassifier,
    SGDRegressor,
    TheilSenRegressor,
    TweedieRegressor,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.svm import LinearSVC, LinearSVR

from modelway.domain.errors import NotCompilable
from support.answering import assert_same, hard_rows, opened

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
DIABETES, PROGRESS = load_diabetes(return_X_y=True)

CLASSIFIERS = [
    LogisticRegression(max_iter=1000),
    LogisticRegression(C=1e6, solver="newton-cg"),
    LogisticRegressionCV(Cs=3, cv=3, use_legacy_attributes=False),
    RidgeClassifier(),
    RidgeClassifierCV(),
    SGDClassifier(random_state=0),
    SGDClassifier("log_loss", random_state=0),
    SGDClassifier("modified_huber", random_state=0, average=True),
    SGDClassifier("squared_error", random_state=0),
    SGDClassifier("perceptron", fit_intercept=False, random_state=0),
    Perceptron(random_state=0),
    LinearSVC(),
    LinearSVC(multi_class="crammer_singer"),
    OneVsRestClassifier(LogisticRegression(solver="liblinear")),
    OneVsOneClassifier(LinearSVC()),
]
REGRESSORS = [
    LinearRegression(),
    LinearRegression(fit_intercept=False),
    Ridge(),
    RidgeCV(),
    Lasso(),
    LassoCV(cv=3),
    ElasticNet(),
    ElasticNetCV(cv=3),
    Lars(),
    LarsCV(cv=3),
    LassoLars(),
    LassoLarsCV(cv=3),
    LassoLarsIC(),
    OrthogonalMatchingPursuit(),
    OrthogonalMatchingPursuitCV(cv=3),
    BayesianRidge(),
    ARDRegression(),
    HuberRegressor(),
    TheilSenRegressor(random_state=0, max_subpopulation=50),
    QuantileRegressor(alpha=0.01),
    SGDRegressor(random_state=0),
    LinearSVR(),
    PoissonRegressor(),
    GammaRegressor(),
    TweedieRegressor(),
    TweedieRegressor(power=1.5),
    TweedieRegressor(link="identity", power=1.5),
    RANSACRegressor(random_state=0),
]
SEVERAL_TARGETS = [
    LinearRegression(),
    Ridge(),
    Lasso(),
    MultiTaskLasso(),
    MultiTaskLassoCV(cv=3),
    MultiTaskElasticNet(),
    MultiTaskElasticNetCV(cv=3),
    Lars(),
    OrthogonalMatchingPursuit(),
]


@pytest.mark.parametrize("model", CLASSIFIERS, ids=str)
def test_three_classes_with_text_labels(model: Any) -> None:
    model.fit(IRIS, NAMES)
    assert_same(model, hard_rows(model, IRIS))


@pytest.mark.parametrize("model", CLASSIFIERS, ids=str)
def test_two_classes_behind_a_scaler(model: Any) -> None:
    both = make_pipeline(StandardScaler(), model).fit(IRIS[50:], SPECIES[50:])
    assert_same(both, hard_rows(both, IRIS[50:]))


@pytest.mark.parametrize("loss", ["log_loss", "modified_huber"])
def test_rows_that_no_class_wants_get_equal_shares_or_the_exact_ratio(loss: str) -> None:
    model = SGDClassifier(loss, random_state=0).fit(IRIS, SPECIES)
    model.intercept_ = np.array([-50.0, -700.0, -800.0])
    assert_same(model, hard_rows(model, IRIS))
    model.intercept_ = np.full(3, -1e4)
    assert_same(model, hard_rows(model, IRIS))


@pytest.mark.parametrize("model", REGRESSORS, ids=str)
def test_regressors(model: Any) -> None:
    model.fit(DIABETES, PROGRESS)
    assert_same(model, hard_rows(model, DIABETES))


def test_passive_aggressive() -> None:
    regressor = PassiveAggressiveRegressor(random_state=0).fit(DIABETES, PROGRESS)
    assert_same(regressor, hard_rows(regressor, DIABETES))
    classifier = PassiveAggressiveClassifier(random_state=0).fit(IRIS, NAMES)
    assert_same(classifier, hard_rows(classifier, IRIS))


@pytest.mark.parametrize("model", SEVERAL_TARGETS, ids=str)
def test_several_targets_at_once(model: Any) -> None:
    model.fit(DIABETES, np.stack([PROGRESS, -PROGRESS, DIABETES[:, 0]], axis=1))
    assert_same(model, hard_rows(model, DIABETES))


@pytest.mark.parametrize(
    "model", [LogisticRegression(), LinearRegression(fit_intercept=False)], ids=str
)
@pytest.mark.parametrize("scaler", [StandardScaler(with_mean=False), MaxAbsScaler()], ids=str)
def test_one_column_scaled_keeps_its_digits(scaler: Any, model: Any) -> None:
    both = make_pipeline(scaler, model).fit(IRIS[:, 2:3] * 1e6, SPECIES)
    assert_same(both, hard_rows(both, IRIS[:, 2:3] * 1e6))


@pytest.mark.parametrize("model", [LinearRegression(), LogisticRegression()], ids=str)
def test_fitted_in_float32(model: Any) -> None:
    model.fit(IRIS.astype(np.float32), SPECIES)
    assert_same(model, hard_rows(model, IRIS), tolerance=1e-6)


def test_sparse_coefficients() -> None:
    model = SGDClassifier("log_loss", penalty="l1", random_state=0).fit(IRIS, SPECIES).sparsify()
    assert sparse.issparse(model.coef_)
    assert_same(model, hard_rows(model, IRIS))


def test_exact_ties_go_to_the_first_class() -> None:
    corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    model = Perceptron(fit_intercept=False).fit(corners, [0, 1, 2, 1])
    model.coef_ = np.array([[1.0, -1.0], [-1.0, 1.0], [1.0, -1.0]])
    asked = np.array([[a, b] for a in range(-2, 3) for b in range(-2, 3)], dtype=float)
    assert_same(model, asked)


def test_numbers_too_large_to_add_give_the_same_label() -> None:
    model = LogisticRegression(max_iter=1000).fit(IRIS, SPECIES)
    model.coef_ = model.coef_ * 1e3
    with np.errstate(all="ignore"):
        signs = np.random.default_rng(0).choice([-1e307, 1e307], (200, 4))
        assert_same(model, signs)


def test_several_labels_at_once_stay_native() -> None:
    labels = np.stack([SPECIES > 0, SPECIES > 1], axis=1).astype(int)
    with pytest.raises(NotCompilable, match="several labels"):
        opened(RidgeClassifier().fit(IRIS, labels), IRIS)
