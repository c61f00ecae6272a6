"""``modelway batch`` from tables and to tables, on each of the three databases."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pymysql
import pytest
from sklearn.linear_model import LogisticRegression
from sqlalchemy import create_engine

from modelway.backends.sql.connecting import DRIVERS
from support.ending import killed
from support.live import MODELWAY, modelway, real_data
from support.loans import save_loans
from support.scored import rows_of as rows_in
from support.stores import KINDS, empty_database, rows_of

pytestmark = pytest.mark.data

COPIES = 400
"""How often the real loans are in the large table: it has two parts."""


@pytest.fixture(scope="module")
def loan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that answers loans."""
    folder = tmp_path_factory.mktemp("loan")
    save_loans(LogisticRegression(max_iter=1000), folder)
    model = ("--data", "rows.csv", "--target", "Loan_Status", "-o", "loan")
    modelway("bundle", "build", "model.pickle", *model, folder=folder)
    return folder / "loan"


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of each kind."""
    with empty_database(request.param, tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def data() -> Path:
    """The folder of the real data sets."""
    return real_data()


def applications(data: Path) -> pd.DataFrame:
    """The real loans that were applied for."""
    return pd.read_csv(data / "loan" / "test.csv")


def fill(url: str, table: str, rows: pd.DataFrame, key: str) -> None:
    """Have a table with the rows, whose primary key is the column ``key``."""
    kind, _, rest = url.partition(":")
    engine = create_engine(f"{DRIVERS[kind]}:{rest}")
    texts = " VARCHAR(80)" if kind == "mariadb" else " TEXT"
    kinds = {"int64": " BIGINT", "float64": " DOUBLE PRECISION"}
    columns = [
        f'"{name}"{kinds.get(str(of), texts)}{" PRIMARY KEY" if name == key else ""}'
        for name, of in rows.dtypes.items()
    ]
    made = f"CREATE TABLE {table} ({', '.join(columns)})"
    if kind == "mariadb":
        made = made.replace('"', "`")
    rows_of(url, made)
    with engine.begin() as connection:
        rows.to_sql(table, connection, index=False, if_exists="append", chunksize=5000)
    engine.dispose()


def at(url: str, table: str) -> str:
    """A table as the command line names it."""
    return f"{url}?table={table}"


def scored_fromrows_in(loan: Path, folder: Path, rows: pd.DataFrame, *words: str) -> list[Any]:
    """The answers for rows in a file, which are what they are for a table."""
    rows.to_csv(folder / "expected-rows.csv", index=False)
    words = ("--input", "expected-rows.csv", "--output", "expected.jsonl", *words)
    modelway("batch", loan, *words, folder=folder)
    return [json.loads(line) for line in (folder / "expected.jsonl").read_text().splitlines()]


def test_a_table_becomes_a_table_with_what_a_file_would_get(
    loan: Path, data: Path, url: str, tmp_path: Path
) -> None:
    rows = applications(data)
    fill(url, "loans", rows, "Loan_ID")
    words = ("--input", at(url, "loans"), "--output", at(url, "scored"), "--id-column", "Loan_ID")
    done = modelway("batch", loan, *words, "--columns", "LoanAmount", "--json", folder=tmp_path)
    assert json.loads(done.stdout)["rows"] == len(rows)
    expected = scored_fromrows_in(loan, tmp_path, rows, "--id-column", "Loan_ID")
    answers = "prediction, probability_N, probability_Y"
    quote = "`" if url.startswith("mariadb") else '"'
    names = [f"{quote}{name}{quote}" for name in ("Loan_ID", "LoanAmount")]
    names += [f"{quote}{name}{quote}" for name in answers.split(", ")]
    found = rows_of(url, f"SELECT {', '.join(names)} FROM scored ORDER BY {names[0]}")
    assert [(row[0], *row[2:]) for row in found] == [
        (one["Loan_ID"], one["prediction"], one["probability_N"], one["probability_Y"])
        for one in sorted(expected, key=lambda one: str(one["Loan_ID"]))
    ]
    amounts = rows.sort_values("Loan_ID")["LoanAmount"].tolist()
    assert [row[1] for row in found] == [None if one != one else one for one in amounts]
    # A second night: the same rows are brought up to date, and none is there twice.
    modelway("batch", loan, *words, "--columns", "LoanAmount", folder=tmp_path)
    assert rows_of(url, f"SELECT {', '.join(names)} FROM scored ORDER BY {names[0]}") == found
    assert not list(tmp_path.glob("scored*"))


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_table_becomes_a_file_and_a_file_a_table(
    loan: Path, data: Path, url: str, tmp_path: Path, form: str
) -> None:
    rows = applications(data)
    fill(url, "loans", rows, "Loan_ID")
    output = tmp_path / f"scored.{form}"
    # Without --id-column the primary key divides the table, and all columns are kept.
    modelway("batch", loan, "--input", at(url, "loans"), "--output", output)
    found = rows_in(output)
    assert list(found[0]) == [*rows.columns, "prediction", "probability_N", "probability_Y"]
    assert [str(one["Loan_ID"]) for one in found] == sorted(rows["Loan_ID"])
    again = ("--input", output, "--id-column", "Loan_ID", "--columns", "Gender,LoanAmount")
    done = modelway("batch", loan, *again, "--output", at(url, "again"), folder=tmp_path)
    assert f"{len(rows)} rows scored" in done.stdout
    gender = "`Gender`" if url.startswith("mariadb") else '"Gender"'
    counted = f"SELECT count(*), count({gender}), count(prediction) FROM again"
    (n_rows, n_genders, n_answers) = rows_of(url, counted)[0]
    assert (n_rows, n_answers) == (len(rows), len(rows))
    # An empty cell of CSV that the model takes for text is a missing value.
    assert n_genders == rows["Gender"].notna().sum()


def test_it_goes_on_after_kills_and_the_table_is_the_same(
    loan: Path, data: Path, url: str, tmp_path: Path
) -> None:
    once = applications(data)
    rows = pd.concat([once] * COPIES, ignore_index=True)
    rows.insert(0, "number", range(len(rows)))
    fill(url, "loans", rows, "number")
    words = ("batch", loan, "--input", at(url, "loans"), "--id-column", "number", "--workers", "2")
    modelway(*words, "--output", at(url, "whole"), folder=tmp_path)
    command = [*MODELWAY, *map(str, words), "--output", at(url, "killed"), "--resume"]
    parts = tmp_path / "killed.parts"
    kill_when(command, tmp_path, lambda: is_written_to(url, "killed"))
    kill_when(command, tmp_path, lambda: any(parts.glob("0*.json")))
    more = ("--output", at(url, "killed"), "--resume", "--json")
    summary = json.loads(modelway(*words, *more, folder=tmp_path).stdout)
    assert 0 < summary["resumed_rows"] < summary["rows"] == len(rows)
    assert rows_of(url, "SELECT count(*) FROM killed") == [(len(rows),)]
    differ = "SELECT count(*) FROM whole w JOIN killed k ON k.number = w.number WHERE"
    assert rows_of(url, f"{differ} k.prediction = w.prediction") == [(len(rows),)]
    assert rows_of(url, f"{differ} w.{_quoted(url)} <> k.{_quoted(url)}") == [(0,)]
    assert not (tmp_path / "killed.parts").exists()


def is_written_to(url: str, table: str) -> bool:
    """Whether a table is there, and has rows."""
    try:
        return bool(rows_of(url, f"SELECT 1 FROM {table} LIMIT 1"))
    except (sqlite3.Error, psycopg.Error, pymysql.Error):
        return False


def kill_when(command: list[str], folder: Path, is_time: Callable[[], bool]) -> None:
    """Kill a run at the moment when something has come to be."""
    process = subprocess.Popen(
        command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=folder
    )
    with killed(process):
        until = time.monotonic() + 120
        while not is_time():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
    assert process.returncode == -signal.SIGKILL


def _quoted(url: str) -> str:
    return "`probability_Y`" if url.startswith("mariadb") else '"probability_Y"'


def test_rows_that_do_not_fit_are_listed_with_their_ids(
    loan: Path, data: Path, url: str, tmp_path: Path
) -> None:
    rows = applications(data)
    rows.loc[5, "Property_Area"] = None
    rows.loc[7, "Property_Area"] = "Moon"
    fill(url, "loans", rows, "Loan_ID")
    words = ("--input", at(url, "loans"), "--output", at(url, "scored"), "--id-column", "Loan_ID")
    done = modelway("batch", loan, *words, exit_code=12, folder=tmp_path)
    assert "2 rows cannot be answered" in done.stderr
    again = ("--resume", "--max-errors", "2")
    modelway("batch", loan, *words, *again, exit_code=11, folder=tmp_path)
    listed = rows_in(tmp_path / "scored.errors.jsonl")
    assert {one["id"] for one in listed} == {rows["Loan_ID"][5], rows["Loan_ID"][7]}
    assert {one["problems"][0]["column"] for one in listed} == {"Property_Area"}
    assert all(one["values"]["Loan_ID"] == one["id"] for one in listed)
    assert rows_of(url, "SELECT count(*) FROM scored") == [(len(rows) - 2,)]


def test_a_row_without_an_id_is_listed_and_written_nowhere(
    loan: Path, data: Path, url: str, tmp_path: Path
) -> None:
    rows = applications(data)
    rows.loc[3, "Loan_ID"] = None
    rows.to_csv(tmp_path / "rows.csv", index=False)
    words = ("--input", "rows.csv", "--output", at(url, "scored"), "--id-column", "Loan_ID")
    modelway("batch", loan, *words, "--max-errors", "1", exit_code=11, folder=tmp_path)
    (listed,) = rows_in(tmp_path / "scored.errors.jsonl")
    assert (listed["row"], listed["problems"][0]["column"]) == (4, "Loan_ID")
    assert rows_of(url, "SELECT count(*) FROM scored") == [(len(rows) - 1,)]


def test_rows_that_a_table_cannot_hold_are_listed_and_the_others_written(
    loan: Path, data: Path, url: str, tmp_path: Path
) -> None:
    rows = json.loads(applications(data).to_json(orient="records"))
    for number, row in enumerate(rows):
        row |= {"number": number, "note": "ok"}
    rows[10]["number"] = 2**70
    rows[20]["note"] = "\0"
    rows[30]["note"] = "ends \0"
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ("--input", "rows.jsonl", "--output", at(url, "scored"), "--id-column", "number")
    more = ("--columns", "note", "--max-errors", "3")
    modelway("batch", loan, *words, *more, exit_code=11, folder=tmp_path)
    listed = rows_in(tmp_path / "scored.errors.jsonl")
    # PostgreSQL's text has no such character, the others' has.
    expected = [11, 21, 31] if url.startswith("postgresql") else [11]
    assert [one["row"] for one in listed] == expected
    assert all("cannot hold" in one["problems"][0]["message"] for one in listed)
    assert listed[0]["id"] == 2**70
    assert rows_of(url, "SELECT count(*) FROM scored") == [(len(rows) - len(expected),)]


def test_what_a_table_cannot_be_used_for_is_said_before_a_row_is_scored(
    loan: Path, data: Path, url: str, tmp_path: Path
) -> None:
    rows = applications(data)
    fill(url, "loans", rows, "Loan_ID")
    rows_of(url, "CREATE TABLE few (prediction INTEGER)", "CREATE VIEW seen AS SELECT * FROM loans")

    def refused(source: str, output: str, *words: str, code: int = 2) -> str:
        places = ("--input", source, "--output", output)
        return modelway("batch", loan, *places, *words, exit_code=code, folder=tmp_path).stderr

    assert "--id-column" in refused(at(url, "loans"), at(url, "scored"))
    assert "does not exist" in refused(at(url, "nothing"), "scored.csv", code=3)
    assert "no column" in refused(
        at(url, "loans"), at(url, "few"), *("--id-column", "Loan_ID"), code=2
    )
    assert "no primary key" in refused(at(url, "seen"), "scored.csv")
    double = refused(at(url, "seen"), "scored.csv", "--id-column", "Gender")
    assert "does not tell its rows apart" in double
    assert "an input itself" in refused(
        at(url, "loans"), at(url, "loans"), *("--id-column", "Loan_ID")
    )
    assert "names no table" in refused(url, "scored.csv")
    assert not [one for one in tmp_path.iterdir() if "scored" in one.name]
    seen = ("--input", at(url, "seen"), "--output", "s.csv", "--id-column", "Loan_ID")
    modelway("batch", loan, *seen, folder=tmp_path)
    assert len(rows_in(tmp_path / "s.csv")) == len(rows)


@pytest.mark.services
def test_a_password_is_written_nowhere(loan: Path, data: Path, tmp_path: Path) -> None:
    rows = applications(data)
    rows.loc[5, "Property_Area"] = None
    with empty_database("postgresql", tmp_path) as plain:
        fill(plain, "loans", rows, "Loan_ID")
        # The server of the tests asks for no password, so that any is right.
        url = plain.replace("root@", "root:geheim@")
        places = ("--input", at(url, "loans"), "--output", at(url, "scored"))
        words = (*places, "--id-column", "Loan_ID", "--progress", "json")
        done = modelway("batch", loan, *words, folder=tmp_path, exit_code=12)
        files = [one for one in tmp_path.rglob("*") if one.is_file()]
        assert {"manifest.json", "scored.errors.jsonl"} <= {one.name for one in files}
        assert not [one for one in files if b"geheim" in one.read_bytes()]
        assert "geheim" not in done.stdout + done.stderr
        resumed = ("--resume", "--max-errors", "1", "--json")
        done = modelway("batch", loan, *words, *resumed, folder=tmp_path, exit_code=11)
        assert "geheim" not in done.stdout + done.stderr
        lost = url.replace("modelway_test", "no_such")
        places = ("--input", at(lost, "loans"), "--output", "scored.csv")
        done = modelway("batch", loan, *places, folder=tmp_path, exit_code=8)
        assert "geheim" not in done.stdout + done.stderr
