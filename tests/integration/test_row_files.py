"""Files of rows: what is written is what was read, and a bad line is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelway.composition.row_files import Row, flat, format_of, read_batches, row_writer
from modelway.domain.errors import InvalidInput, MalformedPayload, SourceNotFound, UnsupportedMedia

ROWS: list[Row] = [
    {"a": 1, "b": "x, y", "c": None},
    {"a": 2, "b": 'say "ä"', "c": 0.1},
    {"a": 3, "b": "", "c": -1e300},
]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_rows_survive_being_written_and_read(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"rows.{form}"
    with row_writer(path, form) as write:
        write(ROWS[1:])
        write(ROWS[:1])
    assert list(read_batches(path, 2)) == [ROWS[1:], ROWS[:1]]


def test_csv_keeps_its_cells_as_text(tmp_path: Path) -> None:
    path, again = tmp_path / "rows.csv", tmp_path / "again.csv"
    path.write_text('a,b\n1.50,"x, y"\n,\n007,"two\nlines"\n')
    batches = list(read_batches(path, 2))
    assert batches[0] == [{"a": "1.50", "b": "x, y"}, {"a": "", "b": ""}]
    with row_writer(again, "csv") as write:
        for batch in batches:
            write(batch)
    assert again.read_text() == path.read_text()


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("\ufeffa,b\r\n1,2\r\n".encode())
    assert list(read_batches(path, 10)) == [[{"a": "1", "b": "2"}]]


def test_probabilities_become_columns_of_their_own() -> None:
    row = {"prediction": 1, "probabilities": {"0": 0.25, "1": 0.75}}
    assert flat(row) == {"prediction": 1, "probability_0": 0.25, "probability_1": 0.75}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "a,b\n1,2\n3\n", "line 3: 1 cells, where the first line has 2"),
        ("b.csv", "", "empty"),
        ("c.csv", "a,a\n1,2\n", "twice"),
        ("d.csv", 'a\n"open\n', "after line 2"),
        ("e.jsonl", '{"a": 1}\n[1]\n', "line 2"),
        ("f.jsonl", '{"a": 1}\n{"a": \n', "line 2"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, name: str, content: str, words: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(MalformedPayload, match=words):
        list(read_batches(path, 10))


def test_bytes_that_are_no_parquet_and_no_utf8_are_errors_of_ours(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.csv"):
        path = tmp_path / name
        path.write_bytes(b"a\n\xff\xfe\n")
        with pytest.raises(MalformedPayload):
            list(read_batches(path, 10))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedMedia, match="xlsx"):
        format_of(tmp_path / "rows.xlsx")
    with pytest.raises(SourceNotFound):
        list(read_batches(tmp_path / "none.csv", 10))
    with pytest.raises(InvalidInput, match="Parquet needs a file"), row_writer(None, "parquet"):
        pass
