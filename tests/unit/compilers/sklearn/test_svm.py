"""Compiled support vector machines answer as libsvm does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, NuSVC, NuSVR

from modelway.domain.errors import NotCompilable
from support.answering import assert_same, hard_rows, opened

pytestmark = pytest.mark.filterwarnings(
    "ignore:The `probability` parameter:FutureWarning", "ignore:.*prob[AB]_:FutureWarning"
)

IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
DIABETES, PROGRESS = load_diabetes(return_X_y=True)
DIGITS, DIGIT = (part[:600] for part in load_digits(return_X_y=True))

CLASSIFIERS = [
    SVC(),
    SVC(C=1000, gamma=2.0),
    SVC(kernel="linear"),
    SVC(kernel="poly", coef0=1.0),
    SVC(kernel="poly", degree=5),
    SVC(kernel="sigmoid", coef0=0.1),
    SVC(break_ties=True),
    SVC(decision_function_shape="ovo"),
    NuSVC(nu=0.2),
    NuSVC(kernel="linear", nu=0.1),
]
REGRESSORS = [
    SVR(),
    SVR(kernel="linear", C=100),
    SVR(kernel="poly"),
    SVR(kernel="sigmoid"),
    NuSVR(C=1000),
]


@pytest.mark.parametrize("model", CLASSIFIERS, ids=str)
def test_three_classes_with_text_labels(model: Any) -> None:
    model.fit(IRIS, NAMES)
    assert_same(model, hard_rows(model, IRIS))


@pytest.mark.parametrize("model", CLASSIFIERS, ids=str)
def test_two_classes_behind_a_scaler(model: Any) -> None:
    both = make_pipeline(StandardScaler(), model).fit(IRIS[50:], SPECIES[50:])
    assert_same(both, hard_rows(both, IRIS[50:]))


@pytest.mark.parametrize("break_ties", [False, True])
def test_ten_classes(break_ties: bool) -> None:
    model = SVC(break_ties=break_ties).fit(DIGITS, DIGIT)
    assert_same(model, hard_rows(model, DIGITS, n=500))


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
@pytest.mark.parametrize("kind", [SVC, NuSVC])
def test_probabilities(kind: Any, kernel: str) -> None:
    settings = {"kernel": kernel, "probability": True, "random_state": 0}
    two = kind(**settings, nu=0.2) if kind is NuSVC else kind(**settings)
    two.fit(IRIS[50:], SPECIES[50:])
    assert_same(two, hard_rows(two, IRIS[50:]), tolerance=1e-9)
    three = two.fit(IRIS, NAMES)
    assert_same(three, hard_rows(three, IRIS), tolerance=1e-9)


def test_probabilities_of_ten_classes() -> None:
    model = SVC(probability=True, random_state=0).fit(DIGITS, DIGIT)
    assert_same(model, hard_rows(model, DIGITS, n=300), tolerance=1e-9)


@pytest.mark.parametrize("model", REGRESSORS, ids=str)
def test_regressors(model: Any) -> None:
    both = make_pipeline(StandardScaler(), model).fit(DIABETES, PROGRESS)
    assert_same(both, hard_rows(both, DIABETES), tolerance=1e-10)


def test_rows_far_from_the_origin_and_from_the_data() -> None:
    model = SVC(gamma=1.0).fit(IRIS + 1e4, SPECIES)
    rows = hard_rows(model, IRIS + 1e4)
    assert_same(model, rows)
    assert_same(model, np.asarray(rows) * np.array([1.0, 1e9, 1e150, 1e300]))


def test_whole_numbers_between_two_mirrored_classes() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 3, (100, 4)).astype(float)
    side = np.sign(rows[:, :2].sum(axis=1) - rows[:, 2:].sum(axis=1))
    rows, side = rows[side != 0], side[side != 0]
    model = SVC().fit(np.vstack([rows, rows[:, ::-1]]), np.concatenate([side, -side]))
    half = rng.integers(0, 3, (300, 2)).astype(float)
    assert_same(model, np.hstack([half, half[:, ::-1]]))


def test_vectors_of_sparse_data() -> None:
    model = SVC().fit(sparse.csr_array(IRIS), SPECIES)
    assert_same(model, hard_rows(model, IRIS))


def test_a_kernel_computed_before() -> None:
    model = SVC(kernel="precomputed").fit(IRIS @ IRIS.T, SPECIES)
    assert_same(model, (IRIS + 0.05) @ IRIS.T)


def test_decisions_inside_other_estimators() -> None:
    members = [("two", SVC()), ("three", SVC(kernel="linear"))]
    for model in (
        OneVsRestClassifier(SVC()),
        StackingClassifier(members, LogisticRegression(max_iter=1000), cv=2),
    ):
        model.fit(IRIS, SPECIES)
        assert_same(model, hard_rows(model, IRIS))


@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly", "sigmoid"])
def test_no_support_vectors_at_all(kernel: str) -> None:
    model = SVR(kernel=kernel, epsilon=1e3).fit(DIABETES, PROGRESS)
    assert len(model.support_) == 0
    assert_same(model, hard_rows(model, DIABETES, n=50))


def test_a_kernel_of_the_users_own_stays_native() -> None:
    model = SVC(kernel=lambda a, b: a @ b.T).fit(IRIS, SPECIES)
    with pytest.raises(NotCompilable, match="kernel"):
        opened(model, IRIS)
