"""The steps of a build, with the frameworks that need no library: functions of a Python file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from modelway.bundles.building import build_bundle
from modelway.bundles.order import BuildOrder, Tools
from modelway.bundles.sources import read_source
from modelway.bundles.store import open_bundle
from modelway.composition.frameworks import compiler, framework
from modelway.composition.training_data import read_training
from modelway.domain.errors import BuildFailed, InvalidSignature
from modelway.inference.samples import sample_table

TOOLS = Tools(framework, compiler, read_training, sample_table)

RULES = """
def half(x: float) -> float:
    return x / 2

def untyped(x, y):
    return x + y

def fails(x: float) -> float:
    raise ValueError("never")
"""


def order(name: str, tmp_path: Path) -> BuildOrder:
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "rules_to_build.py").write_text(RULES)
    folder = tmp_path / "bundle"
    folder.mkdir(exist_ok=True)
    source = read_source(f"{tmp_path / 'rules_to_build.py'}:{name}", msgspec.json.decode)
    return BuildOrder(source, folder, name)


def test_a_bundle_is_what_its_record_says(tmp_path: Path) -> None:
    asked = replace(order("half", tmp_path), metrics={"mae": 0.5})
    assert build_bundle(asked, TOOLS) == []
    bundle = open_bundle(asked.folder)
    assert bundle.manifest.original.path == "original/rules_to_build.py"
    assert bundle.record.source_sha256 == asked.source.sha256()
    assert bundle.record.metrics == {"mae": 0.5}
    assert bundle.record.why_native


def test_a_model_that_fails_is_not_bundled(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="ValueError: never"):
        build_bundle(order("fails", tmp_path), TOOLS)


def test_what_cannot_be_compiled_fails_where_it_must_be(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="cannot be compiled"):
        build_bundle(replace(order("half", tmp_path), require_compiled=True), TOOLS)


def test_labels_are_as_many_as_the_classes(tmp_path: Path) -> None:
    with pytest.raises(InvalidSignature, match="the model has no classes"):
        build_bundle(replace(order("half", tmp_path), labels=("a", "b")), TOOLS)


def test_columns_without_type_hints_come_from_training_data(tmp_path: Path) -> None:
    with pytest.raises(InvalidSignature, match="nothing says what the model takes"):
        build_bundle(order("untyped", tmp_path), TOOLS)
    data = tmp_path / "rows.csv"
    data.write_text("y,x,sum\n1,2,3\n,5,5\n")
    asked = replace(order("untyped", tmp_path / "again"), data=data, target="sum")
    build_bundle(asked, TOOLS)
    y, x = open_bundle(asked.folder).signature.columns
    assert (y.name, y.nullable, x.maximum, x.nullable) == ("y", True, 5.0, False)


def test_whole_numbers_beyond_a_float64_are_refused_where_the_model_takes_them(
    tmp_path: Path,
) -> None:
    data = tmp_path / "rows.csv"
    data.write_text(f"id,x\n{2**60},1\n{2**60 + 1},2\n")
    build_bundle(replace(order("half", tmp_path / "x"), data=data), TOOLS)
    data.write_text(f"x\n{2**60}\n{2**60 + 1}\n")
    with pytest.raises(InvalidSignature, match="column 'x'"):
        build_bundle(replace(order("half", tmp_path / "id"), data=data), TOOLS)
