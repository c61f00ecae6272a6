"""``modelway predict``: a bundle and a service alike, and no file is lost."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from modelway.domain.signature import Column, Datatype, Signature
from support.live import Serve, modelway
from support.served import FLOWER, compiled_bundle, flower_graph, function_bundle

PETS = Signature(
    columns=(
        Column("size (m)", "size", Datatype.FP64, nullable=True, minimum=0.0, maximum=3.0),
        Column("legs", "legs", Datatype.INT64, nullable=True),
        Column("tame", "tame", Datatype.BOOL),
        Column("name", "name", Datatype.STRING, nullable=True),
    )
)
ECHO = "def echo(size, legs, tame, name):\n    return f'{size} {legs} {tame} {name}'\n"
AsModel = Callable[[Path], str]
ROW = "sepal_length,petal width\n5,0.2\n"


@pytest.fixture(scope="module")
def flower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled bundle with labels of which the last, 2, has no name."""
    names = {"0": "setosa", "1": "versicolor"}
    signature = Signature(columns=FLOWER.columns, label_names=names)
    folder = tmp_path_factory.mktemp("bundles") / "flower"
    return compiled_bundle(folder, flower_graph(), signature, classes=(0, 1, 2))


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that says what it was given."""
    return function_bundle(tmp_path_factory.mktemp("bundles") / "pets", ECHO, "echo", PETS)


@pytest.fixture(scope="module", params=["bundle", "service"])
def as_model(request: pytest.FixtureRequest, serve_all: Serve) -> AsModel:
    """Gives a bundle's folder, or the address of a service that serves it."""
    if request.param == "bundle":
        return str
    return cache(lambda bundle: serve_all(bundle).url)


def test_the_input_is_never_the_output(flower: Path, tmp_path: Path) -> None:
    source, link = tmp_path / "rows.csv", tmp_path / "link.csv"
    source.write_text(ROW)
    link.symlink_to(source)
    for output in (source, link):
        done = modelway("predict", flower, "--input", source, "--output", output, exit_code=2)
        assert "is the input itself" in done.stderr
        assert "--output" in done.stderr
    assert source.read_text() == ROW


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_failure_leaves_what_was_there(flower: Path, tmp_path: Path, form: str) -> None:
    source, output = tmp_path / "rows.csv", tmp_path / f"scored.{form}"
    source.write_text(ROW + "5,much\n")
    output.write_text("precious")
    words = ("predict", flower, "--input", source, "--output", output, "--batch-rows", "1")
    done = modelway(*words, exit_code=2)
    assert "row 2, petal width" in done.stderr
    assert output.read_text() == "precious"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_columns_of_the_user_are_never_replaced(
    as_model: AsModel, flower: Path, tmp_path: Path, form: str
) -> None:
    model = as_model(flower)
    row = {"sepal_length": 5, "petal width": 0.2, "label": "mine", "probability_2": 1}
    source, output = tmp_path / f"rows.{form}", tmp_path / f"scored.{form}"
    lines = [",".join(row), ",".join(map(str, row.values()))]
    source.write_text("\n".join(lines if form == "csv" else [json.dumps(row)]) + "\n")
    done = modelway("predict", model, "--input", source, "--output", output, exit_code=2)
    assert "would replace: label, probability_2" in done.stderr
    assert "rename" in done.stderr
    assert not output.exists()
    done = modelway("predict", model, "--input", source, exit_code=2)
    assert done.stdout == ""


def test_a_clash_in_a_later_batch_is_found(flower: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "rows.jsonl", tmp_path / "scored.jsonl"
    row = {"sepal_length": 5, "petal width": 0.2}
    source.write_text(f"{json.dumps(row)}\n{json.dumps(row | {'prediction': 7})}\n")
    words = ("predict", flower, "--input", source, "--output", output, "--batch-rows", "1")
    assert "would replace: prediction" in modelway(*words, exit_code=2).stderr
    assert not output.exists()


def test_another_word_for_the_prediction_is_the_way_out(
    serve: Serve, flower: Path, tmp_path: Path
) -> None:
    source = tmp_path / "rows.csv"
    source.write_text("sepal_length,petal width,prediction\n5,0.2,mine\n")
    done = modelway("predict", flower, "--input", source, exit_code=2)
    assert "--output-name" in done.stderr
    url = serve(flower, "--output-name", "Species").url
    done = modelway("predict", url, "--input", source)
    (scored,) = csv.DictReader(done.stdout.splitlines())
    assert (scored["prediction"], scored["Species"]) == ("mine", "0")


def test_what_is_unusual_is_summed_up(as_model: AsModel, flower: Path, tmp_path: Path) -> None:
    source = tmp_path / "rows.csv"
    lines = ["5,0.2,a,", "5,9,b,", "99,0.2,c,", "99,8,d,"]
    source.write_text("\n".join(["sepal_length,petal width,id,note", *lines * 500]) + "\n")
    done = modelway("predict", as_model(flower), "--input", source, "--batch-rows", "300")
    assert done.stderr.splitlines() == [
        "2000 rows predicted",
        "warning: columns that the model does not know: id, note",
        "warning: 1500 of 2000 rows are unusual",
        "  out-of-range in 1000 rows, first in row 2: petal width: expected a value from 0.1 to "
        "2.5, as in training, got 9",
        "  out-of-range in 1000 rows, first in row 3: sepal length (cm): expected a value from 4.3 "
        "to 7.9, as in training, got 99",
    ]


def test_nothing_unusual_is_nothing_said(as_model: AsModel, flower: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(ROW)
    done = modelway("predict", as_model(flower), "--input", tmp_path / "rows.csv")
    assert done.stderr == "1 rows predicted\n"


def test_a_strict_model_still_refuses_an_unknown_column(
    serve: Serve, flower: Path, tmp_path: Path
) -> None:
    source = tmp_path / "rows.jsonl"
    row = {"sepal_length": 5, "petal width": 0.2}
    source.write_text(f"{json.dumps(row)}\n{json.dumps(row | {'note': 1})}\n")
    url = serve(flower, "--strict").url
    assert "row 2, note" in modelway("predict", url, "--input", source, exit_code=2).stderr


@pytest.mark.parametrize("cell", ["1_0", "\uff17", "nan", "inf", "1e999", "0x1"])
def test_what_is_no_number_is_refused_by_both(
    as_model: AsModel, pets: Path, tmp_path: Path, cell: str
) -> None:
    source = tmp_path / "rows.csv"
    source.write_text(f"size,legs,tame,name\n1,1,1,x\n{cell},1,1,x\n", encoding="utf-8")
    done = modelway("predict", as_model(pets), "--input", source, exit_code=2)
    assert f"row 2, size (m): expected a number, got '{cell}'" in done.stderr


def test_cells_are_read_alike_and_written_with_their_types(
    as_model: AsModel, pets: Path, tmp_path: Path
) -> None:
    source, output = tmp_path / "rows.csv", tmp_path / "scored.jsonl"
    source.write_text("size (m),legs,tame,name,id\n 0.50,4.0,TRUE,Tom,007\n,,0,,\n")
    model = as_model(pets)
    modelway("predict", model, "--input", source, "--output", output)
    first, second = (json.loads(line) for line in output.read_text().splitlines())
    prediction = first.pop("prediction")
    assert prediction.split()[::3] == ["0.5", "Tom"]
    assert first == {"size (m)": 0.5, "legs": 4, "tame": True, "name": "Tom", "id": "007"}
    second.pop("prediction")
    assert second == {"size (m)": None, "legs": None, "tame": False, "name": None, "id": ""}
    done = modelway("predict", model, "--input", source)
    assert done.stdout.splitlines()[1] == f" 0.50,4.0,TRUE,Tom,007,{prediction}"


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_what_is_written_can_be_predicted_again(
    serve: Serve, pets: Path, tmp_path: Path, form: str
) -> None:
    """Another word for the prediction lets the rows that were answered be asked once more."""
    source, scored = tmp_path / "rows.csv", tmp_path / f"scored.{form}"
    source.write_text("size,legs,tame,name\n,,1,\n,,1,\n0.5,4,1,Tom\n")
    modelway("predict", pets, "--input", source, "--output", scored, "--batch-rows", "2")
    url = serve(pets, "--output-name", "again").url
    again = tmp_path / "again.csv"
    modelway("predict", url, "--input", scored, "--output", again)
    rows = list(csv.DictReader(again.read_text().splitlines()))
    assert [row["again"] for row in rows] == [row["prediction"] for row in rows]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_column_that_only_a_later_batch_has_is_an_error(
    flower: Path, tmp_path: Path, form: str
) -> None:
    source, output = tmp_path / "rows.jsonl", tmp_path / f"scored.{form}"
    row = {"sepal_length": 5, "petal width": 0.2}
    source.write_text(f"{json.dumps(row)}\n{json.dumps(row | {'note': 1})}\n")
    words = ("predict", flower, "--input", source, "--output", output, "--batch-rows", "1")
    assert "row 2 has a column 'note'" in modelway(*words, exit_code=2).stderr
    assert not output.exists()
    modelway(*words[:-1], "2")
    assert output.exists()


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_label_without_a_name_in_the_first_batch_keeps_the_column(
    as_model: AsModel, flower: Path, tmp_path: Path, form: str
) -> None:
    source, output = tmp_path / "rows.csv", tmp_path / f"scored.{form}"
    source.write_text("sepal_length,petal width\n5,2.4\n5,0.2\n")
    words = ("--input", source, "--output", output, "--batch-rows", "1")
    modelway("predict", as_model(flower), *words)
    if form == "csv":
        rows: list[Any] = list(csv.DictReader(output.read_text().splitlines()))
    else:
        rows = pytest.importorskip("pyarrow.parquet").read_table(output).to_pylist()
    assert [row["label"] or None for row in rows] == [None, "setosa"]
    assert list(rows[0])[2:5] == ["prediction", "label", "probability_0"]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_file_without_rows_gives_a_file_without_rows(
    as_model: AsModel, flower: Path, tmp_path: Path, form: str
) -> None:
    source, full = tmp_path / "none.csv", tmp_path / "full.csv"
    source.write_text(ROW.splitlines()[0] + ",id\n")
    full.write_text(ROW.splitlines()[0] + ",id\n5,0.2,a\n")
    model = as_model(flower)
    outputs = [tmp_path / f"{one.stem}-scored.{form}" for one in (source, full)]
    for one, output in zip((source, full), outputs, strict=True):
        modelway("predict", model, "--input", one, "--output", output)
    if form == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        assert parquet.read_schema(outputs[0]) == parquet.read_schema(outputs[1])
        assert parquet.read_metadata(outputs[0]).num_rows == 0
    else:
        lines = outputs[1].read_text().splitlines()
        assert outputs[0].read_text().splitlines() == (lines[:1] if form == "csv" else [])


def test_columns_of_a_parquet_file_keep_their_types(
    as_model: AsModel, flower: Path, tmp_path: Path
) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    source, output = tmp_path / "rows.parquet", tmp_path / "scored.parquet"
    columns = {
        "sepal_length": arrow.array([5, 6], arrow.float32()),
        "petal width": arrow.array([1, 2], arrow.int8()),
        "kind": arrow.array([None, "x"]).dictionary_encode(),
        "when": arrow.array([None, 1], arrow.timestamp("us", "UTC")),
        "picture": arrow.array([None, b"x"]),
    }
    table = arrow.table(columns)
    parquet.write_table(table, source)
    words = ("--input", source, "--output", output, "--batch-rows", "1")
    modelway("predict", as_model(flower), *words)
    found = parquet.read_table(output).select(list(columns))
    assert (found.schema, found.to_pylist()) == (table.schema, table.to_pylist())


def test_another_endpoint_can_be_asked(
    serve: Serve, flower: Path, pets: Path, tmp_path: Path
) -> None:
    source = tmp_path / "rows.csv"
    source.write_text("size,legs,tame,name\n1,1,1,x\n")
    url = serve(flower, pets).url
    done = modelway("predict", url, "--endpoint", "pets", "--input", source)
    assert done.stdout.splitlines()[0] == "size,legs,tame,name,prediction"
    done = modelway("predict", url, "--endpoint", "cats", "--input", source, exit_code=3)
    assert "'cats'" in done.stderr
    assert "flower, pets" in done.stderr
    modelway("predict", url, "--endpoint", "../pets", "--input", source, exit_code=2)
    done = modelway("predict", pets, "--endpoint", "pets", "--input", source, exit_code=2)
    assert "no endpoint" in done.stderr
