"""Requests as routes see them."""

from __future__ import annotations

import pytest

from modelway.domain.errors import MalformedPayload
from modelway.rest.http import Headers, Request


def cells(query: bytes) -> list[tuple[str, str]]:
    return Request("id", "GET", "/", query=query, headers={}).cells()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (b"", {}),
        (b"a=1&b=", {"a": "1", "b": ""}),
        (b"a+b=1+2&c%20d=%2B", {"a b": "1 2", "c d": "+"}),
        (b"a", {"a": ""}),
        ("ü=é".encode(), {"ü": "é"}),
        (b"%C3%BC=%C3%A9", {"ü": "é"}),
        (b"a=1=2", {"a": "1=2"}),
    ],
)
def test_the_cells_of_a_query(query: bytes, found: dict[str, str]) -> None:
    assert cells(query) == list(found.items())


@pytest.mark.parametrize("query", [b"a=%ff", b"\xff=1", b"&".join([b"a=1"] * 20_000)])
def test_a_query_that_cannot_be_read(query: bytes) -> None:
    with pytest.raises(MalformedPayload):
        cells(query)


def test_headers_are_text_by_name() -> None:
    headers = Headers({b"accept": b"text/csv", b"x": "ü".encode("latin-1")})
    assert dict(headers) == {"accept": "text/csv", "x": "ü"}
    assert headers.get("absent") is None
    assert len(headers) == 2
