"""Compiled decompositions give scikit-learn's coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA, FactorAnalysis, FastICA, IncrementalPCA, TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from support.answering import assert_same, hard_rows
from support.transforming import compiled_transform, original_transform

IRIS, SPECIES = load_iris(return_X_y=True)
FRAME = pd.DataFrame(load_diabetes(return_X_y=True)[0] * 30).rename(columns=str)

TRANSFORMERS = [
    PCA(),
    PCA(5),
    PCA(1, whiten=True),
    PCA(10, whiten=True, svd_solver="randomized", random_state=0),
    IncrementalPCA(8),
    TruncatedSVD(6, random_state=0),
    FastICA(4, random_state=0, tol=0.1),
    FactorAnalysis(3, random_state=0),
    GaussianRandomProjection(7, random_state=0),
    SparseRandomProjection(7, random_state=0),
]


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=str)
def test_coordinates(transformer: Any) -> None:
    transformer.fit(FRAME)
    given = compiled_transform(transformer, FRAME)
    assert np.allclose(given, original_transform(transformer, FRAME), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("final", [LogisticRegression(), RandomForestClassifier(5)], ids=str)
@pytest.mark.parametrize("whiten", [False, True])
def test_before_a_classifier(whiten: bool, final: Any) -> None:
    model = make_pipeline(PCA(2, whiten=whiten), final).fit(IRIS, SPECIES)
    assert_same(model, hard_rows(model, IRIS))
