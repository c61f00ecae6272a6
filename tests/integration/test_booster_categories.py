"""Boosters fitted on categories of a DataFrame, from their files to answers over JSON rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

from modelway.bundles.store import Bundle, open_bundle
from modelway.composition.frameworks import open_runtime
from modelway.domain.errors import SignatureMismatch
from modelway.domain.signature import Datatype
from modelway.inference.validation import Validator
from support.categories import NUMBERS, TEXTS, asked, framed
from support.live import modelway


def answers(bundle: Bundle, rows: Any) -> Any:
    """What the bundle predicts for the rows of a DataFrame, sent as JSON objects."""
    runtime = open_runtime(bundle.folder, bundle.signature, bundle.manifest, allow_pickle=True)
    sent = rows.astype(object).where(rows.notna(), None).to_dict("records")
    return runtime.predict(Validator(bundle.signature, strict=False).rows(sent).table)["prediction"]


def built(folder: Path, model: str, rows: Any, with_data: bool) -> Bundle:
    arguments: list[str | Path] = [folder / model]
    if with_data:
        rows.to_csv(folder / "rows.csv", index=False)
        arguments += ["--data", folder / "rows.csv"]
    modelway("bundle", "build", *arguments, "-o", folder / "bundle")
    return open_bundle(folder / "bundle")


@pytest.mark.parametrize("with_data", [True, False], ids=["data", "no-data"])
@pytest.mark.parametrize("categories", [TEXTS[:4], NUMBERS], ids=["texts", "numbers"])
def test_a_lightgbm_file_answers_values(
    categories: tuple[Any, ...], with_data: bool, tmp_path: Path
) -> None:
    rows, target = framed(categories)
    model = lightgbm.LGBMRegressor(n_estimators=12, n_jobs=1, verbose=-1).fit(rows, target)
    model.booster_.save_model(tmp_path / "model.txt")
    bundle = built(tmp_path, "model.txt", rows, with_data)
    assert bundle.manifest.runtime == "onnx"
    assert bundle.signature.columns[1].datatype is Datatype.CATEGORICAL
    wanted = asked(categories, "pink" if categories is not NUMBERS else 99)
    np.testing.assert_allclose(answers(bundle, wanted), model.predict(wanted), rtol=1e-12)


@pytest.mark.parametrize("with_data", [True, False], ids=["data", "no-data"])
@pytest.mark.parametrize("categories", [TEXTS[:4], NUMBERS], ids=["texts", "numbers"])
def test_an_xgboost_file_answers_values_and_refuses_others(
    categories: tuple[Any, ...], with_data: bool, tmp_path: Path
) -> None:
    rows, target = framed(categories)
    data = xgboost.DMatrix(rows, target, enable_categorical=True)
    booster = xgboost.train({"nthread": 1}, data, 12)
    booster.save_model(tmp_path / "model.ubj")
    bundle = built(tmp_path, "model.ubj", rows, with_data)
    assert bundle.manifest.runtime == "onnx"
    wanted = asked(categories)
    expected = booster.predict(xgboost.DMatrix(wanted, enable_categorical=True))
    np.testing.assert_allclose(answers(bundle, wanted), expected, rtol=1e-6)
    with pytest.raises(SignatureMismatch, match="kind"):
        answers(bundle, asked(categories, "pink" if categories is not NUMBERS else 15))


def test_a_file_whose_categories_cannot_be_read_is_refused(tmp_path: Path) -> None:
    rows, target = framed(TEXTS)
    rows = rows.assign(kind=rows["kind"].cat.as_ordered())
    model = lightgbm.LGBMRegressor(n_estimators=2, n_jobs=1, verbose=-1).fit(rows, target)
    model.booster_.save_model(tmp_path / "model.txt")
    refused = modelway(
        "bundle", "build", tmp_path / "model.txt", "-o", tmp_path / "bundle", exit_code=7
    )
    assert "does not say of which" in refused.stderr
