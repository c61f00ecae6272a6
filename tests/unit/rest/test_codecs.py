"""Which format a request brings and wants, and tables as CSV."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from typing import Any

import pytest

from modelway.domain.errors import MalformedPayload, NotAcceptable, UnsupportedMedia
from modelway.domain.signature import Column, Datatype, Signature
from modelway.inference.decoding import Limits
from modelway.inference.validation import Validator
from modelway.rest.codecs import (
    ARROW_TYPE,
    CSV_TYPE,
    PARQUET_TYPE,
    Formats,
    plain_cell,
    read_csv,
    write_csv,
)
from modelway.settings import RestSettings

SIGNATURE = Signature(
    columns=(
        Column("size", "size", Datatype.FP64),
        Column("name", "name", Datatype.STRING, nullable=True, optional=True),
    )
)
VALIDATOR = Validator(SIGNATURE, strict=False)


@pytest.fixture(scope="module")
def formats() -> Formats:
    return Formats(RestSettings())


@pytest.fixture
def without_arrow(monkeypatch: pytest.MonkeyPatch) -> Formats:
    real = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "pyarrow" else real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    return Formats(RestSettings())


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        (None, None),
        (b"application/json", None),
        (b"Application/JSON ; charset=utf-8", None),
        (b"application/ld+json", None),
        (b"text/csv", CSV_TYPE),
        (b'text/csv; header=present; charset="UTF-8"', CSV_TYPE),
        (ARROW_TYPE.encode(), ARROW_TYPE),
        (PARQUET_TYPE.upper().encode(), PARQUET_TYPE),
    ],
)
def test_the_format_of_a_body(
    formats: Formats, content_type: bytes | None, name: str | None
) -> None:
    found = formats.of_body(content_type)
    assert (found and found.media_type) == name


@pytest.mark.parametrize(
    "content_type", [b"", b"text/plain", b"\xff", b"text/csv;charset=latin-1", b"image/x+json"]
)
def test_other_bodies_are_unsupported(formats: Formats, content_type: bytes) -> None:
    with pytest.raises(UnsupportedMedia):
        formats.of_body(content_type)


@pytest.mark.parametrize(
    ("accept", "came", "name"),
    [
        (None, None, None),
        (None, CSV_TYPE, CSV_TYPE),
        (b"*/*", PARQUET_TYPE, PARQUET_TYPE),
        (b"application/*", CSV_TYPE, None),
        (b"application/*", PARQUET_TYPE, PARQUET_TYPE),
        (b"text/*;q=0.1, application/json;q=0.01", None, CSV_TYPE),
        (b"text/csv;q=0, */*;q=0.1", CSV_TYPE, None),
        (b"text/csv;q=2", None, CSV_TYPE),
        (b"application/json;q=0.5;v=1, text/csv;q=0.4", CSV_TYPE, None),
    ],
)
def test_the_format_of_the_answer(
    formats: Formats, accept: bytes | None, came: str | None, name: str | None
) -> None:
    sent = None if came is None else formats.of_body(came.encode())
    found = formats.wanted(accept, sent)
    assert (found and found.media_type) == name


@pytest.mark.parametrize("accept", [b"", b"image/png", b"*/*;q=0", b"text", b"json, ,;;"])
def test_what_nobody_writes_is_not_acceptable(formats: Formats, accept: bytes) -> None:
    with pytest.raises(NotAcceptable):
        formats.wanted(accept, None)


@pytest.mark.parametrize("name", [ARROW_TYPE, PARQUET_TYPE])
def test_without_pyarrow_the_extra_is_named(without_arrow: Formats, name: str) -> None:
    with pytest.raises(UnsupportedMedia) as unsupported:
        without_arrow.of_body(name.encode())
    with pytest.raises(NotAcceptable) as unacceptable:
        without_arrow.wanted(name.encode(), None)
    for caught in (unsupported, unacceptable):
        assert caught.value.hint == "pip install 'modelway[arrow]'"


def test_csv_is_read_with_quotes_and_empty_cells() -> None:
    body = '\ufeffname,size\r\n"a, ""b""\nc",1e3\r\n,2\r\n\r\n'.encode()
    table = read_csv(body, VALIDATOR, Limits()).table
    assert table.arrays[0].tolist() == [1000.0, 2.0]
    assert table.arrays[1].tolist() == ['a, "b"\nc', None]


def test_csv_with_a_header_only_has_no_rows() -> None:
    assert read_csv(b"size,name\n", VALIDATOR, Limits()).table.n_rows == 0


def test_the_line_that_is_no_csv_is_named() -> None:
    with pytest.raises(MalformedPayload, match="line 3"):
        read_csv(b'size\n1\n"2"x\n', VALIDATOR, Limits())


def test_csv_is_written_with_empty_cells_for_what_is_missing() -> None:
    columns: dict[str, list[Any]] = {
        "a": [1, None],
        "b": [0.1, 1e300],
        "c": ["x,y", None],
        "d": [True, {"e": [1]}],
    }
    assert write_csv(columns) == (b'a,b,c,d\r\n1,0.1,"x,y",true\r\n,1e+300,,"{""e"":[1]}"\r\n')


def test_a_cell_without_a_form_in_json_is_its_text() -> None:
    assert plain_cell(range(2)) == "range(0, 2)"
