"""Files elsewhere give what they give here, and a row group is read to its end."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from modelway.backends.parquet_scanned import ScannedDataset
from support.ending import together

PER_FILE = 1000


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder: Path = tmp_path_factory.mktemp("parquet")
    found = []
    for k in range(3):
        rows = np.arange(k * PER_FILE, (k + 1) * PER_FILE)
        nested = [{"x": float(row), "y": None} for row in rows.tolist()]
        table = pa.table({"n": rows, "inputs": nested, "text": [str(row) for row in rows]})
        found.append(str(folder / f"{k}.parquet"))
        pq.write_table(table, found[-1], row_group_size=100)
    return found


def answers(dataset: Any, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        connection.register("r", dataset)
        return list(connection.execute(sql).fetchall())


def scanned(paths: list[str]) -> ScannedDataset:
    return ScannedDataset(paths, pq.read_schema(paths[0]), fsspec.filesystem("file"))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM r",
        "SELECT count(*), sum(n), min(text) FROM r WHERE n > 1234",
        "SELECT inputs.x, text FROM r WHERE inputs.x >= 2990 ORDER BY n DESC",
        "SELECT * FROM r WHERE text = '77'",
        "SELECT * FROM r WHERE n < 0",
        "SELECT n FROM r LIMIT 3",
    ],
)
def test_a_query_gives_what_it_gives_over_files_here(paths: list[str], sql: str) -> None:
    assert answers(scanned(paths), sql) == answers(ds.dataset(paths, format="parquet"), sql)


def test_row_groups_without_a_match_and_columns_nobody_asks_for_are_not_read(
    paths: list[str],
) -> None:
    reader = scanned(paths).scanner(columns=["text"], filter=ds.field("n") == 1234).to_reader()
    (batch,) = [one for one in reader if one.num_rows]
    assert batch.to_pydict() == {"text": ["1234"]}
    whole = scanned(paths).scanner(filter=ds.field("n") >= 2900).to_reader()
    assert [one.num_rows for one in whole] == [100]


def test_many_ask_at_once_and_leave_before_the_end(paths: list[str]) -> None:
    found: list[int] = []
    lock = threading.Lock()

    def ask() -> None:
        for _ in range(5):
            rows = answers(scanned(paths), "SELECT n FROM r LIMIT 3")
            with lock:
                found.append(len(rows))

    together(ask, ask, ask)
    assert found == [3] * 15


def test_a_file_that_is_gone_is_an_error(paths: list[str], tmp_path: Path) -> None:
    gone = ScannedDataset(
        [*paths, str(tmp_path / "gone.parquet")],
        pq.read_schema(paths[0]),
        fsspec.filesystem("file"),
    )
    with pytest.raises(duckdb.Error, match=r"gone\.parquet"):
        answers(gone, "SELECT count(*) FROM r")
