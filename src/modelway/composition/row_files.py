"""Files of rows, read and written in batches: CSV, JSON lines, Parquet.

A row is a mapping of column name to value, as it came: the cells of a CSV file are text. Memory
holds one batch, whatever the size of the file. A file is written beside its place and takes it when
it is complete, so that a failure leaves what was there.
"""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import msgspec

from modelway.backends.csv_quoting import LINE_END, NewlineEnds
from modelway.domain.errors import (
    InvalidInput,
    MalformedPayload,
    MissingExtra,
    SourceNotFound,
    UnsupportedMedia,
)

Row = dict[str, Any]
Write = Callable[[Sequence[Row]], None]

Types = Mapping[str, Any]
"""The type of each column, in their order: float, int, bool, str, that of a column of a Parquet
file, or None for the type of the first values."""

FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


def format_of(path: Path) -> str:
    """The format of a file, by the end of its name.

    Raises:
        UnsupportedMedia: it is none of those that are read and written.
    """
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(FORMATS)
        raise UnsupportedMedia(f"{path} does not end in one of {known}") from None


def columns_of(path: Path) -> Types:
    """The columns that the file names before its rows; JSON lines name none.

    Raises:
        SourceNotFound: there is no such file.
        MalformedPayload: it cannot be read.
        MissingExtra: Parquet, and pyarrow is not installed.
    """
    form = format_of(path)
    with _reading(path):
        if form == "csv":
            with _csv_lines(path) as (header, _):
                return dict.fromkeys(header, str)
        if form == "parquet":
            arrow, parquet = _arrow()
            try:
                schema = parquet.read_schema(path)
            except arrow.ArrowException as error:
                raise MalformedPayload(f"{path} cannot be read: {error}") from error
            return dict(zip(schema.names, schema.types, strict=True))
    return {}


def read_batches(path: Path, batch_rows: int) -> Iterator[list[Row]]:
    """The rows of the file, at most ``batch_rows`` at a time, in order.

    Raises:
        SourceNotFound: there is no such file.
        MalformedPayload: a line cannot be read; the message has its number.
        InvalidInput: the file may not be read.
        MissingExtra: Parquet, and pyarrow is not installed.
    """
    rows = {"csv": _csv_rows, "jsonl": _json_rows, "parquet": _parquet_rows}[format_of(path)]
    batch: list[Row] = []
    with _reading(path):
        for row in rows(path):
            batch.append(row)
            if len(batch) == batch_rows:
                yield batch
                batch = []
    if batch:
        yield batch


@contextlib.contextmanager
def row_writer(path: Path | None, form: str, columns: Types) -> Iterator[Write]:
    """A function that writes rows in the form; a path of None is standard output.

    A file at ``path`` is replaced when the block ends, and stays as it was if that raises. In CSV
    and Parquet there are these ``columns``, also where no rows come, and values that are mappings
    are spread over several of them, as ``flat`` does.

    Raises:
        MissingExtra: Parquet, and pyarrow is not installed.
        InvalidInput: Parquet to standard output, the file cannot be written, or a row has a column
            that is not among ``columns``.
    """
    if path is None:
        if form == "parquet":
            raise InvalidInput("Parquet needs a file", hint="name one with --output")
        yield _text_writer(sys.stdout, form, columns)
        return
    try:
        with _replacing(path) as part:
            if form == "parquet":
                with _parquet_writer(part, columns) as write:
                    yield write
            else:
                with part.open("x", newline="", encoding="utf-8") as stream:
                    yield _text_writer(stream, form, columns)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}") from error


def flat(row: Mapping[str, Any]) -> Row:
    """The row with every mapping in it spread over columns of their own.

    ``probabilities`` become ``probability_LABEL``, the entries of any other ``NAME_KEY``.

    Raises:
        InvalidInput: two of them would have one name.
    """
    found: Row = {}
    for name, value in _spread(row):
        if name in found:
            raise InvalidInput(
                f"two columns would be called {name!r}",
                hint="rename one, or write .jsonl, where what is nested stays so",
            )
        found[name] = value
    return found


def flat_names(row: Mapping[str, Any]) -> Iterator[str]:
    """The names that the columns of the row have when it is flat."""
    return (name for name, _ in _spread(row))


def _spread(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            stem = "probability" if name == "probabilities" else name
            for key, one in value.items():
                yield f"{stem}_{key}", one
        else:
            yield name, value


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    if not path.is_file():
        raise SourceNotFound(str(path))
    try:
        yield
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}") from error


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A name for a file that takes the place of ``path`` when the block ends well."""
    target = path.resolve()
    if target.exists() and not (target.is_file() and os.access(target, os.W_OK)):
        raise InvalidInput(f"{path} cannot be written: what is there may not be replaced")
    part = target.with_name(f".{uuid4().hex}.part")
    try:
        yield part
        if target.exists():
            shutil.copymode(target, part)
        part.replace(target)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


@contextlib.contextmanager
def _csv_lines(path: Path) -> Iterator[tuple[list[str], Iterator[list[str]]]]:
    """The names of the columns, and the cells of each line after them."""
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            header = next(reader, None)
            if header is None:
                raise MalformedPayload(f"{path} is empty: its first line must name the columns")
            if len(set(header)) != len(header):
                raise MalformedPayload(f"{path} names a column twice")
            yield header, _full_lines(path, reader, len(header))
        except (csv.Error, UnicodeDecodeError) as error:
            raise MalformedPayload(f"{path}, after line {reader.line_num}: {error}") from error


def _full_lines(path: Path, reader: Any, n_columns: int) -> Iterator[list[str]]:
    for cells in reader:
        if not cells:
            continue
        if len(cells) != n_columns:
            raise MalformedPayload(
                f"{path}, line {reader.line_num}: {len(cells)} cells, "
                f"where the first line has {n_columns}"
            )
        yield cells


def _csv_rows(path: Path) -> Iterator[Row]:
    with _csv_lines(path) as (header, lines):
        for cells in lines:
            yield dict(zip(header, cells, strict=True))


def _json_rows(path: Path) -> Iterator[Row]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                yield decoder.decode(line)
            except msgspec.MsgspecError as error:
                raise MalformedPayload(f"{path}, line {number}: {error}") from error


def _parquet_rows(path: Path) -> Iterator[Row]:
    arrow, parquet = _arrow()
    try:
        for batch in parquet.ParquetFile(path).iter_batches():
            yield from batch.to_pylist()
    except arrow.ArrowException as error:
        raise MalformedPayload(f"{path} cannot be read: {error}") from error


def _text_writer(stream: IO[str], form: str, columns: Types) -> Write:
    return _json_writer(stream) if form == "jsonl" else _csv_writer(stream, columns)


def _csv_writer(stream: IO[str], columns: Types) -> Write:
    writer = csv.DictWriter(NewlineEnds(stream), list(columns), lineterminator=LINE_END)
    writer.writeheader()
    made_flat = _flattener(columns)

    def write(rows: Sequence[Row]) -> None:
        for row in made_flat(rows):
            writer.writerow({name: _csv_cell(value) for name, value in row.items()})

    return write


def _csv_cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _json_writer(stream: IO[str]) -> Write:
    encoder = msgspec.json.Encoder(enc_hook=str)

    def write(rows: Sequence[Row]) -> None:
        stream.writelines(encoder.encode(row).decode() + "\n" for row in rows)

    return write


@contextlib.contextmanager
def _parquet_writer(path: Path, columns: Types) -> Iterator[Write]:
    arrow, parquet = _arrow()
    plain = {float: arrow.float64(), int: arrow.int64(), bool: arrow.bool_(), str: arrow.string()}
    types = {name: plain.get(kind, kind) for name, kind in columns.items()}
    made_flat = _flattener(columns)
    writer: Any = None

    def write(rows: Sequence[Row]) -> None:
        nonlocal writer
        found = made_flat(rows)
        arrays = []
        for name, kind in types.items():
            cells = [row.get(name) for row in found]
            if columns[name] is float:  # arrow refuses a whole number beyond 2**53 as a float
                cells = [None if cell is None else float(cell) for cell in cells]
            try:
                arrays.append(arrow.array(cells, kind))
            except arrow.ArrowException as error:
                raise InvalidInput(
                    f"column {name!r} does not keep the type of its first values: {error}",
                    hint="write .csv or .jsonl, or give a larger --batch-rows",
                ) from error
            types[name] = arrays[-1].type
        table = arrow.Table.from_arrays(arrays, list(types))
        if writer is None:
            writer = parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)

    try:
        yield write
        if writer is None:
            write([])
    finally:
        if writer is not None:
            writer.close()


def _flattener(columns: Types) -> Callable[[Sequence[Row]], list[Row]]:
    """Makes rows flat, and refuses a column that the file being written does not have."""
    n_before = 0

    def made_flat(rows: Sequence[Row]) -> list[Row]:
        nonlocal n_before
        found = []
        for number, row in enumerate(rows, start=n_before + 1):
            found.append(flat(row))
            if not columns.keys() >= found[-1].keys():
                strange = next(name for name in found[-1] if name not in columns)
                raise InvalidInput(
                    f"row {number} has a column {strange!r}, which no row of the first batch has",
                    hint="write .jsonl, or give --batch-rows so many that the first batch has it",
                )
        n_before += len(rows)
        return found

    return made_flat


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("pyarrow", "arrow", "a Parquet file") from None
    return pyarrow, pyarrow.parquet
