"""Records of CSV: whatever the bytes, they are the same however the file is divided."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from modelway.backends.csv_files import CsvReader, CsvSplitter
from modelway.batch.parts import PartSize

CELLS = st.text(alphabet='a,"\n\r é', max_size=6)
DAMAGED = st.text(alphabet='a,"\n\r', max_size=40).map(str.encode) | st.binary(max_size=10)
ANY_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(path: Path, n_bytes: int) -> list[tuple[int, int | None, object]]:
    """Row, line and cells of every row; text and reason of damaged ones."""
    found: list[tuple[int, int | None, object]] = []
    reader = CsvReader(None, {}, None)
    for span in CsvSplitter(PartSize(10**9, n_bytes)).spans(path):
        before = len(found)
        for rows in reader.read(path, span, 3):
            found += zip(rows.numbers, rows.lines, rows.cells, strict=True)
            found += [(one.row, one.line, (one.values, one.problems)) for one in rows.damaged]
        assert len(found) - before == span.n_rows
    return sorted(found, key=lambda one: one[0])


@ANY_FOLDER
@example([b"", b"\r,", b'"'], 1)
@example([b'"",""', b"\r,", b"\r,"], 2)
@given(st.lists(DAMAGED, max_size=8), st.integers(1, 60))
def test_any_bytes_are_the_same_records_however_divided(
    tmp_path: Path, lines: list[bytes], n_bytes: int
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,b\n" + b"\n".join(lines))
    whole = read(path, 10**9)
    assert [row for row, _, _ in whole] == list(range(1, len(whole) + 1))
    assert read(path, n_bytes) == whole


@ANY_FOLDER
@given(st.lists(st.tuples(CELLS, CELLS), max_size=8), st.integers(1, 60))
def test_what_a_writer_of_csv_has_written_is_read_again(
    tmp_path: Path, rows: list[tuple[str, str]], n_bytes: int
) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    path = tmp_path / "rows.csv"
    path.write_bytes(text.getvalue().encode())
    assert [list(cells) for _, _, cells in read(path, n_bytes)] == [list(row) for row in rows]  # type: ignore[call-overload] # cells are text
