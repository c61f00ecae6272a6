"""``modelway batch``: which files are scored, and what of them is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelway.composition.batch_places import inputs_of, target_of
from modelway.domain.errors import InvalidInput, SourceNotFound
from support.live import modelway
from support.scored import rows_of
from support.served import FLOWER, compiled_bundle, flower_graph


@pytest.fixture(scope="module")
def flower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled bundle."""
    folder = tmp_path_factory.mktemp("bundles") / "flower"
    return compiled_bundle(folder, flower_graph(), FLOWER, classes=(0, 1, 2))


def test_two_stars_are_the_files_of_all_folders_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["days/a/b/2.csv", "days/a/1.csv", "days/3.csv"]
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    target = target_of("scored.csv", None)
    for pattern in ("days/**/*.csv", "**/*.csv", "**/**/*.csv"):
        assert sorted(map(str, inputs_of(pattern, target))) == sorted(names)
    assert list(map(str, inputs_of("days/*/*.csv", target))) == ["days/a/1.csv"]
    with pytest.raises(SourceNotFound, match=r"a file that fits 'days/\*\.parquet' does not exist"):
        inputs_of("days/*.parquet", target)
    with pytest.raises(InvalidInput, match="days is a folder") as caught:
        inputs_of("days", target)
    assert caught.value.hint == "give a pattern of its files, such as 'days/*.parquet'"
    with pytest.raises(SourceNotFound, match=r"nights\.csv does not exist"):
        inputs_of("nights.csv", target)


def lines(path: Path, *rows: Mapping[str, Any]) -> None:
    """Write rows, each a flower too, as JSON lines."""
    flower = {"sepal_length": 5.0, "petal width": 1.5}
    path.write_text("".join(json.dumps({**flower, **row}) + "\n" for row in rows))


def test_a_column_that_comes_later_is_refused_and_not_left_out(
    flower: Path, tmp_path: Path
) -> None:
    lines(tmp_path / "rows.jsonl", {"id": 1}, {"id": 2, "note": "late"}, {"id": 3})
    words = ("batch", flower, "--input", "rows.jsonl", "--output", "scored.csv")
    modelway(*words, "--max-errors", "1", folder=tmp_path, exit_code=11)
    assert [row["id"] for row in rows_of(tmp_path / "scored.csv")] == ["1", "3"]
    (listed,) = rows_of(tmp_path / "scored.csv.errors.jsonl")
    assert (listed["row"], listed["line"], listed["values"]["note"]) == (2, 2, "late")
    (problem,) = listed["problems"]
    assert (problem["column"], problem["code"]) == ("note", "unknown-column")
    assert problem["message"].endswith("name the columns to keep with --columns")
    for other in (("--columns", "id"), ("--id-column", "id")):
        output = tmp_path / f"{other[0][2:]}.csv"
        modelway(*words[:-1], output, *other, folder=tmp_path)
        assert [row["id"] for row in rows_of(output)] == ["1", "2", "3"]
    modelway(*words[:-1], "scored.jsonl", folder=tmp_path)
    assert rows_of(tmp_path / "scored.jsonl")[1]["note"] == "late"


def test_the_columns_of_all_files_are_kept(flower: Path, tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", {"id": 1})
    lines(tmp_path / "b.jsonl")
    lines(tmp_path / "c.jsonl", {"note": 7}, {"id": 2, "note": 8})
    words = ("batch", flower, "--input", "?.jsonl", "--output", "scored.parquet")
    modelway(*words, folder=tmp_path)
    found = rows_of(tmp_path / "scored.parquet")
    assert [(row["id"], row["note"]) for row in found] == [(1, None), (None, 7), (2, 8)]
    assert list(found[0])[:5] == ["sepal_length", "petal width", "id", "note", "prediction"]


def test_a_file_with_a_column_more_is_refused(flower: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sepal_length,petal width\n5,1.5\n")
    (tmp_path / "b.csv").write_text("sepal_length,petal width,note\n5,1.5,late\n")
    words = ("batch", flower, "--input", "?.csv", "--output", "scored.csv")
    said = modelway(*words, folder=tmp_path, exit_code=2).stderr
    assert "a.csv has no column note" in said
    modelway(*words, "--columns", "petal width", folder=tmp_path)
    assert len(rows_of(tmp_path / "scored.csv")) == 2


def test_a_column_has_the_type_of_its_first_value_and_not_of_null(
    flower: Path, tmp_path: Path
) -> None:
    lines(tmp_path / "rows.jsonl", {"v": None, "w": None}, {"v": 7}, {"v": None}, {"v": 8})
    words = ("batch", flower, "--input", "rows.jsonl", "--output", "scored.parquet")
    modelway(*words, folder=tmp_path)
    found = rows_of(tmp_path / "scored.parquet")
    assert [row["v"] for row in found] == [None, 7, None, 8]
    assert [row["w"] for row in found] == [None] * 4


def test_parquet_that_names_a_column_twice_is_refused(flower: Path, tmp_path: Path) -> None:
    names = ["sepal_length", "petal width", "note", "note"]
    table = pa.Table.from_arrays([pa.array([5.0]), pa.array([1.5]), *[pa.array([1])] * 2], names)
    pq.write_table(table, tmp_path / "rows.parquet")
    words = ("--input", "rows.parquet", "--output", "scored.parquet")
    said = modelway("batch", flower, *words, folder=tmp_path, exit_code=2).stderr
    assert "rows.parquet names a column twice" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_id_column_that_is_not_there_is_said_to_be_that(
    flower: Path, tmp_path: Path, form: str
) -> None:
    table = pa.table({"sepal_length": [5.0], "petal width": [1.5]})
    pq.write_table(table, tmp_path / "rows.parquet")
    (tmp_path / "rows.csv").write_text("sepal_length,petal width\n5,1.5\n")
    words = ("--input", f"rows.{form}", "--output", "scored.csv", "--id-column", "nope")
    said = modelway("batch", flower, *words, folder=tmp_path, exit_code=2).stderr
    assert f"rows.{form} has no column nope, which is to tell rows apart" in said
    assert "give --id-column one that it has" in said
    assert "--columns" not in said
