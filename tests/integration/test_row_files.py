"""Files of rows: what is written is what was read, and a bad line is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelway.composition.row_files import (
    Row,
    columns_of,
    flat,
    format_of,
    read_batches,
    row_writer,
)
from modelway.domain.errors import InvalidInput, MalformedPayload, SourceNotFound, UnsupportedMedia

ROWS: list[Row] = [
    {"a": 1, "b": "x, y", "c": None},
    {"a": 2, "b": 'say "ä"', "c": 0.1},
    {"a": 3, "b": "", "c": -1e300},
]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_rows_survive_being_written_and_read(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"rows.{form}"
    with row_writer(path, form, {"a": int, "b": str, "c": float}) as write:
        write(ROWS[1:])
        write(ROWS[:1])
    assert list(columns_of(path)) == ([] if form == "jsonl" else ["a", "b", "c"])
    assert list(read_batches(path, 2)) == [ROWS[1:], ROWS[:1]]


def test_csv_keeps_its_cells_as_text(tmp_path: Path) -> None:
    path, again = tmp_path / "rows.csv", tmp_path / "again.csv"
    path.write_text('a,b\n1.50,"x, y"\n,\n007,"two\nlines"\n')
    batches = list(read_batches(path, 2))
    assert batches[0] == [{"a": "1.50", "b": "x, y"}, {"a": "", "b": ""}]
    with row_writer(again, "csv", columns_of(path)) as write:
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
    with pytest.raises(InvalidInput, match="'a_b'"):
        flat({"a_b": 1, "a": {"b": 2}})


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
    with pytest.raises(InvalidInput, match="Parquet needs a file"), row_writer(None, "parquet", {}):
        pass


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_file_is_replaced_when_complete_and_not_before(tmp_path: Path, form: str) -> None:
    path, link = tmp_path / f"rows.{form}", tmp_path / f"link.{form}"
    path.write_text("precious")
    path.chmod(0o640)
    link.symlink_to(path)
    with pytest.raises(ZeroDivisionError), row_writer(link, form, {"a": int}) as write:
        write([{"a": 1}])
        raise ZeroDivisionError
    assert path.read_text() == "precious"
    with row_writer(link, form, {"a": int}) as write:
        write([{"a": 1}])
        assert path.read_text() == "precious"
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(read_batches(path, 2)) == [[{"a": "1" if form == "csv" else 1}]]
    assert sorted(tmp_path.iterdir()) == [link, path]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_what_cannot_be_written_is_an_error_of_ours(tmp_path: Path, form: str) -> None:
    (tmp_path / f"folder.{form}").mkdir()
    (tmp_path / "file").write_text("precious")
    for place in (f"folder.{form}", f"nowhere/rows.{form}", f"file/rows.{form}"):
        written = row_writer(tmp_path / place, form, {"a": int})
        with pytest.raises(InvalidInput, match="cannot be written"), written as write:
            write([{"a": 1}])
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_column_that_comes_later_is_named_with_its_row(tmp_path: Path, form: str) -> None:
    written = row_writer(tmp_path / f"rows.{form}", form, {"a": int})
    with pytest.raises(InvalidInput, match="row 4 has a column 'late'"), written as write:
        write([{"a": 1}, {"a": 2}])
        write([{"a": 3}, {"a": 4, "late": 5}])
    assert not list(tmp_path.iterdir())


def test_columns_without_values_keep_their_types(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    types = {"a": float, "b": int, "c": bool, "d": str}
    with row_writer(path, "parquet", types) as write:
        write([{"a": None, "b": None, "c": None, "d": None}])
        write([{"a": 2**60, "b": 3.0, "c": True, "d": "x"}])
    arrow = pytest.importorskip("pyarrow")
    expected = {"a": arrow.float64(), "b": arrow.int64(), "c": arrow.bool_(), "d": arrow.string()}
    assert columns_of(path) == expected
    with row_writer(path, "parquet", columns_of(path)):
        pass
    assert columns_of(path) == expected
    assert list(read_batches(path, 10)) == []


def test_values_of_several_types_are_named_with_their_column(tmp_path: Path) -> None:
    written = row_writer(tmp_path / "rows.parquet", "parquet", {"a": None})
    with pytest.raises(InvalidInput, match="column 'a' does not keep the type"), written as write:
        write([{"a": 1}])
        write([{"a": "x"}])
