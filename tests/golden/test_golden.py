"""Bundles of every past format: each still opens, is what its digest says, and answers as it did.

A bundle here is never built again; a new format adds a folder of its own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from modelway.bundles.store import Bundle, open_bundle
from modelway.composition.frameworks import open_runtime
from modelway.domain.inference import Outputs
from modelway.inference.validation import Validator

HERE = Path(__file__).parent

LOANS: list[dict[str, object]] = [
    {"loan amount (k)": 100, "ApplicantIncome": 5000, "Property_Area": "Urban"},
    {"loan_amount_k": None, "ApplicantIncome": 2000, "Property_Area": "Rural"},
    {"loan_amount_k": 500, "ApplicantIncome": 150, "Property_Area": "Moon"},
]


def asked(name: str, digest: str, rows: list[dict[str, object]]) -> tuple[Bundle, Outputs]:
    bundle = open_bundle(HERE / name)
    assert bundle.digest == f"sha256:{digest}"
    runtime = open_runtime(bundle.folder, bundle.signature, bundle.manifest, allow_pickle=False)
    outputs = runtime.predict(Validator(bundle.signature, strict=False).rows(rows).table)
    assert open_bundle(bundle.folder).digest == bundle.digest
    return bundle, outputs


def test_a_compiled_bundle_of_format_1() -> None:
    digest = "444e263d9f40847f215c07cd1c4a6a29453f9ca0939281df653639b297c155e2"
    bundle, outputs = asked("format-1-compiled", digest, LOANS)
    assert bundle.manifest.classes is not None
    labels = [bundle.manifest.classes[i] for i in outputs["class_index"]]
    assert labels == ["Y", "Y", "N"]
    assert outputs["probabilities"].tolist() == [
        pytest.approx([0.34579439252336447, 0.6542056074766355]),
        pytest.approx([0.22872340425531915, 0.7712765957446809]),
        pytest.approx([1.0, 0.0]),
    ]
    assert bundle.signature.label_names == {"N": "refused", "Y": "granted"}
    assert bundle.record.metrics == {"accuracy": 0.7}
    assert bundle.record.parity is not None
    assert bundle.record.parity.passed


def test_a_rule_of_format_1() -> None:
    digest = "788b80ff5c5d3bf32ed6b5726bae56e89dffb21215aa80dc6343b0f0a6edb647"
    rows: list[dict[str, object]] = [
        {"activity_ratio": 1.7, "breed": "Jersey"},
        {"activity_ratio": 1.7},
    ]
    _, outputs = asked("format-1-rule", digest, rows)
    assert outputs["prediction"].tolist() == [True, False]


def test_every_bundle_here_is_tested() -> None:
    text = Path(__file__).read_text()
    kept = [folder.name for folder in HERE.iterdir() if (folder / "manifest.json").exists()]
    assert [name for name in kept if f'"{name}"' not in text] == []
