"""Compiled selectors pass on the columns that the originals pass on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.feature_selection import (
    RFE,
    RFECV,
    GenericUnivariateSelect,
    SelectFdr,
    SelectFpr,
    SelectFromModel,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
    SequentialFeatureSelector,
    VarianceThreshold,
)
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from support.answering import assert_same, hard_rows
from support.transforming import compiled_transform, original_transform

IRIS, SPECIES = load_iris(return_X_y=True)
DIABETES, PROGRESS = load_diabetes(return_X_y=True)

SELECTORS = [
    SelectKBest(k=2),
    SelectPercentile(percentile=50),
    SelectFpr(alpha=1e-50),
    SelectFdr(alpha=1e-50),
    SelectFwe(alpha=1e-50),
    GenericUnivariateSelect(mode="k_best", param=3),
    VarianceThreshold(0.5),
    SelectFromModel(DecisionTreeClassifier(random_state=0)),
    SequentialFeatureSelector(LogisticRegression(max_iter=1000), n_features_to_select=2, cv=2),
    RFE(LogisticRegression(max_iter=1000), n_features_to_select=2),
]


@pytest.mark.parametrize("selector", SELECTORS, ids=str)
def test_columns(selector: Any) -> None:
    frame = pd.DataFrame(IRIS, columns=list("abcd"))
    selector.fit(frame, SPECIES)
    assert 0 < selector.get_support().sum() < 4
    assert np.array_equal(compiled_transform(selector, frame), original_transform(selector, frame))


@pytest.mark.parametrize("kind", [RFE, RFECV])
@pytest.mark.parametrize("member", [LogisticRegression(max_iter=1000), LinearSVC()], ids=str)
def test_eliminations_that_classify(kind: Any, member: Any) -> None:
    model = kind(member).fit(IRIS, SPECIES)
    assert_same(model, hard_rows(model, IRIS))


@pytest.mark.parametrize("member", [Ridge(), DecisionTreeRegressor(max_depth=4)], ids=str)
def test_eliminations_that_regress(member: Any) -> None:
    model = RFE(member, n_features_to_select=4).fit(DIABETES, PROGRESS)
    assert_same(model, hard_rows(model, DIABETES))


def test_columns_of_text_before_and_behind() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=300), "kind": rng.choice(list("pqrs"), 300)})
    target = frame["a"] + (frame["kind"] == "q") * 2
    encoded = make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough")
    model = make_pipeline(encoded, SelectFromModel(Lasso(0.1)), Ridge()).fit(frame, target)
    assert_same(model, hard_rows(model, frame))
