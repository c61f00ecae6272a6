"""A null that a client sends is what the model takes for missing: NaN, or None."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder

import modelway as api
from modelway.bundles.store import Bundle
from modelway.domain.inference import InferenceRequest, InferenceResponse
from support.served import loaded, plane_of

N = 120


def training(absent: float | None) -> tuple[pd.DataFrame, npt.NDArray[Any]]:
    """Rows whose text is missing where the label is "none"."""
    rng = np.random.default_rng(8)
    kinds = rng.choice(np.array([absent, "x", "y"], dtype=object), N)
    rows = pd.DataFrame(
        {"kind": pd.Series(kinds, dtype=object), "size": rng.normal(size=N).round(1)}
    )
    labels = np.where(rows["kind"].isna(), "none", np.where(rows["size"] > 0, "p", "q"))
    return rows, labels


def one_hot() -> Any:
    return OneHotEncoder(handle_unknown="ignore")


def ordinal() -> Any:
    return OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-9, encoded_missing_value=5
    )


def imputed() -> Any:
    filled = SimpleImputer(missing_values=None, strategy="constant", fill_value="gone")
    return make_pipeline(filled, one_hot())


@pytest.mark.parametrize(
    ("text", "absent", "compiled"),
    [
        (one_hot(), None, False),
        (one_hot(), None, True),
        (one_hot(), np.nan, False),
        (ordinal(), None, False),
        (imputed(), None, False),
    ],
    ids=["one-hot", "compiled", "nan", "ordinal", "imputed"],
)
def test_null_gets_the_models_own_answer(
    text: Any, absent: float | None, compiled: bool, tmp_path: Path
) -> None:
    rows, labels = training(absent)
    number = "passthrough" if compiled else FunctionTransformer(np.cbrt)
    columns = make_column_transformer((text, ["kind"]), (number, ["size"]))
    model = make_pipeline(columns, LogisticRegression(C=10)).fit(rows, labels)
    bundle = api.bundle(model, output=tmp_path / "bundle")
    assert bundle.manifest.is_compiled is compiled
    sizes = (-1.0, 0.1, 2.0)
    asked = [{"kind": kind, "size": size} for kind in (None, "x", "new") for size in sizes]
    kinds = [absent if row["kind"] is None else row["kind"] for row in asked]
    own = pd.DataFrame({"kind": pd.Series(kinds, dtype=object), "size": sizes * 3})
    answer = answered(bundle, asked)
    assert answer.classes is not None
    found = [answer.classes[i] for i in answer.outputs["class_index"]]
    assert found == model.predict(own).tolist()
    chances = answer.outputs["probabilities"]
    np.testing.assert_allclose(chances, model.predict_proba(own), rtol=0, atol=1e-9)


def test_training_data_with_nulls_are_what_the_model_was_fitted_on(tmp_path: Path) -> None:
    rows, labels = training(None)
    columns = make_column_transformer((one_hot(), ["kind"]), ("passthrough", ["size"]))
    model = make_pipeline(columns, LogisticRegression(C=10)).fit(rows, labels)
    bundle = api.bundle(model, rows, output=tmp_path / "bundle")
    assert bundle.manifest.missing_text == "none"


def answered(bundle: Bundle, rows: Sequence[Mapping[str, object]]) -> InferenceResponse:
    """What the data plane gives for rows as JSON has them."""
    model = loaded(bundle.folder, "model")
    table = model.validator.rows(rows).table
    return asyncio.run(plane_of([model]).infer(InferenceRequest("model", table), model))
