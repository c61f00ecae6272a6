"""What a format of bulk scoring promises: the same rows whatever the split, and the same output."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from modelway.backends.csv_files import CsvSplitter
from modelway.backends.jsonl_files import JsonlSplitter
from modelway.backends.parquet_scoring import ParquetSplitter
from modelway.backends.text_files import LONGEST_BYTES
from modelway.batch.parts import PartSize, Span
from modelway.batch.ports import Rows, Splitter
from modelway.composition.batch_formats import joiner_of, reader_of, writer_of
from modelway.composition.row_files import read_batches, row_writer
from modelway.domain.errors import MalformedPayload
from modelway.domain.signature import Column, Datatype, Signature
from support.scored import rows_of as rows_in

FORMS = ["csv", "jsonl", "parquet"]
SIGNATURE = Signature(
    columns=(
        Column("age", "age", Datatype.FP64, nullable=True),
        Column("town", "town", Datatype.STRING, nullable=True),
    )
)
ROWS: list[dict[str, Any]] = [
    {"id": k, "age": None if k % 7 == 0 else k / 2, "town": f'ö"{k},\n' if k % 5 == 0 else "Ulm"}
    for k in range(500)
]
SIZES = [PartSize(rows=1, bytes=1), PartSize(rows=37, bytes=600), PartSize()]


def written(folder: Path, form: str, rows: Sequence[dict[str, Any]] = ROWS) -> Path:
    """The rows in a file, of Parquet in groups of ten rows."""
    import csv

    path = folder / f"rows.{form}"
    if form == "csv":
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, ["id", "age", "town"])
            writer.writeheader()
            writer.writerows(rows)
    elif form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=10)
    return path


def splitter(form: str, size: PartSize) -> Splitter[Path]:
    """What divides a format into parts of a size."""
    if form == "csv":
        return CsvSplitter(size)
    return JsonlSplitter(size) if form == "jsonl" else ParquetSplitter(size)


def read(path: Path, form: str, size: PartSize, batch_rows: int) -> list[tuple[int, Any]]:
    """Number and values of every row; those of damaged ones are None."""
    reader = reader_of(form, SIGNATURE, None, typed=True)
    found: list[tuple[int, Any]] = []
    for span in splitter(form, size).spans(path):
        n_rows = 0
        for rows in reader.read(path, span, batch_rows):
            found += _numbered(rows)
            n_rows += len(rows.numbers) + len(rows.damaged)
        assert n_rows == span.n_rows
    return sorted(found, key=lambda one: one[0])


def _numbered(rows: Rows) -> list[tuple[int, Any]]:
    values = [rows.fault(place).values for place in range(len(rows.numbers))]
    good = list(zip(rows.numbers, values, strict=True))
    return [*good, *((one.row, None) for one in rows.damaged)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size.rows))
@pytest.mark.parametrize("batch_rows", [1, 64])
def test_a_reader_gives_the_same_rows_whatever_the_split(
    tmp_path: Path, form: str, size: PartSize, batch_rows: int
) -> None:
    found = read(written(tmp_path, form), form, size, batch_rows)
    assert [number for number, _ in found] == list(range(1, len(ROWS) + 1))
    if form == "csv":
        rows = [{k: "" if v is None else str(v) for k, v in row.items()} for row in ROWS]
        assert [values for _, values in found] == rows
    else:
        assert [values for _, values in found] == ROWS


@pytest.mark.parametrize("form", FORMS)
def test_small_parts_are_many(tmp_path: Path, form: str) -> None:
    path = written(tmp_path, form)
    assert len(list(splitter(form, PartSize(1, 1)).spans(path))) >= 50
    assert len(list(splitter(form, PartSize()).spans(path))) == 1


@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size.rows))
def test_a_damaged_line_is_one_row_and_the_next_one_is_whole(
    tmp_path: Path, size: PartSize
) -> None:
    lines = [f"{k},{k},Ulm" for k in range(300)]
    lines[10] = "10,10"
    lines[20] = "20,20,Ulm,more"
    lines[30] = '30,30,"broken'
    lines[40] = '40,"4"0,Ulm'
    lines[50] = '50,50,"two\nlines"'
    lines[60] = ""
    lines[70] = "70,7\r0,Ulm"
    lines[299] = '299,1,"open to the end'
    path = tmp_path / "rows.csv"
    path.write_bytes("\n".join(["id,age,town", *lines]).encode() + b"\n300,\xff,Ulm")
    found = dict(read(path, "csv", size, 64))
    assert [row for row, values in found.items() if values is None] == [
        11,
        21,
        31,
        41,
        70,
        299,
        300,
    ]
    assert found[51] == {"id": "50", "age": "50", "town": "two\nlines"}
    assert found[32] == {"id": "31", "age": "31", "town": "Ulm"}
    assert len(found) == 300


@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size.rows))
def test_a_line_that_is_no_object_is_one_row(tmp_path: Path, size: PartSize) -> None:
    path = tmp_path / "rows.jsonl"
    lines = ['{"age": 1}', "[1]", "", '{"age": 2', '{"age": 3}', "\xa0"] * 20
    path.write_text("\n".join(lines), encoding="utf-8")
    found = read(path, "jsonl", size, 7)
    assert [values for _, values in found] == [{"age": 1}, None, None, {"age": 3}, None] * 20


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size.rows))
def test_the_mark_of_utf8_is_no_part_of_the_first_row(
    tmp_path: Path, form: str, size: PartSize
) -> None:
    path = written(tmp_path, form, ROWS[:50])
    plain = read(path, form, size, 7)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read(path, form, size, 7) == plain
    assert list(splitter(form, size).names(path)) == ["id", "age", "town"]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size.rows))
def test_a_mark_alone_is_no_row(tmp_path: Path, size: PartSize) -> None:
    path = tmp_path / "rows.jsonl"
    for content in (b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"):
        path.write_bytes(content)
        assert read(path, "jsonl", size, 7) == []


def test_a_line_that_is_no_json_says_why(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [b"[1]", b'{"age": NaN}', b'{"age": 1,}', b'{"town": "\\ud800\\u0041"}']
    lines += [b"\xff", b'{"age"']
    path.write_bytes(b"\n".join(lines))
    (rows,) = reader_of("jsonl", SIGNATURE, None, typed=True).read(path, Span(0, 999, 1, 6), 9)
    said = [fault.problems[0].message for fault in rows.damaged]
    assert said[0] == "expected a JSON object"
    assert said[1] == "expected a JSON object: JSON is malformed: invalid character (byte 8)"
    assert said[2].endswith("trailing comma in object (byte 10)")
    assert "surrogate" in said[3]
    assert said[5] == "expected a JSON object: Input data was truncated"
    assert len(set(said)) == 6


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_record_without_an_end_is_refused_by_its_place(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"rows.{form}"
    with path.open("wb") as stream:
        stream.write(b"id,age,town\n1,2,Ulm\n" if form == "csv" else b'{"age": 1}\n{"age": 2}\n')
        at = stream.tell()
        for _ in range(40):
            stream.write(b'{"age"' * 100_000)
    with pytest.raises(MalformedPayload, match=f"the record at byte {at} "):
        list(splitter(form, PartSize()).spans(path))
    tracemalloc.start()
    with pytest.raises(MalformedPayload, match=f"the record at byte {at} "):
        list(reader_of(form, SIGNATURE, None, typed=False).read(path, Span(at, 10**9, 3, 1), 10))
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 4 * LONGEST_BYTES


@pytest.mark.parametrize("town", ["Bonn", '"Bonn"', '"Bo\nnn"'])
def test_a_long_cell_is_one_whatever_is_beside_it(tmp_path: Path, town: str) -> None:
    path = tmp_path / "rows.csv"
    long = "Ulm" * 100_000
    path.write_text(f'id,age,town\n1,2,{town}\n2,2,{long}\n3,2,"{long}"\n')
    found = read(path, "csv", PartSize(), 64)
    assert [values["town"] for _, values in found[1:]] == [long, long]


def test_a_record_of_a_few_megabytes_is_a_row(tmp_path: Path) -> None:
    town = "Ulm" * 1_000_000
    for form in ("csv", "jsonl"):
        path = written(tmp_path, form, [{"id": 1, "age": 2.5, "town": town}] * 3)
        for size in SIZES:
            assert [values["town"] for _, values in read(path, form, size, 2)] == [town] * 3


def test_the_line_of_a_row_is_where_it_begins(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('id,"a\nge"\r\n\r\n1,"x\ny"\r\n2,z\r\n')
    reader = reader_of("csv", SIGNATURE, None, typed=False)
    for size in SIZES:
        lines = []
        for span in CsvSplitter(size).spans(path):
            for rows in reader.read(path, span, 10):
                lines += [rows.fault(place).line for place in range(len(rows.numbers))]
        assert lines == [4, 6]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cuts", [[250], [1, 2, 3], [0, 500], list(range(0, 500, 25))])
def test_an_output_has_the_same_rows_whatever_the_parts(
    tmp_path: Path, form: str, cuts: list[int]
) -> None:
    whole = _joined(tmp_path, form, [])
    parts = _joined(tmp_path, form, cuts)
    if form != "parquet":
        assert parts.read_bytes() == whole.read_bytes()
        return
    import pyarrow.parquet as pq

    found = pq.read_table(parts)
    found.validate(full=True)
    assert found.equals(pq.read_table(whole))
    assert found.to_pylist() == [row | {"prediction": row["id"] + 0.5} for row in ROWS]
    statistics = [pq.read_metadata(parts).row_group(k) for k in range(2 if cuts != [0, 500] else 1)]
    assert all(one.num_columns == 4 for one in statistics)


@pytest.mark.parametrize("form", FORMS)
def test_the_same_parts_have_the_same_bytes(tmp_path: Path, form: str) -> None:
    first = _joined(tmp_path, form, [100, 300]).read_bytes()
    assert _joined(tmp_path, form, [100, 300]).read_bytes() == first


def _joined(folder: Path, form: str, cuts: Sequence[int]) -> Path:
    """An output of the rows with an answer each, in parts that end at the cuts."""
    begin = writer_of(form, {"id": int, "age": float, "town": str}, {"prediction": [0.5]})
    paths = []
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(ROWS)], strict=True)):
        paths.append(folder / f"{number}.part")
        writer = begin(paths[-1], number == 0)
        rows = ROWS[start:end]
        if rows:
            columns = {name: [row[name] for row in rows] for name in rows[0]}
            writer.write(columns | {"prediction": [row["id"] + 0.5 for row in rows]})
        writer.close()
    output = folder / f"{len(cuts)}.{form}"
    joiner_of(form).join(paths, output)
    return output


def test_a_cell_with_an_end_of_line_is_one_cell_for_whoever_reads_it(tmp_path: Path) -> None:
    rows = [
        {"id": str(k), "age": "1", "town": town}
        for k, town in enumerate(["a\rb", "\r", "a\r\n", "a\nb", "Ulm"])
    ]
    batch, single = tmp_path / "batch.csv", tmp_path / "single.csv"
    writer = writer_of("csv", dict.fromkeys(rows[0], str), {})(batch, True)
    writer.write({name: [row[name] for row in rows] for name in rows[0]})
    writer.close()
    with row_writer(single, "csv", dict.fromkeys(rows[0], str)) as write:
        write(rows)
    assert batch.read_bytes() == single.read_bytes()
    assert batch.read_bytes().endswith(b'\n3,1,"a\nb"\n4,1,Ulm\n')
    assert rows_in(batch) == rows
    assert [values for _, values in read(batch, "csv", PartSize(), 64)] == rows
    assert [row for some in read_batches(batch, 64) for row in some] == rows
