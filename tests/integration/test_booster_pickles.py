"""Pickled estimators fitted on categories of a DataFrame, built and answering over JSON rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import catboost
import joblib
import lightgbm
import numpy as np
import pytest
import xgboost

from modelway.bundles.store import Bundle, open_bundle
from modelway.composition.frameworks import open_runtime
from modelway.domain.errors import InvalidInput
from modelway.inference.validation import Validator
from support.categories import NUMBERS, TEXTS, asked, framed
from support.live import modelway

XGBOOST = xgboost.XGBClassifier(n_estimators=8, n_jobs=1, enable_categorical=True)
LIGHTGBM = lightgbm.LGBMClassifier(n_estimators=8, n_jobs=1, verbose=-1)
CATBOOST = catboost.CatBoostClassifier(
    iterations=8, verbose=False, allow_writing_files=False, cat_features=["kind"]
)


def answers(bundle: Bundle, rows: Any) -> Any:
    """The probabilities for the rows of a DataFrame, sent as JSON objects."""
    runtime = open_runtime(bundle.folder, bundle.signature, bundle.manifest, allow_pickle=True)
    sent = rows.astype(object).where(rows.notna(), None).to_dict("records")
    table = Validator(bundle.signature, strict=False).rows(sent).table
    return runtime.predict(table)["probabilities"]


@pytest.mark.parametrize("with_data", [True, False], ids=["data", "no-data"])
@pytest.mark.parametrize("categories", [TEXTS[:4], NUMBERS], ids=["texts", "numbers"])
@pytest.mark.parametrize("model", [XGBOOST, LIGHTGBM, CATBOOST], ids=["xgb", "lgb", "cat"])
def test_a_pickled_classifier_answers_values(
    model: Any, categories: tuple[Any, ...], with_data: bool, tmp_path: Path
) -> None:
    rows, target = framed(categories)
    wanted = asked(categories)
    if model is CATBOOST:
        rows, target, wanted = rows[rows["kind"].notna()], target[rows["kind"].notna()], wanted[:-1]
        if not with_data:
            pytest.skip("CatBoost does not say its columns in the way of scikit-learn")
    model.fit(rows, target > 2)
    joblib.dump(model, tmp_path / "model.joblib")
    rows.to_parquet(tmp_path / "rows.parquet")
    data: list[str | Path] = ["--data", tmp_path / "rows.parquet"] if with_data else []
    modelway("bundle", "build", tmp_path / "model.joblib", *data, "-o", tmp_path / "bundle")
    bundle = open_bundle(tmp_path / "bundle")
    np.testing.assert_allclose(answers(bundle, wanted), model.predict_proba(wanted), atol=1e-6)
    unseen = asked(categories, "pink" if categories is not NUMBERS else 15)[-1:]
    if model is XGBOOST:
        with pytest.raises(InvalidInput):
            answers(bundle, unseen)
    elif model is LIGHTGBM:
        expected = model.predict_proba(unseen)
        np.testing.assert_allclose(answers(bundle, unseen), expected, atol=1e-6)
