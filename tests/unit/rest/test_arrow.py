"""Arrow streams and Parquet files: every layout, and what they may not make us do."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelway.domain.errors import MalformedPayload, PayloadTooLarge, SignatureMismatch
from modelway.domain.signature import Column, Datatype, Signature
from modelway.inference.validation import Checked, Validator
from modelway.rest.arrow import read_parquet, read_stream, write_parquet, write_stream

SIGNATURE = Signature(
    columns=(
        Column("size", "size", Datatype.FP64, nullable=True, optional=True),
        Column("name", "name", Datatype.STRING, nullable=True, optional=True),
        Column("sold", "sold", Datatype.DATETIME, nullable=True, optional=True),
        Column("new", "new", Datatype.BOOL, nullable=True, optional=True),
    )
)
VALIDATOR = Validator(SIGNATURE, strict=False)
MAX_ROWS, MAX_BYTES = 1000, 1_000_000

NUMBERS = [1.5, None, 3.0]
TEXTS = ["a", None, "a"]


def stream(table: Any, *, chunk: int | None = None, compression: str | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=chunk)
    return bytes(sink.getvalue())


def parquet(table: Any, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return bytes(sink.getvalue())


def streamed(body: bytes) -> Checked:
    return read_stream(body, VALIDATOR, MAX_ROWS, MAX_BYTES)


def column(checked: Checked, name: str) -> list[object]:
    values: list[object] = checked.table.arrays[SIGNATURE.positions[name]].tolist()
    return [None if value != value else value for value in values]


@pytest.mark.parametrize(
    "array",
    [
        pa.array(NUMBERS),
        pa.array(NUMBERS, pa.float32()),
        pa.array(np.array([1.5, 0, 3], np.float16), mask=np.array([False, True, False])),
        pa.array([Decimal("1.5"), None, Decimal(3)]),
        pa.array(NUMBERS).dictionary_encode(),
        pa.array([9.0, *NUMBERS, 9.0]).slice(1, 3),
    ],
    ids=str,
)
def test_numbers_of_every_type(array: Any) -> None:
    for chunk in (None, 1, 2):
        assert column(streamed(stream(pa.table({"size": array}), chunk=chunk)), "size") == NUMBERS


@pytest.mark.parametrize(
    "array",
    [
        pa.array(TEXTS),
        pa.array(TEXTS, pa.large_string()),
        pa.array(TEXTS, pa.string_view()),
        pa.array(TEXTS).dictionary_encode(),
        pa.array(["x", *TEXTS, None]).slice(1, 3),
        pa.array(["x", *TEXTS, None]).dictionary_encode().slice(1, 3),
    ],
    ids=str,
)
def test_texts_of_every_type(array: Any) -> None:
    for compression in (None, "zstd", "lz4"):
        body = stream(pa.table({"name": array}), compression=compression)
        assert column(streamed(body), "name") == TEXTS


@pytest.mark.parametrize(
    ("name", "array", "found"),
    [
        ("sold", pa.array([date(2024, 5, 17), None]), [datetime(2024, 5, 17), None]),
        (
            "sold",
            pa.array([10**9 + 1, None], pa.timestamp("ns", "Asia/Tokyo")),
            [datetime(1970, 1, 1, 0, 0, 1), None],
        ),
        ("new", pa.array([True, None, False]), [1.0, None, 0.0]),
        ("size", pa.nulls(2), [None, None]),
        ("name", pa.nulls(2), [None, None]),
    ],
)
def test_other_types(name: str, array: Any, found: list[object]) -> None:
    for body in (stream(pa.table({name: array})),):
        assert column(streamed(body), name) == found
    read = read_parquet(parquet(pa.table({name: array})), VALIDATOR, MAX_ROWS, MAX_BYTES)
    assert column(read, name) == found


@pytest.mark.parametrize(
    "array",
    [
        pa.array([[1.0]]),
        pa.array([{"a": 1.0}]),
        pa.array([b"1"]),
        pa.array([[1.0]], pa.list_view(pa.float64())),
        pa.array([5], pa.duration("s")),
        pa.array(["1"]),
        pa.array([True]),
    ],
    ids=lambda array: str(array.type),
)
def test_a_type_of_which_no_value_fits_is_a_fault_of_each_row(array: Any) -> None:
    with pytest.raises(SignatureMismatch) as caught:
        streamed(stream(pa.table({"size": array})))
    assert [p.code for p in caught.value.problems] == ["wrong-type"]


def test_unknown_columns_are_warnings_and_the_index_of_pandas_is_none() -> None:
    table = pa.table({"size": [1.0], "other": [[1]], "__index_level_0__": [5]})
    for checked in (
        streamed(stream(table)),
        read_parquet(parquet(table), VALIDATOR, MAX_ROWS, MAX_BYTES),
    ):
        assert [w.column for w in checked.warnings] == ["other"]


def test_a_schema_without_rows() -> None:
    table = pa.table({"size": pa.array([], pa.float64())})
    assert streamed(stream(table)).table.n_rows == 0
    assert read_parquet(parquet(table), VALIDATOR, MAX_ROWS, MAX_BYTES).table.n_rows == 0


def test_a_column_twice_is_malformed() -> None:
    table = pa.table([pa.array([1.0]), pa.array([2.0])], names=["size", "size"])
    with pytest.raises(MalformedPayload, match="twice"):
        streamed(stream(table))


def test_many_views_of_one_long_text_are_too_large() -> None:
    text = pa.array(["x" * 10_000], pa.string_view())
    views = np.tile(np.frombuffer(text.buffers()[1], np.uint8), 500)
    buffers = [None, pa.py_buffer(views), text.buffers()[2]]
    shared = pa.Array.from_buffers(pa.string_view(), 500, buffers)
    with pytest.raises(PayloadTooLarge):
        streamed(stream(pa.table({"name": shared})))


def test_many_references_to_one_long_text_stay_one_text() -> None:
    words = pa.DictionaryArray.from_arrays(np.zeros(1000, np.int8), ["x" * 100_000])
    for checked in (
        streamed(stream(pa.table({"name": words}))),
        read_parquet(parquet(pa.table({"name": words})), VALIDATOR, MAX_ROWS, MAX_BYTES),
    ):
        assert len({id(text) for text in checked.table.arrays[1]}) == 1


def test_what_decompresses_to_too_much_is_too_large() -> None:
    table = pa.table({"size": np.zeros(MAX_ROWS), "other": ["x" * 2000] * MAX_ROWS})
    body = stream(table, compression="zstd")
    assert len(body) < 20_000
    with pytest.raises(PayloadTooLarge, match="decompressed"):
        streamed(body)
    with pytest.raises(PayloadTooLarge, match="decompressed"):
        read_parquet(
            parquet(table, compression="zstd", use_dictionary=False), VALIDATOR, MAX_ROWS, 100_000
        )


def test_an_index_beyond_the_dictionary_is_malformed() -> None:
    broken = pa.DictionaryArray.from_arrays(np.array([5], np.int8), ["a"], safe=False)
    with pytest.raises(MalformedPayload):
        streamed(stream(pa.table({"name": broken})))


def test_answers_are_written_with_their_types() -> None:
    columns: dict[str, list[Any]] = {
        "i": [1, None],
        "f": [0.5, 2],
        "b": [None, True],
        "t": ["ü", None],
        "none": [None, None],
        "mixed": ["a", {"x": [1]}],
    }
    rows = [
        {"i": 1, "f": 0.5, "b": None, "t": "ü", "none": None, "mixed": "a"},
        {"i": None, "f": 2.0, "b": True, "t": None, "none": None, "mixed": '{"x":[1]}'},
    ]
    assert pa.ipc.open_stream(write_stream(columns)).read_all().to_pylist() == rows
    assert pq.read_table(pa.BufferReader(write_parquet(columns))).to_pylist() == rows


def test_pandas_is_never_imported() -> None:
    script = """
import sys
from modelway.domain.signature import Column, Datatype, Signature
from modelway.inference.validation import Validator
from modelway.rest.arrow import read_parquet, read_stream, write_parquet, write_stream

kinds = {"size": Datatype.FP64, "name": Datatype.STRING, "new": Datatype.BOOL}
columns = tuple(Column(n, n, kind, nullable=True, optional=True) for n, kind in kinds.items())
validator = Validator(Signature(columns=columns), strict=False)
rows = {"size": [1.0, None], "name": ["a", None], "new": [True, None]}
read_stream(write_stream(rows), validator, 10, 10**6)
read_parquet(write_parquet(rows), validator, 10, 10**6)
print([name for name in ("pandas", "pyarrow") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "['pyarrow']\n", done.stderr
