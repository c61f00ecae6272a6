"""Compiled isotonic regressions answer as the originals do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from modelway.domain.errors import NotCompilable
from support.answering import assert_same, hard_rows, neighbours, opened

RNG = np.random.default_rng(0)
COLUMN = RNG.normal(size=(300, 1)).round(2)
TARGET = COLUMN[:, 0] + RNG.normal(size=300)


@pytest.mark.parametrize("out_of_bounds", ["clip", "nan"])
@pytest.mark.parametrize("increasing", [True, False, "auto"])
def test_on_the_points_beside_them_and_outside(out_of_bounds: Any, increasing: Any) -> None:
    model = IsotonicRegression(out_of_bounds=out_of_bounds, increasing=increasing)
    model.fit(COLUMN, TARGET)
    near = neighbours(model.X_thresholds_)[:, None]
    assert_same(model, np.concatenate([near, np.asarray(hard_rows(model, COLUMN))]))


def test_one_point() -> None:
    model = IsotonicRegression(out_of_bounds="clip").fit([[1.0]], [3.0])
    assert_same(model, COLUMN)


def test_as_a_transformer() -> None:
    rows = np.clip(np.asarray(hard_rows(None, COLUMN)), COLUMN.min(), COLUMN.max())
    isotonic = IsotonicRegression().fit(COLUMN, TARGET)
    curve = isotonic.transform(COLUMN)[:, None]
    pipeline = make_pipeline(isotonic, Ridge().fit(curve, TARGET))
    expected = pipeline[-1].predict(isotonic.transform(rows)[:, None])
    given = opened(pipeline, rows).of(rows)["prediction"][:, 0]
    assert np.allclose(given, expected, rtol=0, atol=1e-12)


def test_fitted_in_float32_stays_native() -> None:
    model = IsotonicRegression().fit(COLUMN.astype(np.float32), TARGET)
    with pytest.raises(NotCompilable, match="float32"):
        opened(model, COLUMN)
