"""What a SOURCE is, by its content."""

from __future__ import annotations

import bz2
import gzip
import lzma
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from modelway.bundles.sources import Source, read_source
from modelway.bundles.trust import check_allowed
from modelway.domain.errors import InvalidSource, SourceNotFound, UnsafeFormat
from modelway.domain.signature import Datatype

JSON_IS_YAML = msgspec.json.decode


def source_of(path: Path, content: bytes) -> Source:
    path.write_bytes(content)
    return read_source(str(path), JSON_IS_YAML)


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("model", pickle.dumps([1], protocol=5), "pickle"),
        ("model.pkl", pickle.dumps([1], protocol=2), "pickle"),
        ("model.pkl", pickle.dumps([1], protocol=0), "pickle"),
        ("model.joblib", pickle.dumps([1], protocol=4), "joblib"),
        ("model.joblib", gzip.compress(pickle.dumps([1]), mtime=0), "joblib"),
        ("model.pkl", gzip.compress(pickle.dumps([1], protocol=0), mtime=0), "joblib"),
        ("model.pkl.gz", gzip.compress(pickle.dumps([1]), mtime=0), "joblib"),
        ("model.bz2", bz2.compress(pickle.dumps([1])), "joblib"),
        ("model", lzma.compress(pickle.dumps([1])), "joblib"),
        ("model.sav", zlib.compress(pickle.dumps([1])), "joblib"),
        ("model.bin", b"\x08\x0a\x12\x08modelway", "onnx"),
        ("model.txt", b'{"learner":{"attributes":{}},"version":[3,2,0]}', "xgboost-json"),
        ("model.bin", b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{", "xgboost-ubj"),
        ("model.model", b"tree\nversion=v4\n", "lightgbm-text"),
        ("model.dat", b"CBM1\x10\x33\x00\x00", "catboost-cbm"),
    ],
)
def test_a_file_is_known_by_its_content(
    name: str, content: bytes, form: str, tmp_path: Path
) -> None:
    assert source_of(tmp_path / name, content).format == form


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("saved_model.pb", b"\x08\x01\x12\x08whatever"),
        ("model.json", b'{"model": 1}'),
        ("model.json", b'{"learner'),
        ("model.bin", gzip.compress(b"text", mtime=0)),
        ("model.bin", gzip.compress(pickle.dumps([1]), mtime=0)[:12]),
        ("model.bin", b"x of something else"),
        ("model.pkl", b""),
        ("model.csv", b"a,b\n1,2\n"),
    ],
)
def test_anything_else_is_refused_with_what_is_understood(
    name: str, content: bytes, tmp_path: Path
) -> None:
    with pytest.raises(InvalidSource) as caught:
        source_of(tmp_path / name, content)
    assert caught.value.hint is not None
    assert "skops" in caught.value.hint


def test_a_zip_is_skops_only_with_its_schema(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", "x")
    with pytest.raises(InvalidSource):
        read_source(str(path), JSON_IS_YAML)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("schema.json", "{}")
    source = read_source(str(path), JSON_IS_YAML)
    assert source.format == "skops"
    check_allowed(source, allow_pickle=False)


def test_pickles_may_be_refused(tmp_path: Path) -> None:
    source = source_of(tmp_path / "model.pkl", pickle.dumps([1]))
    check_allowed(source, allow_pickle=True)
    with pytest.raises(UnsafeFormat, match=r"model\.pkl"):
        check_allowed(source, allow_pickle=False)


def test_a_name_in_a_python_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.py"
    path.write_text("")
    source = read_source(f"{path}:is_in_heat", JSON_IS_YAML)
    assert (source.format, source.entry, source.name) == ("python", "is_in_heat", "is_in_heat")
    for wrong in (str(path), f"{path}:", f"{path}:is in heat"):
        with pytest.raises(InvalidSource):
            read_source(wrong, JSON_IS_YAML)
    with pytest.raises(SourceNotFound):
        read_source(f"{tmp_path / 'none.py'}:f", JSON_IS_YAML)


def mlflow_folder(folder: Path, content: dict[str, Any]) -> Source:
    folder.mkdir()
    (folder / "MLmodel").write_bytes(msgspec.json.encode(content))
    (folder / "model.pkl").write_bytes(pickle.dumps([1]))
    return read_source(str(folder), JSON_IS_YAML)


def test_an_mlflow_folder_is_its_inner_file(tmp_path: Path) -> None:
    inputs = [
        {"type": "double", "name": "a", "required": True},
        {"type": "string", "name": "b", "required": False},
    ]
    source = mlflow_folder(
        tmp_path / "flowers",
        {
            "flavors": {
                "python_function": {"loader_module": "mlflow.sklearn"},
                "sklearn": {"pickled_model": "model.pkl", "code": "code"},
            },
            "signature": {"inputs": msgspec.json.encode(inputs).decode()},
        },
    )
    assert (source.format, source.name) == ("pickle", "flowers")
    assert source.path == tmp_path / "flowers" / "model.pkl"
    assert source.code == tmp_path / "flowers" / "code"
    assert source.signature is not None
    assert [(c.name, c.datatype, c.nullable) for c in source.signature.columns] == [
        ("a", Datatype.FP64, False),
        ("b", Datatype.STRING, True),
    ]


def test_an_mlflow_folder_that_only_mlflow_reads(tmp_path: Path) -> None:
    inputs = [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 28, 28]}}]
    source = mlflow_folder(
        tmp_path / "images",
        {
            "flavors": {"python_function": {"loader_module": "mlflow.pyfunc.model"}},
            "signature": {"inputs": msgspec.json.encode(inputs).decode()},
        },
    )
    assert (source.format, source.path) == ("mlflow", tmp_path / "images")
    assert source.signature is not None
    (tensor,) = source.signature.tensors
    assert (tensor.datatype, tensor.shape) == (Datatype.FP32, (-1, 28, 28))


def test_an_unnamed_matrix_of_mlflow_is_columns(tmp_path: Path) -> None:
    inputs = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]
    flavors = {"sklearn": {"pickled_model": "model.pkl"}}
    signature = {"inputs": msgspec.json.encode(inputs).decode()}
    source = mlflow_folder(tmp_path / "m", {"flavors": flavors, "signature": signature})
    assert source.signature is not None
    assert [c.name for c in source.signature.columns] == ["x1", "x2"]


@pytest.mark.parametrize(
    "content",
    [
        {"flavors": {"keras": {"data": "model"}}},
        {"flavors": []},
        {"flavors": {"python_function": {}}, "signature": {"inputs": "[{]"}},
        {"flavors": {"python_function": {}}, "signature": {"inputs": '[{"type":"map"}]'}},
    ],
)
def test_an_mlflow_folder_that_nobody_reads(content: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InvalidSource):
        mlflow_folder(tmp_path / "m", content)


@pytest.mark.parametrize(
    "flavor",
    [
        {"pickled_model": "/etc/passwd"},
        {"pickled_model": "../model.pkl"},
        {"pickled_model": "model.pkl", "code": "/etc"},
        {"pickled_model": "model.pkl", "code": ["code"]},
    ],
)
def test_an_mlflow_folder_names_nothing_outside_itself(
    flavor: dict[str, object], tmp_path: Path
) -> None:
    with pytest.raises(InvalidSource, match="no path inside the folder"):
        mlflow_folder(tmp_path / "m", {"flavors": {"sklearn": flavor}})


def test_folders_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(InvalidSource, match="MLmodel"):
        read_source(str(tmp_path), JSON_IS_YAML)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(InvalidSource, match="a bundle already"):
        read_source(str(tmp_path), JSON_IS_YAML)
