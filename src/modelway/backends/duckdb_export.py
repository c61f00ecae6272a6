"""Writing what a query gives to a file: Parquet, CSV or JSON lines."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import duckdb
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from modelway.domain.errors import InvalidInput, SourceNotFound, TargetExists
from modelway.records.ports import ExportFormat

_BATCH_ROWS = 65_536


def write_rows(
    connection: duckdb.DuckDBPyConnection, sql: str, path: Path, form: ExportFormat
) -> int:
    """Write what a SELECT gives; gives how many rows. The file is there whole or not at all.

    In CSV what is nested stands as JSON; in JSON lines a row is an object.

    Raises:
        InvalidInput: the form is none of those.
        SourceNotFound: the folder of the file is not there.
        TargetExists: the file is.
    """
    if form not in _WRITERS:
        raise InvalidInput(f"{form!r} is no form to export to; expected {', '.join(_WRITERS)}")
    if not path.parent.is_dir():
        raise SourceNotFound(str(path.parent))
    if path.exists():
        raise TargetExists(f"{path} is there already", hint="name another file, or remove it")
    text, write = _WRITERS[form]
    reader = connection.sql(text(connection, sql)).to_arrow_reader(_BATCH_ROWS)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("xb") as file:
            n_rows = write(reader, file)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError as error:
            raise TargetExists(f"{path} is there already") from error
    finally:
        temporary.unlink(missing_ok=True)
    return n_rows


def _as_it_is(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    return sql


def _flat(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The query with nested columns as JSON text, and bytes as text."""
    from_it = f"({sql.rstrip().rstrip(';')}\n)"
    described = connection.execute(f"DESCRIBE SELECT * FROM {from_it}").fetchall()  # noqa: S608 - shut in
    columns = []
    for name, kind, *_ in described:
        column = '"' + name.replace('"', '""') + '"'
        is_nested = kind.startswith(("STRUCT", "MAP", "UNION")) or kind.endswith("]")
        if is_nested or kind in ("JSON", "BLOB"):
            column = f"to_json({column})::VARCHAR AS {column}"
        columns.append(column)
    return f"SELECT {', '.join(columns)} FROM {from_it}"  # noqa: S608 - one SELECT, shut in


def _objects(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    from_it = f"({sql.rstrip().rstrip(';')}\n)"
    return f"SELECT to_json(one)::VARCHAR AS line FROM {from_it} one"  # noqa: S608 - shut in


def _parquet(reader: pa.RecordBatchReader, file: IO[bytes]) -> int:
    n_rows = 0
    with pq.ParquetWriter(file, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
            n_rows += batch.num_rows
    return n_rows


def _csv(reader: pa.RecordBatchReader, file: IO[bytes]) -> int:
    n_rows = 0
    with pc.CSVWriter(file, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
            n_rows += batch.num_rows
    return n_rows


def _jsonl(reader: pa.RecordBatchReader, file: IO[bytes]) -> int:
    n_rows = 0
    for batch in reader:
        for line in batch.column(0).to_pylist():
            file.write(line.encode() + b"\n")
        n_rows += batch.num_rows
    return n_rows


_WRITERS: dict[str, tuple[Callable[..., str], Callable[..., int]]] = {
    "parquet": (_as_it_is, _parquet),
    "csv": (_flat, _csv),
    "jsonl": (_objects, _jsonl),
}
