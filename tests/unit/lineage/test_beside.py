from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelway.domain.errors import InvalidInput, SourceNotFound
from modelway.lineage.beside import LOCKS, find_origin, has_pointer, pointer_of
from modelway.lineage.origin import DvcPointer, Origin
from support.repositories import Repository

ROWS = b"age,granted\n31,1\n" * 100_000


def read_yaml(content: bytes) -> object:
    try:
        return yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise InvalidInput(f"it is not YAML: {error}") from error


def point_to(data: Path, **said: Any) -> None:
    """Write a pointer as DVC does."""
    outputs = [{"path": data.name, **said}]
    data.with_name(data.name + ".dvc").write_text(yaml.safe_dump({"outs": outputs}))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model in a folder of a repository, with training data."""
    repository = Repository(tmp_path / "loan")
    folder = repository.folder / "models" / "forest"
    folder.mkdir(parents=True)
    (folder / "model.pickle").write_bytes(b"\x80\x04N.")
    (repository.folder / "train.csv").write_bytes(ROWS)
    repository.commit()
    return folder / "model.pickle"


def found(model: Path, data: Path | None = None) -> tuple[Origin, list[str]]:
    said: list[str] = []
    return find_origin(model, data, read_yaml, said.append), said


def test_code_and_data_of_one_repository(model: Path) -> None:
    origin, said = found(model, model.parents[2] / "train.csv")
    assert origin.code is not None
    assert origin.code.dirty is False
    assert origin.data_code is None
    assert origin.data == "train.csv"
    assert origin.data_sha256 == hashlib.sha256(ROWS).hexdigest()
    assert origin.dvc is None
    assert said == []


def test_data_of_another_repository_has_its_own_commit(model: Path, tmp_path: Path) -> None:
    pipeline = Repository(tmp_path / "pipeline")
    (pipeline.folder / "rows.csv").write_bytes(ROWS)
    commit = pipeline.commit("the pipeline")
    origin, _ = found(model, pipeline.folder / "rows.csv")
    assert origin.data_code is not None
    assert origin.data_code.commit == commit
    assert origin.code is not None
    assert origin.code.commit != commit
    assert origin.data == "rows.csv"


def test_outside_of_any_repository(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(ROWS)
    (tmp_path / "requirements.txt").write_text("numpy==2.0\n")
    origin, _ = found(tmp_path / "model.pickle", tmp_path / "rows.csv")
    assert origin.code is None
    assert origin.data == (tmp_path / "rows.csv").as_posix()
    assert origin.lock == (tmp_path / "requirements.txt").as_posix()


def test_a_pointer_beside_the_data(model: Path) -> None:
    data = model.parents[2] / "train.csv"
    md5 = hashlib.md5(ROWS).hexdigest()
    point_to(data, hash="md5", md5=md5, size=len(ROWS))
    origin, said = found(model, data)
    assert origin.dvc == DvcPointer("md5", md5, "train.csv", len(ROWS))
    assert origin.data_sha256 == hashlib.sha256(ROWS).hexdigest()
    assert said == []


@pytest.mark.parametrize(
    "said_of", [{"hash": "md5", "md5": "0" * 32, "size": len(ROWS)}, {"md5": "0" * 32, "size": 3}]
)
def test_data_that_are_not_what_is_pointed_to_are_told(
    model: Path, said_of: dict[str, Any]
) -> None:
    data = model.parents[2] / "train.csv"
    point_to(data, **said_of)
    origin, said = found(model, data)
    assert origin.dvc is not None
    assert origin.dvc.value == "0" * 32
    assert said == [f"{data} is not what train.csv.dvc points to; run dvc add or dvc checkout"]


def test_a_pointer_of_an_older_dvc_says_so(model: Path) -> None:
    data = model.parents[2] / "train.csv"
    point_to(data, md5="0" * 32, size=len(ROWS))
    origin, said = found(model, data)
    assert origin.dvc == DvcPointer("md5-dos2unix", "0" * 32, "train.csv", len(ROWS))
    assert said == []


def test_a_pointer_alone(model: Path) -> None:
    data = model.parents[2] / "elsewhere.csv"
    point_to(data, hash="md5", md5="ab" * 16, size=9)
    assert has_pointer(data)
    origin, _ = found(model, data)
    assert origin.data == "elsewhere.csv"
    assert origin.data_sha256 is None
    assert origin.dvc == DvcPointer("md5", "ab" * 16, "elsewhere.csv", 9)


def test_neither_data_nor_pointer(model: Path) -> None:
    with pytest.raises(SourceNotFound, match=r"nowhere\.csv"):
        found(model, model.parent / "nowhere.csv")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("outs: [", "not YAML"),
        ("deps: []", "outs"),
        ("outs: []", "points to nothing"),
        ("outs: [{path: other.csv, md5: abc}]", r"points to other\.csv, and not to train\.csv"),
        ("outs: [{path: train.csv}]", "expected md5, etag or checksum"),
    ],
)
def test_a_pointer_that_cannot_be_read(model: Path, content: str, told: str) -> None:
    data = model.parents[2] / "train.csv"
    data.with_name("train.csv.dvc").write_text(content)
    with pytest.raises(InvalidInput, match=told):
        pointer_of(data, read_yaml)


def test_locks_in_their_order_and_the_nearest_first(model: Path) -> None:
    root, between = model.parents[2], model.parents[1]
    for name in reversed(LOCKS):
        (root / name).write_text(name)
        origin, _ = found(model)
        assert origin.lock == name
        assert origin.lock_sha256 == hashlib.sha256(name.encode()).hexdigest()
    (between / "requirements.txt").write_text("numpy\n")
    assert found(model)[0].lock == "models/requirements.txt"


def test_no_lock_from_outside_the_repository(model: Path) -> None:
    (model.parents[3] / "uv.lock").write_text("of something else")
    assert found(model)[0].lock is None
