"""``modelway batch``: every row answered or listed, and no run lost."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelway import __version__
from modelway.batch.manifest import Manifest, Options, Over, fingerprint
from modelway.batch.parts import Done
from modelway.bundles.store import open_bundle
from modelway.domain.signature import Column, Datatype, Signature
from support.homes import is_running, wait_until
from support.live import MODELWAY, modelway
from support.loans import COLUMNS, save_loans
from support.scored import damaged, rows_of
from support.served import FLOWER, compiled_bundle, flower_graph, function_bundle

N_ROWS = 700_000
"""Six parts of Parquet."""

PETS = Signature(columns=(Column("legs", "legs", Datatype.INT64, maximum=10, minimum=0),))
SLOW = """
import time


def slow(legs):
    time.sleep(0.3)
    return legs * 2.0
"""
FORKS = """
import os, pathlib, time

if not (forked := os.fork()):
    time.sleep(600)
    os._exit(0)
pathlib.Path({at!r}).write_text(str(forked))


def legs(legs):
    return legs * 2.0
"""


@pytest.fixture(scope="module")
def flower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled bundle with labels of which the last, 2, has no name."""
    names = {"0": "setosa", "1": "versicolor"}
    signature = Signature(columns=FLOWER.columns, label_names=names)
    folder = tmp_path_factory.mktemp("bundles") / "flower"
    return compiled_bundle(folder, flower_graph(), signature, classes=(0, 1, 2))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Parquet file of many flowers."""
    path = tmp_path_factory.mktemp("many") / "rows.parquet"
    numbers = pa.array(range(N_ROWS))
    lengths = pa.compute.add(4.3, pa.compute.divide(numbers.cast(pa.float64()), N_ROWS))
    widths = pa.compute.multiply(2.5, pa.compute.divide(numbers.cast(pa.float64()), N_ROWS))
    names = ["number", "sepal_length", "petal width"]
    table = pa.Table.from_arrays([numbers, lengths, widths], names)
    pq.write_table(table, path, row_group_size=50_000)
    return path


def flowers(path: Path, n_rows: int = 300, *, damaged: bool = False) -> list[dict[str, Any]]:
    """Write flowers in the form of the name; gives them."""
    rows = [
        {"id": f"f{k}", "sepal_length": 4.3 + k % 30 / 10, "petal width": k % 26 / 10 or 0.1}
        for k in range(n_rows)
    ]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=100)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return rows


@pytest.mark.parametrize("source", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_every_form_becomes_every_form(
    flower: Path, tmp_path: Path, source: str, form: str
) -> None:
    rows = flowers(tmp_path / f"rows.{source}")
    output = tmp_path / f"scored.{form}"
    words = ("batch", flower, "--input", tmp_path / f"rows.{source}", "--output", output)
    done = modelway(*words, "--json")
    assert json.loads(done.stdout)["rows"] == 300
    found = rows_of(output)
    answers = ["prediction", "label", "probability_0", "probability_1", "probability_2"]
    assert list(found[0]) == ["id", "sepal_length", "petal width", *answers]
    assert [row["id"] for row in found] == [row["id"] for row in rows]
    assert [float(row["petal width"]) for row in found] == [row["petal width"] for row in rows]
    expected = [0 if row["petal width"] < 1 else 1 if row["petal width"] < 2 else 2 for row in rows]
    assert [int(row["prediction"]) for row in found] == expected
    assert {row["label"] for row in found} == {
        "setosa",
        "versicolor",
        "" if form == "csv" else None,
    }
    assert sorted(one.name for one in tmp_path.iterdir()) == [f"rows.{source}", f"scored.{form}"]


def test_it_answers_what_predict_answers(flower: Path, tmp_path: Path) -> None:
    source, bulk, single = (tmp_path / f"{name}.parquet" for name in ("rows", "bulk", "single"))
    flowers(source)
    modelway("batch", flower, "--input", source, "--output", bulk, "--batch-rows", "77")
    modelway("predict", flower, "--input", source, "--output", single)
    assert rows_of(bulk) == rows_of(single)


def test_several_files_become_one_in_the_order_of_their_names(flower: Path, tmp_path: Path) -> None:
    flowers(tmp_path / "b.jsonl", 20)
    flowers(tmp_path / "a.jsonl", 10)
    output = tmp_path / "scored.csv"
    words = ("--input", tmp_path / "?.jsonl", "--output", output, "--id-column", "id")
    modelway("batch", flower, *words)
    found = rows_of(output)
    assert [row["id"] for row in found] == [f"f{k}" for k in (*range(10), *range(20))]
    assert list(found[0])[:2] == ["id", "prediction"]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_file_without_rows_has_an_output_without_rows(
    flower: Path, tmp_path: Path, form: str
) -> None:
    (tmp_path / "rows.csv").write_text("sepal_length,petal width\n")
    output = tmp_path / f"scored.{form}"
    modelway("batch", flower, "--input", tmp_path / "rows.csv", "--output", output)
    assert rows_of(output) == []
    if form == "parquet":
        assert pq.read_schema(output).names[:3] == ["sepal_length", "petal width", "prediction"]


def test_rows_that_do_not_fit_are_listed_and_the_others_scored(tmp_path: Path) -> None:
    save_loans(_forest(), tmp_path)
    rows = rows_of(tmp_path / "rows.csv")
    header = ["Loan_ID", *COLUMNS]
    bad = set(range(50, 20_000, 100))
    with (tmp_path / "loans.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        for k in range(20_000):
            row = {**rows[k % len(rows)], "Loan_ID": f"L{k}"}
            cells = [row[name] for name in header]
            if k in bad:
                stream.write(damaged(k // 100 % 4, cells))
            else:
                writer.writerow(cells)
    model = ("--data", "rows.csv", "--target", "Loan_Status", "-o", "loan")
    modelway("bundle", "build", "model.pickle", *model, folder=tmp_path)
    words = ("--input", "loans.csv", "--output", "scored.csv", "--id-column", "Loan_ID")
    done = modelway(
        "batch", "loan", *words, "--max-errors", "200", "--json", folder=tmp_path, exit_code=11
    )
    summary = json.loads(done.stdout)
    assert (summary["rows"], summary["errors"]) == (19_800, 200)
    scored = [row["Loan_ID"] for row in rows_of(tmp_path / "scored.csv")]
    assert scored == [f"L{k}" for k in range(20_000) if k not in bad]
    listed = rows_of(tmp_path / summary["errors_file"])
    assert [one["row"] for one in listed] == [k + 1 for k in sorted(bad)]
    assert [one["line"] for one in listed] == [k + 2 for k in sorted(bad)]
    codes = [one["problems"][0]["code"] for one in listed[:4]]
    assert codes == ["malformed-line", "malformed-line", "wrong-type", "malformed-line"]
    assert listed[2]["id"] == "L250"
    assert listed[2]["problems"][0]["column"] == "ApplicantIncome"
    assert listed[2]["values"]["ApplicantIncome"] == "plenty"


def _forest() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000)


def test_too_many_errors_stop_it_and_it_goes_on_with_more(flower: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "rows.csv", tmp_path / "scored.csv"
    source.write_text("sepal_length,petal width\n5,0.2\n5,much\n,\n5,1.2\n")
    words = ("batch", flower, "--input", source, "--output", output)
    done = modelway(*words, exit_code=12)
    assert "2 rows cannot be answered, 0 may be" in done.stderr
    assert "row 2 (line 3): petal width: expected a number" in done.stderr
    assert not output.exists()
    errors = tmp_path / "scored.csv.errors.jsonl"
    assert len(rows_of(errors)) == 2
    assert "--resume" in modelway(*words, exit_code=4).stderr
    done = modelway(*words, "--resume", "--max-errors", "2", exit_code=11)
    assert [row["prediction"] for row in rows_of(output)] == ["0", "1"]
    assert len(rows_of(errors)[1]["problems"]) == 2


def test_what_is_wrong_with_the_whole_file_leaves_nothing_behind(
    flower: Path, tmp_path: Path
) -> None:
    source, output = tmp_path / "rows.csv", tmp_path / "scored.csv"
    words = ("batch", flower, "--input", source, "--output", output)
    source.write_text("sepal_length\n5\n")
    done = modelway(*words, "--max-errors", "9", exit_code=2)
    assert "petal width: expected a number" in done.stderr
    source.write_text("sepal_length,petal width,label\n5,1,mine\n")
    assert "would replace: label" in modelway(*words, exit_code=2).stderr
    assert "no column x" in modelway(*words, "--columns", "x", exit_code=2).stderr
    assert "an input itself" in modelway(*words[:-1], source, exit_code=2).stderr
    source.unlink()
    source.symlink_to("/proc/self/mem")  # there, and nobody can read where it begins
    assert "cannot be read or written: Input" in modelway(*words, exit_code=2).stderr
    assert [one.name for one in tmp_path.iterdir()] == ["rows.csv"]


def test_columns_are_kept_by_their_names_without_the_spaces_around_them(
    flower: Path, tmp_path: Path
) -> None:
    source, output = tmp_path / "rows.csv", tmp_path / "scored.csv"
    flowers(source, 3)
    words = ("--input", source, "--output", output, "--columns", "id, petal width ,")
    modelway("batch", flower, *words)
    assert list(rows_of(output)[0])[:3] == ["id", "petal width", "prediction"]


def test_an_output_that_was_made_is_only_taken_for_its_own_run(
    flower: Path, tmp_path: Path
) -> None:
    source, output = tmp_path / "rows.csv", tmp_path / "scored.csv"
    flowers(source, 3)
    other = compiled_bundle(tmp_path / "other", flower_graph(0.5), FLOWER, classes=(0, 1, 2))
    words = ("--input", source, "--output", output, "--resume")
    modelway("batch", flower, *words)
    # A run that was killed while it removed its parts leaves this.
    errors = f"{output}.errors.jsonl"
    options = Options("csv", None, None, 8192, strict=False, errors=errors)
    manifest = Manifest(__version__, open_bundle(flower).digest, options, (fingerprint(source),))
    left = tmp_path / "scored.csv.parts"
    left.mkdir()
    (left / "finished.json").write_bytes(msgspec.json.encode(Over(Done(3, 0), manifest)))
    done = modelway("batch", other, *words, exit_code=4)
    assert "the model was" in done.stderr
    assert json.loads(modelway("batch", flower, *words, "--json").stdout)["resumed_rows"] == 3
    assert not left.exists()


def test_what_a_model_has_forked_ends_with_the_run(tmp_path: Path) -> None:
    bundle = function_bundle(
        tmp_path / "pets", FORKS.format(at=str(tmp_path / "pid")), "legs", PETS
    )
    (tmp_path / "rows.csv").write_text("legs\n4\n")
    words = ("--input", tmp_path / "rows.csv", "--output", tmp_path / "scored.csv")
    command = [*MODELWAY, "batch", str(bundle), *map(str, words)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        said = process.communicate(timeout=60)[1]
        assert process.returncode == 0, said
        wait_until(lambda: not is_running(int((tmp_path / "pid").read_text())))
    finally:
        process.kill()
        with contextlib.suppress(OSError):
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_what_is_there_is_never_replaced(flower: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "rows.csv", tmp_path / "scored.csv"
    flowers(source, 10)
    words = ("batch", flower, "--input", source, "--output", output)
    output.write_text("precious")
    assert "is there already" in modelway(*words, exit_code=4).stderr
    assert "is there already" in modelway(*words, "--resume", exit_code=4).stderr
    assert output.read_text() == "precious"


@pytest.mark.parametrize("errors", [0, 1])
def test_a_run_with_a_receipt_is_not_done_again(flower: Path, tmp_path: Path, errors: int) -> None:
    source, output = tmp_path / "rows.csv", tmp_path / "scored.csv"
    source.write_text("sepal_length,petal width\n5,0.2\n" + "5,much\n" * errors)
    receipt = tmp_path / "receipt.json"
    words = ("batch", flower, "--input", source, "--output", output, "--max-errors", "1", "--json")
    code = 11 if errors else 0
    first = modelway(*words, "--receipt", receipt, exit_code=code)
    written = output.stat().st_mtime_ns
    again = modelway(*words, "--receipt", receipt, "--resume", exit_code=code)
    assert again.stdout == first.stdout
    assert json.loads(first.stdout)["errors"] == errors
    assert output.stat().st_mtime_ns == written
    receipt.unlink()
    modelway(*words, "--receipt", receipt, "--resume", exit_code=4)
    assert not receipt.exists()


def test_it_goes_on_after_kills_and_the_bytes_are_the_same(
    flower: Path, many: Path, tmp_path: Path
) -> None:
    whole, output = tmp_path / "whole.parquet", tmp_path / "scored.parquet"
    words = ("batch", flower, "--input", many, "--id-column", "number", "--workers", "2")
    modelway(*words, "--output", whole)
    moments = random.Random(5)
    n_killed = n_begun = 0
    while n_killed < 5:
        assert n_begun < 30
        command = [*MODELWAY, *map(str, words), "--output", str(output), "--resume"]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        n_begun += 1
        time.sleep(moments.uniform(0.4, 2.5))
        process.kill()
        n_killed += process.wait() == -signal.SIGKILL
        if output.exists():
            assert output.read_bytes() == whole.read_bytes()
            # It was killed while it removed the parts, or had ended: begin anew.
            modelway(*words, "--output", output, "--resume", exit_code=_ending(output))
            output.unlink()
    modelway(*words, "--output", output, "--resume")
    assert output.read_bytes() == whole.read_bytes()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["scored.parquet", "whole.parquet"]


def _ending(output: Path) -> int:
    parts = output.with_name(f"{output.name}.parts")
    return 0 if parts.exists() and any(parts.iterdir()) else 4


@pytest.fixture
def begun(tmp_path: Path) -> subprocess.Popen[str]:
    """A run of two parts, in which each row takes its time."""
    bundle = function_bundle(tmp_path / "pets", SLOW, "slow", PETS)
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("legs\n" + "4\n" * 40)
    words = ("batch", bundle, "--input", "?.csv", "--output", "scored.csv", "--batch-rows", "1")
    process = subprocess.Popen(
        [*MODELWAY, *map(str, words), "--workers", "1", "--progress", "json"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while json.loads(process.stderr.readline())["rows"] == 0:
        pass
    return process


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on(
    begun: subprocess.Popen[str], tmp_path: Path, kind: signal.Signals
) -> None:
    begun.send_signal(kind)
    _, said = begun.communicate(timeout=60)
    assert begun.returncode == 130
    assert "--resume goes on" in said
    assert (tmp_path / "scored.csv.parts" / "manifest.json").exists()
    (tmp_path / "a.csv").write_text("legs\n5\n")
    words = ("--input", "?.csv", "--output", "scored.csv", "--batch-rows", "1", "--resume")
    done = modelway("batch", "pets", *words, folder=tmp_path, exit_code=4)
    assert "input a.csv has changed" in done.stderr


def test_an_input_that_changes_meanwhile_ends_the_run(
    begun: subprocess.Popen[str], tmp_path: Path
) -> None:
    with (tmp_path / "a.csv").open("a") as stream:
        stream.write("5\n")
    _, said = begun.communicate(timeout=60)
    assert begun.returncode == 4
    assert "a.csv has changed since the run was begun: it was written to" in said
    assert not (tmp_path / "scored.csv").exists()


def test_a_worker_that_is_killed_ends_the_run_and_says_so(
    begun: subprocess.Popen[str], tmp_path: Path
) -> None:
    children = Path(f"/proc/{begun.pid}/task/{begun.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    _, said = begun.communicate(timeout=60)
    assert begun.returncode == 8
    assert "ended by SIGKILL while it scored part 1" in said
    assert "--resume" in said
