"""A compiled row gets the same bits alone and in batches of any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.linear_model import LogisticRegression, PoissonRegressor, SGDClassifier
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, SVR

from support.answering import hard_rows, opened

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:The `probability` parameter:FutureWarning",
)

IRIS, SPECIES = load_iris(return_X_y=True)

MODELS = [
    LogisticRegression(),
    SGDClassifier("log_loss", random_state=0),
    SGDClassifier("modified_huber", random_state=0),
    LinearDiscriminantAnalysis(),
    QuadraticDiscriminantAnalysis(),
    GaussianNB(),
    MultinomialNB(),
    BernoulliNB(binarize=3),
    MLPClassifier((7, 5), activation="tanh", max_iter=20, random_state=0),
    MLPClassifier((7, 5), activation="logistic", max_iter=20, random_state=0),
    SVC(probability=True, random_state=0),
    SVC(kernel="sigmoid", probability=True, random_state=0),
    make_pipeline(PCA(3), LogisticRegression()),
    PoissonRegressor(),
    SVR(),
]


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_alone_and_in_batches(model: Any) -> None:
    model.fit(IRIS, SPECIES)
    rows = np.abs(np.asarray(hard_rows(model, IRIS, n=63)))
    answers = opened(model, rows)
    whole = answers.of(rows)
    for size in (1, 2, 5):
        parts = [answers.of(rows[i : i + size]) for i in range(0, len(rows), size)]
        for name, expected in whole.items():
            assert np.array_equal(np.concatenate([part[name] for part in parts]), expected)
