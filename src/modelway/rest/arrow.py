"""Arrow streams and Parquet files: columns in, columns out.

What a body claims to hold is checked before memory is taken for it: rows, and bytes after
decompression. Equal texts become one Python object, so that a dictionary of one long text and a
million references to it stays small. Nothing here makes pyarrow import pandas.

Source: Arrow columnar format; Parquet format, FileMetaData.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from modelway.domain.errors import MalformedPayload, PayloadTooLarge
from modelway.domain.tables import Array
from modelway.inference.decoding import Limits
from modelway.inference.validation import Checked, Validator
from modelway.rest.arrow_sizes import unpacked_sizes
from modelway.rest.codecs import ARROW_TYPE, PARQUET_TYPE, Columns, TableFormat, plain_cell
from modelway.rest.row_ids import RowIds

_FAULTS = (pa.ArrowException, MemoryError, OSError, ValueError, KeyError, IndexError, struct.error)
"""What pyarrow raises for a body that cannot be read."""

_LARGEST_RATIO = 8
"""How many times the largest body its content may be once decompressed."""

_INDEX = re.compile(r"__index_level_\d+__")
_TEXT_TYPES = (pa.string(), pa.large_string(), pa.string_view())


def arrow_formats(limits: Limits, max_body_bytes: int) -> list[TableFormat]:
    """The two formats, within these limits."""
    max_bytes = _LARGEST_RATIO * max_body_bytes

    def stream(body: bytes, validator: Validator) -> Checked:
        return read_stream(body, validator, limits.max_rows, max_bytes)

    def parquet(body: bytes, validator: Validator) -> Checked:
        return read_parquet(body, validator, limits.max_rows, max_bytes)

    return [
        TableFormat(ARROW_TYPE, stream, write_stream, heavy=True),
        TableFormat(PARQUET_TYPE, parquet, write_parquet, heavy=True),
    ]


def read_stream(body: bytes, validator: Validator, max_rows: int, max_bytes: int) -> Checked:
    """The record batches of an Arrow stream as one table.

    Raises:
        MalformedPayload: it cannot be read.
        PayloadTooLarge: there are too many rows, or too many bytes after decompression.
        SignatureMismatch: values do not fit the signature.
    """
    try:
        _check_size(sum(unpacked_sizes(body)), max_bytes)
        with pa.ipc.open_stream(body) as reader:
            known = _known(reader.schema, validator)
            batches, n_rows = [], 0
            for batch in reader:
                n_rows += batch.num_rows
                _check_rows(n_rows, max_rows)
                batches.append(batch.select(known))
                for column in batches[-1].columns:
                    if column.type == pa.string_view():
                        # Many views may share one long text.
                        _check_size(int(_numbers([column], np.int32, 4)[0].sum()), max_bytes)
                    column.validate(full=True)
            names = reader.schema.names
        table = pa.Table.from_batches(batches) if batches else None
        return _checked(names, known, table, n_rows, validator)
    except _FAULTS as error:
        raise MalformedPayload(f"the Arrow stream cannot be read: {_first(error)}") from None


def read_parquet(body: bytes, validator: Validator, max_rows: int, max_bytes: int) -> Checked:
    """A Parquet file; columns that the model does not know are not read.

    Raises:
        MalformedPayload: it cannot be read.
        PayloadTooLarge: there are too many rows, or too many bytes after decompression.
        SignatureMismatch: values do not fit the signature.
    """
    positions, columns = validator.signature.positions, validator.signature.columns
    try:
        source = pa.BufferReader(body)
        metadata = pq.read_metadata(source)
        _check_rows(metadata.num_rows, max_rows)
        # Not the sizes of the columns: pyarrow ends the process where those are damaged.
        groups = range(metadata.num_row_groups)
        _check_size(sum(metadata.row_group(i).total_byte_size for i in groups), max_bytes)
        schema = metadata.schema.to_arrow_schema()
        known = _known(schema, validator)
        texts = [name for name in known if columns[positions[name]].is_text]
        source.seek(0)
        table = pq.ParquetFile(source, read_dictionary=texts).read(known, use_threads=False)
        table.validate(full=True)
        return _checked(schema.names, known, table, metadata.num_rows, validator)
    except _FAULTS as error:
        raise MalformedPayload(f"the Parquet file cannot be read: {_first(error)}") from None


def read_table(table: Any, validator: Validator) -> Checked:
    """A table of Arrow that is at hand.

    Raises:
        SignatureMismatch: values do not fit the signature.
    """
    known = _known(table.schema, validator)
    return _checked(table.schema.names, known, table, table.num_rows, validator)


def write_stream(columns: Columns) -> bytes:
    """Columns as an Arrow stream of one batch."""
    table = _table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def write_parquet(columns: Columns) -> bytes:
    """Columns as a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(_table(columns), sink)
    return bytes(sink.getvalue())


def _table(columns: Columns) -> Any:
    return pa.Table.from_arrays([arrow_array(v) for v in columns.values()], names=list(columns))


def arrow_array(values: Sequence[Any] | Array) -> Any:
    """A column of Booleans, int64, float64 or, of anything else, text.

    From buffers, since ``pyarrow.array`` imports pandas where it is installed.
    """
    if isinstance(values, np.ndarray):
        kind = pa.float64() if values.dtype.kind == "f" else pa.int64()
        numbers = np.ascontiguousarray(values)
        return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(numbers)])
    if isinstance(values, RowIds):
        return _text_column(*values.joined(), None)
    types = set(map(type, values))
    if types == {str} and (joined := "".join(values)).isascii():
        return _text_column(list(map(len, values)), joined.encode(), None)
    present = np.array([value is not None for value in values], dtype=np.bool_)
    validity = None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))
    kinds = types - {type(None)}
    if kinds == {int} and all(-(2**63) <= v < 2**63 for v in values if v is not None):
        content: list[Array] = [np.array([v or 0 for v in values], dtype=np.int64)]
        kind = pa.int64()
    elif kinds <= {int, float}:
        content = [np.array([0.0 if v is None else v for v in values], dtype=np.float64)]
        kind = pa.float64()
    elif kinds == {bool}:
        content = [np.packbits(np.array(values, dtype=np.bool_), bitorder="little")]
        kind = pa.bool_()
    else:
        texts = [b"" if v is None else str(plain_cell(v)).encode(errors="replace") for v in values]
        return _text_column(list(map(len, texts)), b"".join(texts), validity)
    buffers = [validity, *(pa.py_buffer(one) for one in content)]
    return pa.Array.from_buffers(kind, len(values), buffers)


def _text_column(lengths: Sequence[int] | Array, joined: bytes, validity: Any) -> Any:
    """A column of text from the lengths of its texts in bytes, and all of them together."""
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    buffers = [validity, pa.py_buffer(ends), pa.py_buffer(joined)]
    return pa.Array.from_buffers(pa.large_string(), len(ends) - 1, buffers)


def _known(schema: Any, validator: Validator) -> list[str]:
    """The columns that the model knows and whose type may fit one of its own."""
    if len(set(schema.names)) != len(schema.names):
        raise MalformedPayload("a column stands there twice")
    positions = validator.signature.positions
    return [one.name for one in schema if one.name in positions and _may_fit(one.type)]


def _checked(
    names: Sequence[str], known: Sequence[str], table: Any, n_rows: int, validator: Validator
) -> Checked:
    """``table`` holds the known columns; None where there is not even an empty batch."""
    cells: dict[str, Array | Sequence[object]] = {}
    for name in names:
        if name in known:
            cells[name] = [] if table is None else _cells(table.column(name))
        elif not _INDEX.fullmatch(name):
            # A type of which no value fits: an object stands for it in what is said.
            cells[name] = [{}] * n_rows
    return validator.arrays(cells, n_rows)


def _cells(column: Any) -> Array | Sequence[object]:
    """The values of a column: numbers and moments as numpy has them, the rest as Python has."""
    kind = column.type
    if kind == pa.null():
        return [None] * len(column)
    if kind in _TEXT_TYPES:
        return _texts(column.dictionary_encode())
    if pa.types.is_dictionary(kind):
        return _texts(column) if kind.value_type in _TEXT_TYPES else _cells(_plain(column))
    if pa.types.is_boolean(kind):
        flags, present = _numbers(column.cast(pa.uint8()).chunks, np.uint8)
        return [bool(f) if p else None for f, p in zip(flags, present, strict=True)]
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        moments = column.cast(pa.timestamp("us"), safe=False)
        values, present = _numbers(moments.chunks, "datetime64[us]")
        return np.where(present, values, np.datetime64("NaT"))
    values, present = _numbers(column.cast(pa.float64(), safe=False).chunks, np.float64)
    return np.where(present, values, np.nan)


def _may_fit(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        return kind.value_type != pa.string_view() and _may_fit(kind.value_type)
    return kind in _TEXT_TYPES or any(
        test(kind)
        for test in (
            *(pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal),
            *(pa.types.is_timestamp, pa.types.is_date, pa.types.is_null),
        )
    )


def _plain(column: Any) -> Any:
    """A column of a dictionary as one of its values."""
    return column.cast(column.type.value_type)


def _numbers(
    chunks: Sequence[Any], dtype: npt.DTypeLike, width: int = 1
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """The first of every ``width`` numbers in chunks of fixed width, and which are there.

    Straight from the buffers: ``to_numpy`` imports pandas where it is installed.
    """
    values, present = [np.empty(0, dtype)], [np.empty(0, np.bool_)]
    for chunk in chunks:
        if not len(chunk):
            continue
        rows = slice(chunk.offset, chunk.offset + len(chunk))
        validity, content = chunk.buffers()[:2]
        values.append(np.frombuffer(content, dtype)[::width][rows])
        if validity is None:
            present.append(np.ones(len(chunk), np.bool_))
        else:
            bits = np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little")
            present.append(bits[rows].astype(np.bool_))
    return np.concatenate(values), np.concatenate(present)


def _texts(column: Any) -> Sequence[object]:
    found: list[object] = []
    for chunk in column.chunks:
        words = np.array([*chunk.dictionary.to_pylist(), None], dtype=object)
        places, present = _numbers([chunk.indices.cast(pa.int64())], np.int64)
        found += words[np.where(present, places, len(words) - 1)].tolist()
    return found


def _check_rows(n_rows: int, max_rows: int) -> None:
    if n_rows > max_rows:
        raise PayloadTooLarge(f"{n_rows} rows are too many; at most {max_rows} are taken")


def _check_size(n_bytes: int, max_bytes: int) -> None:
    if n_bytes > max_bytes:
        raise PayloadTooLarge(f"decompressed it would be more than the {max_bytes} bytes taken")


def _first(error: BaseException) -> str:
    """The first line of what a library says, without the place in its own source."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
