"""A strict service refuses what training never had, and says so in its signature."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from modelway.bundles.store import open_bundle
from modelway.composition.frameworks import open_runtime
from modelway.domain.errors import SignatureMismatch
from modelway.domain.signature import Signature
from modelway.inference import loading
from modelway.settings import InferenceSettings
from support.live import ROOT

GOLDEN = ROOT / "tests" / "golden" / "format-1-compiled"
ROW = {"loan amount (k)": None, "ApplicantIncome": 2000, "Property_Area": "Rural"}


@pytest.mark.parametrize("strict", [False, True])
def test_strict_takes_no_null_where_training_always_had_a_value(
    strict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def always_there(signature: Signature) -> Signature:
        columns = tuple(replace(c, nullable=True, missing_ratio=0.0) for c in signature.columns)
        return replace(signature, columns=columns)

    def opened(folder: Path) -> object:
        bundle = open_bundle(folder)
        return replace(bundle, signature=always_there(bundle.signature))

    monkeypatch.setattr(loading, "open_bundle", opened)
    model = loading.load_model(
        "loan",
        GOLDEN,
        lambda *of: open_runtime(*of, allow_pickle=False),
        InferenceSettings(strict=strict),
    )
    assert [c.nullable for c in model.signature.columns] == [not strict] * 3
    if strict:
        with pytest.raises(SignatureMismatch, match="loan amount"):
            model.validator.row(ROW)
    else:
        assert [w.code for w in model.validator.row(ROW).warnings] == ["unseen-missing"]
