"""Compiled partial least squares answer as the originals do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cross_decomposition import CCA, PLSSVD, PLSCanonical, PLSRegression
from sklearn.datasets import load_diabetes

from support.answering import assert_same, hard_rows
from support.transforming import compiled_transform, original_transform

DIABETES, PROGRESS = load_diabetes(return_X_y=True)
TARGETS = np.stack([PROGRESS, DIABETES[:, 0] - 2 * PROGRESS**2], axis=1)

MODELS = [PLSRegression(), PLSRegression(3, scale=False), PLSCanonical(), CCA()]


@pytest.mark.parametrize("model", [*MODELS[:2], PLSCanonical(1), CCA(1)], ids=str)
def test_one_target(model: Any) -> None:
    model.fit(DIABETES, PROGRESS)
    assert_same(model, hard_rows(model, DIABETES))


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_two_targets(model: Any) -> None:
    model.fit(DIABETES, TARGETS)
    assert_same(model, hard_rows(model, DIABETES))


@pytest.mark.parametrize("model", [*MODELS, PLSSVD()], ids=str)
def test_as_a_transformer(model: Any) -> None:
    frame = pd.DataFrame(DIABETES).rename(columns=str)
    model.fit(frame, TARGETS)
    given, expected = compiled_transform(model, frame), original_transform(model, frame)
    assert np.allclose(given, expected, rtol=0, atol=1e-12)


def test_one_column_keeps_its_digits() -> None:
    frame = pd.DataFrame({"bmi": DIABETES[:, 2]})
    model = PLSRegression(1).fit(frame, PROGRESS)
    given, expected = compiled_transform(model, frame), original_transform(model, frame)
    assert np.allclose(given, expected, rtol=0, atol=1e-13)
