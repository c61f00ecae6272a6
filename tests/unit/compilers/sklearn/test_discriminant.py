"""Compiled discriminant analyses answer as the originals do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from support.answering import assert_same, hard_rows
from support.transforming import compiled_transform, original_transform

IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]

CLASSIFIERS = [
    LinearDiscriminantAnalysis(),
    LinearDiscriminantAnalysis("lsqr", shrinkage="auto"),
    LinearDiscriminantAnalysis("eigen", shrinkage=0.3),
    QuadraticDiscriminantAnalysis(),
    QuadraticDiscriminantAnalysis(reg_param=0.2),
    OneVsRestClassifier(QuadraticDiscriminantAnalysis()),
    make_pipeline(LinearDiscriminantAnalysis(n_components=1), LogisticRegression()),
]


@pytest.mark.parametrize("model", CLASSIFIERS, ids=str)
def test_three_classes_with_text_labels(model: Any) -> None:
    model.fit(IRIS, NAMES)
    assert_same(model, hard_rows(model, IRIS))


@pytest.mark.parametrize("model", CLASSIFIERS, ids=str)
def test_two_classes(model: Any) -> None:
    model.fit(IRIS[50:], SPECIES[50:])
    assert_same(model, hard_rows(model, IRIS[50:]))


@pytest.mark.parametrize("solver", ["svd", "eigen"])
@pytest.mark.parametrize("n_components", [None, 1])
def test_as_a_transformer(solver: str, n_components: int | None) -> None:
    frame = pd.DataFrame(IRIS, columns=list("abcd"))
    model = LinearDiscriminantAnalysis(solver, n_components=n_components).fit(frame, SPECIES)
    given, expected = compiled_transform(model, frame), original_transform(model, frame)
    assert np.allclose(given, expected, rtol=0, atol=1e-13)
