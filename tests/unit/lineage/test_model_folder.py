from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelway.bundles.manifest import Manifest, OriginalModel, Task
from modelway.bundles.record import Record
from modelway.bundles.sources import FORMATS, Source, read_source
from modelway.bundles.store import Bundle
from modelway.bundles.trust import check_allowed
from modelway.domain.errors import InvalidSource, UnsafeFormat
from modelway.domain.signature import Column, Datatype, Signature
from modelway.lineage.model_folder import write_model

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SIGNATURE = Signature(
    (
        Column("age", "a", Datatype.INT64, minimum=18, maximum=99, unit="years"),
        Column("area", "area", Datatype.CATEGORICAL, True, categories=("town",), optional=True),
    ),
    label_names={"0": "refused", "1": "granted"},
    description="Loans that were paid back",
)
PICKLE = b"\x80\x04N."


def written(
    tmp_path: Path,
    form: str,
    content: bytes,
    *,
    task: Task = Task.CLASSIFICATION,
    entry: str | None = None,
    path: str = "",
    code: bool = False,
) -> Path:
    """The folder made of a bundle of one format."""
    found = FORMATS[form]
    path = path or f"original/{found.file or 'rules.py'}"
    libraries = {"scikit-learn": "1.9.1", "xgboost": "3.1.0", "lightgbm": "4.6.0"}
    original = OriginalModel(found.framework, path, form, entry)
    manifest = Manifest(1, task, found.framework, original, "columns", libraries=libraries)
    bundle = Bundle(
        tmp_path / "bundle",
        "sha256:" + "0" * 64,
        manifest,
        SIGNATURE,
        Record("sha256:" + "0" * 64, "loan", "model", "0" * 64, NOON.isoformat(), "0.1.0"),
    )
    if code:
        (bundle.folder / "code" / "shop").mkdir(parents=True)
        (bundle.folder / "code" / "shop" / "__init__.py").write_text("")
    (bundle.folder / path).parent.mkdir(parents=True, exist_ok=True)
    (bundle.folder / path).write_bytes(content)
    folder = tmp_path / "model"
    folder.mkdir()
    write_model(bundle, folder, NOON)
    return folder


def source_of(folder: Path) -> Source:
    return read_source(str(folder), yaml.safe_load)


def flavors(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((folder / "MLmodel").read_bytes())["flavors"]
    return found


@pytest.mark.parametrize(
    ("form", "content", "name", "said"),
    [
        ("pickle", PICKLE, "sklearn", {"pickled_model": "model.pickle"}),
        ("onnx", b"\x08\x08\x12\x00", "onnx", {"data": "model.onnx"}),
        (
            "xgboost-json",
            b'{"learner": {}}',
            "xgboost",
            {"data": "model.json", "model_class": "xgboost.core.Booster", "model_format": "json"},
        ),
        (
            "xgboost-sklearn-json",
            b'{"learner": {"a": "{\\"_estimator_type\\": \\"classifier\\"}"}}',
            "xgboost",
            {"data": "model.json", "model_class": "xgboost.sklearn.XGBClassifier"},
        ),
        (
            "lightgbm-text",
            b"tree\nversion=v4\n",
            "lightgbm",
            {"data": "model.txt", "model_class": "lightgbm.basic.Booster"},
        ),
        (
            "catboost-cbm",
            b"CBM1....",
            "catboost",
            {"data": "model.cbm", "model_type": "CatBoostClassifier", "save_format": "cbm"},
        ),
    ],
)
def test_a_model_by_mlflows_own_flavour_and_by_ours(
    tmp_path: Path, form: str, content: bytes, name: str, said: dict[str, str]
) -> None:
    folder = written(tmp_path, form, content)
    found = flavors(folder)
    assert set(found) == {"modelway", name, "python_function"}
    assert found[name].items() >= said.items()
    assert found["python_function"]["loader_module"] == f"mlflow.{name}"
    source = source_of(folder)
    assert source.format == form
    assert source.path.read_bytes() == content
    assert source.code is None


def test_the_signature_comes_back_in_full(tmp_path: Path) -> None:
    facts = source_of(written(tmp_path, "pickle", PICKLE)).signature
    assert facts is not None
    age, area = facts.columns
    assert (age.alias, age.datatype, age.minimum, age.maximum) == ("a", Datatype.INT64, 18, 99)
    assert age.unit == "years"
    assert (area.categories, area.nullable, area.optional) == (("town",), True, True)
    assert facts.label_names == SIGNATURE.label_names
    assert facts.description == SIGNATURE.description


def test_a_python_function_comes_back_with_its_name(tmp_path: Path) -> None:
    folder = written(tmp_path, "python", b"def rule(age): ...\n", entry="rule")
    assert set(flavors(folder)) == {"modelway"}
    source = source_of(folder)
    assert (source.format, source.entry, source.path.name) == ("python", "rule", "rules.py")


def test_a_python_function_inside_its_code(tmp_path: Path) -> None:
    path = "code/shop/rules.py"
    folder = written(
        tmp_path, "python", b"def rule(age): ...\n", entry="rule", path=path, code=True
    )
    source = source_of(folder)
    assert source.path == folder / path
    assert source.code == folder / "code"
    assert (folder / "code" / "shop" / "__init__.py").is_file()


def test_python_from_a_folder_is_no_safer_than_a_pickle(tmp_path: Path) -> None:
    folder = written(tmp_path, "python", b"def rule(age): ...\n", entry="rule")
    with pytest.raises(UnsafeFormat, match="holds Python code"):
        check_allowed(source_of(folder), allow_pickle=False)
    named = read_source(f"{folder / 'rules.py'}:rule", yaml.safe_load)
    check_allowed(named, allow_pickle=False)


def test_a_pickle_of_a_scripts_own_class_is_none_that_mlflow_can_read(tmp_path: Path) -> None:
    folder = written(tmp_path, "pickle", b"\x80\x04\x8c\x08__main__\x8c\x04Mine\x93.", code=True)
    assert set(flavors(folder)) == {"modelway", "sklearn"}
    assert flavors(folder)["sklearn"]["code"] == "code"
    assert source_of(folder).code == folder / "code"


def test_a_file_of_joblib_is_ours_alone(tmp_path: Path) -> None:
    folder = written(tmp_path, "joblib", PICKLE)
    assert set(flavors(folder)) == {"modelway"}
    assert source_of(folder).format == "joblib"


def test_the_libraries_are_pinned(tmp_path: Path) -> None:
    folder = written(tmp_path, "pickle", PICKLE)
    assert "scikit-learn==1.9.1\n" in (folder / "requirements.txt").read_text()
    environment = yaml.safe_load((folder / "python_env.yaml").read_bytes())
    assert environment["dependencies"] == ["-r requirements.txt"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("file", "../secret.pickle"), ("signature", {"columns": []}), ("signature", 7), ("entry", 1)],
)
def test_a_flavour_that_was_tampered_with_is_refused(
    tmp_path: Path, key: str, value: object
) -> None:
    folder = written(tmp_path, "pickle", PICKLE)
    content = yaml.safe_load((folder / "MLmodel").read_bytes())
    content["flavors"]["modelway"][key] = value
    (folder / "MLmodel").write_text(json.dumps(content))
    with pytest.raises(InvalidSource, match="MLmodel"):
        source_of(folder)
