"""``modelway demo`` and ``modelway predict``, as the README shows them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from support.live import MODELWAY, Serve, modelway


def test_demo_check_sends_the_lines_and_passes(tmp_path: Path) -> None:
    done = modelway("demo", "--check", "--home", tmp_path / "home")
    assert '"prediction":2' in done.stdout
    assert done.stdout.count("as expected") == 2
    assert "GET /?sepal_length=7.7" in done.stdout


def test_demo_says_what_to_try(iris_home: Path, serve: Serve) -> None:
    service = serve(
        command=(*MODELWAY, "demo"), home=iris_home, environment={"PYTHONUNBUFFERED": "1"}
    )
    said = service.log.read_text()
    url = service.url
    query = "sepal_length=7.7&sepal_width=3.0&petal_length=6.1&petal_width=2.3"
    assert f"curl '{url}/?{query}'" in said
    answer: Any = service.ask(f"/?{query}").json
    assert answer["prediction"] == 2


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_predict_puts_predictions_beside_the_rows(
    form: str, iris_bundle: Path, iris_training: Path, serve: Serve, tmp_path: Path
) -> None:
    rows = list(csv.DictReader((iris_training / "training.csv").read_text().splitlines()))
    source = tmp_path / f"rows.{form}"
    numbers = [{name: float(cell) for name, cell in row.items()} for row in rows]
    if form == "csv":
        source.write_text((iris_training / "training.csv").read_text())
    elif form == "jsonl":
        source.write_text("".join(json.dumps(row) + "\n" for row in numbers))
    else:
        arrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(arrow.Table.from_pylist(numbers), source)
    service = serve(iris_bundle)
    models: tuple[str | Path, ...] = (iris_bundle, service.url)
    for number, model in enumerate(models):
        output = tmp_path / f"scored-{number}.csv"
        modelway("predict", model, "--input", source, "--output", output, "--batch-rows", "40")
        scored = list(csv.DictReader(output.read_text().splitlines()))
        assert len(scored) == len(rows)
        for row, one in zip(rows, scored, strict=True):
            assert float(one["sepal_length"]) == float(row["sepal_length"])
            assert one["prediction"] == row["species"]
            chances = [float(one[f"probability_{label}"]) for label in "012"]
            assert sum(chances) == pytest.approx(1)
            assert chances.index(max(chances)) == int(one["prediction"])


def test_predict_to_standard_output_keeps_the_form(iris_bundle: Path, tmp_path: Path) -> None:
    row = {"sepal_length": 7.7, "sepal_width": 3.0, "petal_length": 6.1, "petal_width": 2.3}
    source = tmp_path / "rows.jsonl"
    source.write_text(json.dumps({**row, "note": "mine"}) + "\n")
    done = modelway("predict", iris_bundle, "--input", source)
    scored = json.loads(done.stdout)
    assert {name: scored[name] for name in row} == row
    assert (scored["note"], scored["prediction"], scored["label"]) == ("mine", 2, "virginica")


def test_predict_names_the_row_that_is_wrong(iris_bundle: Path, tmp_path: Path) -> None:
    source = tmp_path / "rows.csv"
    source.write_text(
        "sepal_length,sepal_width,petal_length,petal_width\n5,3,1,0.2\n5,3,much,0.2\n"
    )
    done = modelway("predict", iris_bundle, "--input", source, exit_code=2)
    assert "petal_length" in done.stderr
    assert "much" in done.stderr
