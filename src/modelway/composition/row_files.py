"""Files of rows, read and written in batches: CSV, JSON lines, Parquet.

A row is a mapping of column name to value, as it came: the cells of a CSV file stay text, so that
what is written back is what was read. Memory holds one batch, whatever the size of the file.
"""

from __future__ import annotations

import contextlib
import csv
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from modelway.domain.errors import (
    InvalidInput,
    MalformedPayload,
    MissingExtra,
    SourceNotFound,
    UnsupportedMedia,
)

Row = dict[str, Any]
Write = Callable[[Sequence[Row]], None]

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


def read_batches(path: Path, batch_rows: int) -> Iterator[list[Row]]:
    """The rows of the file, at most ``batch_rows`` at a time, in order.

    Raises:
        SourceNotFound: there is no such file.
        MalformedPayload: a line cannot be read; the message has its number.
        MissingExtra: Parquet, and pyarrow is not installed.
    """
    if not path.is_file():
        raise SourceNotFound(str(path))
    rows = {"csv": _csv_rows, "jsonl": _json_rows, "parquet": _parquet_rows}[format_of(path)]
    batch: list[Row] = []
    for row in rows(path):
        batch.append(row)
        if len(batch) == batch_rows:
            yield batch
            batch = []
    if batch:
        yield batch


@contextlib.contextmanager
def row_writer(path: Path | None, form: str) -> Iterator[Write]:
    """A function that writes rows in the form; a path of None is standard output.

    The columns are those of the first batch. Values that are mappings become one column an entry
    in CSV and Parquet, ``probabilities`` named ``probability_LABEL``.

    Raises:
        MissingExtra: Parquet, and pyarrow is not installed.
        InvalidInput: Parquet to standard output, or the file cannot be written.
    """
    if form == "parquet":
        if path is None:
            raise InvalidInput("Parquet needs a file", hint="name one with --output")
        with _parquet_writer(path) as write:
            yield write
        return
    with contextlib.ExitStack() as stack:
        stream: IO[str] = sys.stdout
        if path is not None:
            try:
                stream = stack.enter_context(path.open("w", newline="", encoding="utf-8"))
            except OSError as error:
                raise InvalidInput(f"{path} cannot be written: {error.strerror}") from error
        yield _csv_writer(stream) if form == "csv" else _json_writer(stream)


def flat(row: Mapping[str, Any]) -> Row:
    """The row with every mapping in it spread over columns of their own."""
    found: Row = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            stem = "probability" if name == "probabilities" else name
            found.update({f"{stem}_{key}": one for key, one in value.items()})
        else:
            found[name] = value
    return found


def _csv_rows(path: Path) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            header = next(reader, None)
            if header is None:
                raise MalformedPayload(f"{path} is empty: its first line must name the columns")
            if len(set(header)) != len(header):
                raise MalformedPayload(f"{path} names a column twice")
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise MalformedPayload(
                        f"{path}, line {reader.line_num}: {len(cells)} cells, "
                        f"where the first line has {len(header)}"
                    )
                yield dict(zip(header, cells, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise MalformedPayload(f"{path}, after line {reader.line_num}: {error}") from error


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


def _csv_writer(stream: IO[str]) -> Write:
    writer: csv.DictWriter[str] | None = None

    def write(rows: Sequence[Row]) -> None:
        nonlocal writer
        spread = [flat(row) for row in rows]
        if writer is None:
            names = list(dict.fromkeys(name for row in spread for name in row))
            writer = csv.DictWriter(stream, names, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
        writer.writerows({name: _csv_cell(value) for name, value in row.items()} for row in spread)

    return write


def _csv_cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _json_writer(stream: IO[str]) -> Write:
    encoder = msgspec.json.Encoder(enc_hook=str)

    def write(rows: Sequence[Row]) -> None:
        stream.writelines(encoder.encode(row).decode() + "\n" for row in rows)

    return write


@contextlib.contextmanager
def _parquet_writer(path: Path) -> Iterator[Write]:
    arrow, parquet = _arrow()
    writer: Any = None

    def write(rows: Sequence[Row]) -> None:
        nonlocal writer
        schema = writer.schema if writer else None
        try:
            table = arrow.Table.from_pylist([flat(row) for row in rows], schema=schema)
        except arrow.ArrowException as error:
            raise InvalidInput(
                f"{path}: a column changes its type: {error}", hint="write .csv or .jsonl instead"
            ) from error
        if writer is None:
            writer = parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("pyarrow", "arrow", "a Parquet file") from None
    return pyarrow, pyarrow.parquet
