"""Whatever a request looks like, one table: quick path and full path, and every format."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.domain.errors import ModelwayError, SignatureMismatch
from modelway.domain.signature import Datatype, Signature
from modelway.domain.tables import Table
from modelway.inference.decoded import Decoded
from modelway.inference.decoding import JsonDecoder
from modelway.inference.validation import Validator
from modelway.rest.codecs import Formats
from modelway.settings import RestSettings
from support.tables import (
    Row,
    array_of,
    assert_holds,
    assert_same,
    json_ready,
    rows_of,
    signatures,
    values,
)

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(2**53 - 2, 2**53 + 2),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[Signature, bytes]:
    """A signature and a JSON body that fits it, or nearly."""
    signature = draw(signatures())

    def row() -> Row:
        found: Row = {}
        for column in signature.columns:
            key = draw(st.sampled_from([column.name, column.alias]))
            if draw(st.integers(0, 9)):
                found[key] = draw(values(column))
            elif draw(st.booleans()):
                found[key] = draw(JUNK)
        if not draw(st.integers(0, 9)):
            found[draw(st.text(max_size=5))] = draw(JUNK)
        return json_ready(found)

    shape = draw(st.sampled_from(["object", "array", "frame", "junk"]))
    if shape == "object":
        content: Any = row()
    elif shape == "array":
        content = [row() for _ in range(draw(st.integers(0, 4)))]
    elif shape == "frame":
        by_name = draw(st.booleans())
        names = [c.name if by_name else c.alias for c in signature.columns]
        several = [list(row().values()) for _ in range(draw(st.integers(0, 4)))]
        content = {"columns": names, "data": several}
    else:
        content = draw(JUNK)
    body = msgspec.json.encode(content)
    return signature, body if draw(st.integers(0, 9)) else body[: draw(st.integers(0, len(body)))]


def outcome(decode: Any, body: bytes) -> Decoded | ModelwayError:
    try:
        found: Decoded = decode(body)
    except ModelwayError as error:
        return error
    return found


@settings(deadline=None, max_examples=500)
@given(requests(), st.booleans())
def test_the_quick_path_gives_what_the_full_path_gives(
    request: tuple[Signature, bytes], strict: bool
) -> None:
    signature, body = request
    decoder = JsonDecoder(signature, Validator(signature, strict=strict))
    quick, full = outcome(decoder.decode, body), outcome(decoder.decode_fully, body)
    if isinstance(full, ModelwayError):
        assert isinstance(quick, ModelwayError), quick
        assert (type(quick), quick.message) == (type(full), full.message)
        if isinstance(full, SignatureMismatch) and isinstance(quick, SignatureMismatch):
            assert quick.problems == full.problems
    else:
        assert isinstance(quick, Decoded), quick
        assert_same(quick.table, full.table)
        assert quick.single == full.single
        assert list(quick.warnings) == list(full.warnings)


def in_order(signature: Signature, rows: list[Row]) -> list[list[Any]]:
    ready = [json_ready(row) for row in rows]
    return [[row[column.name] for column in signature.columns] for row in ready]


def as_objects(signature: Signature, rows: list[Row], by_alias: bool) -> bytes:
    keys = {c.name: c.alias if by_alias else c.name for c in signature.columns}
    return msgspec.json.encode([{keys[k]: v for k, v in json_ready(r).items()} for r in rows])


def as_frame(signature: Signature, rows: list[Row], by_alias: bool) -> bytes:
    names = [c.alias if by_alias else c.name for c in signature.columns]
    data = in_order(signature, rows)
    return msgspec.json.encode({"columns": names, "data": data})


def as_csv(signature: Signature, rows: list[Row], by_alias: bool) -> bytes:
    import csv

    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([c.alias if by_alias else c.name for c in signature.columns])
    writer.writerows(in_order(signature, rows))
    return text.getvalue().encode()


def as_arrow(signature: Signature, rows: list[Row], by_alias: bool) -> Any:
    arrays = {}
    for column in signature.columns:
        cells = [row[column.name] for row in rows]
        kind = None
        if column.datatype is Datatype.DATETIME:
            kind = pa.timestamp("us", "UTC")
        elif column.is_text:
            kind = pa.string()
        elif column.datatype is Datatype.BOOL:
            kind = pa.bool_()
        elif column.datatype.is_float:
            kind = pa.float64()
        else:
            kind = pa.int64()
        arrays[column.alias if by_alias else column.name] = pa.array(cells, kind)
    return pa.table(arrays)


def as_stream(signature: Signature, rows: list[Row], by_alias: bool) -> bytes:
    table = as_arrow(signature, rows, by_alias)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return bytes(sink.getvalue())


def as_parquet(signature: Signature, rows: list[Row], by_alias: bool) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(as_arrow(signature, rows, by_alias), sink, row_group_size=2)
    return bytes(sink.getvalue())


FORMATS = Formats(RestSettings())


def read_table(form: str, body: bytes, signature: Signature) -> Table:
    validator = Validator(signature, strict=False)
    if form == "json":
        return JsonDecoder(signature, validator).decode(body).table
    found = FORMATS.of_body(form.encode())
    assert found is not None
    return found.read(body, validator).table


@pytest.mark.parametrize(
    ("form", "write"),
    [
        ("json", as_objects),
        ("json", as_frame),
        ("text/csv", as_csv),
        ("application/vnd.apache.arrow.stream", as_stream),
        ("application/vnd.apache.parquet", as_parquet),
    ],
    ids=["objects", "frame", "csv", "arrow", "parquet"],
)
@settings(deadline=None, max_examples=150)
@given(st.data())
def test_every_format_carries_every_value(form: str, write: Any, data: st.DataObject) -> None:
    signature = data.draw(signatures())
    rows = data.draw(st.lists(rows_of(signature), min_size=1, max_size=5))
    by_alias = data.draw(st.booleans())
    body = write(signature, rows, by_alias)
    table = read_table(form, body, signature)
    expected = [array_of(c, [row[c.name] for row in rows]) for c in signature.columns]
    assert table.n_rows == len(rows)
    assert_holds(table, expected)
