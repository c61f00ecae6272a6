"""Formats of tables beside JSON, and which one a request brings and wants.

A body says what it is by Content-Type: JSON, which it also is where it says nothing, CSV, an Arrow
stream or a Parquet file. The answer is in the format that Accept likes best; where it likes several
alike, or is absent, in the format that the request came in, else in JSON.

Source: RFC 9110, sections 8.3 and 12.5.1; RFC 4180.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from modelway.domain.errors import (
    MalformedPayload,
    NotAcceptable,
    PayloadTooLarge,
    UnsupportedMedia,
)
from modelway.domain.tables import Array
from modelway.inference.decoding import Limits
from modelway.inference.validation import Checked, Validator
from modelway.settings import RestSettings

JSON_TYPE = "application/json"
CSV_TYPE = "text/csv"
ARROW_TYPE = "application/vnd.apache.arrow.stream"
PARQUET_TYPE = "application/vnd.apache.parquet"

Columns = Mapping[str, Sequence[Any] | Array]
"""Answers column by column; an array is of float64 or int64, all of them finite."""


@dataclass(frozen=True, slots=True)
class TableFormat:
    """A format that holds columns: how a body in it is read, and how answers are written in it.

    ``heavy``: never on the event loop, however small.
    """

    media_type: str
    read: Callable[[bytes, Validator], Checked]
    write: Callable[[Columns], bytes]
    heavy: bool

    @property
    def header(self) -> bytes:
        """The Content-Type of a body in this format."""
        return (
            f"{CSV_TYPE}; charset=utf-8" if self.media_type == CSV_TYPE else self.media_type
        ).encode()


class Formats:
    """The table formats that this installation reads and writes; None stands for JSON.

    Arrow and Parquet need pyarrow, which is imported here where it is installed, so that no request
    waits for it.
    """

    def __init__(self, settings: RestSettings) -> None:
        limits = Limits(settings.max_json_depth, settings.max_rows)
        formats = [
            TableFormat(CSV_TYPE, lambda b, v: read_csv(b, v, limits), write_csv, heavy=False)
        ]
        if importlib.util.find_spec("pyarrow") is not None:
            arrow = importlib.import_module("modelway.rest.arrow")
            formats += arrow.arrow_formats(limits, settings.max_body_bytes)
        self._by_type = {one.media_type: one for one in formats}
        self._offered: list[TableFormat | None] = [None, *formats]
        # Callers send few different headers, and the same ones again and again.
        self._known = lru_cache(_MOST_HEADERS)(self._chosen)

    def of_body(self, content_type: bytes | None) -> TableFormat | None:
        """The format that a Content-Type names.

        Raises:
            UnsupportedMedia: it is none of those read here, or its library is not installed.
        """
        if content_type is None:
            return None
        text = content_type.decode("latin-1").lower()
        kind = text.partition(";")[0].strip()
        found = _CHARSET.search(text)
        if found and found[1] not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedMedia(f"a body in {found[1][:40]} is not read here", hint="send UTF-8")
        if kind in (JSON_TYPE, "text/json") or (
            kind.startswith("application/") and kind.endswith("+json")
        ):
            return None
        if kind in self._by_type:
            return self._by_type[kind]
        if kind in (ARROW_TYPE, PARQUET_TYPE):
            raise UnsupportedMedia(f"{kind} needs pyarrow, which is not installed", hint=_EXTRA)
        offered = ", ".join((JSON_TYPE, *self._by_type))
        raise UnsupportedMedia(
            f"a body of {kind[:80] or 'no type'!r} is not read here",
            hint=f"send one of {offered} and say so in content-type",
        )

    def wanted(self, accept: bytes | None, came: TableFormat | None) -> TableFormat | None:
        """The format of the answer, by the Accept header and the format of the request.

        Raises:
            NotAcceptable: Accept takes none of those written here.
        """
        if accept is None or accept == b"*/*":
            return came
        return (self._known if len(accept) <= _KNOWN_BYTES else self._chosen)(accept, came)

    def takes(self, accept: bytes | None, one: TableFormat) -> bool:
        """Whether Accept takes a format at all."""
        return accept is None or _liking(_ranges(accept), one.media_type) > 0.0

    def _chosen(self, accept: bytes, came: TableFormat | None) -> TableFormat | None:
        ranges = _ranges(accept)
        candidates = [came, *(one for one in self._offered if one is not came)]
        best, chosen = 0.0, came
        for one in candidates:
            liked = _liking(ranges, JSON_TYPE if one is None else one.media_type)
            if liked > best:
                best, chosen = liked, one
        if best == 0.0:
            missing = any(kind in (ARROW_TYPE, PARQUET_TYPE) for kind, _ in ranges)
            offered = ", ".join((JSON_TYPE, *self._by_type))
            raise NotAcceptable(
                f"nothing that accept names is written here; there is: {offered}",
                hint=_EXTRA if missing and ARROW_TYPE not in self._by_type else None,
            )
        return chosen


def read_csv(body: bytes, validator: Validator, limits: Limits) -> Checked:
    """A header and rows of comma-separated text; lines without any cell are passed over.

    Raises:
        MalformedPayload: it is not UTF-8, not CSV, or has no header.
        PayloadTooLarge: there are too many rows.
        SignatureMismatch: values do not fit, or a row is longer or shorter than the header.
    """
    rows: list[list[str]] = []
    try:
        reader = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        for cells in reader:
            if cells:
                rows.append(cells)
            if len(rows) > limits.max_rows + 1:
                raise PayloadTooLarge(
                    f"there are too many rows; at most {limits.max_rows} are taken"
                )
    except UnicodeDecodeError as error:
        raise MalformedPayload(f"the body is not UTF-8: {error.reason}") from None
    except csv.Error as error:
        raise MalformedPayload(f"line {reader.line_num} is not CSV: {error}") from None
    if not rows:
        raise MalformedPayload("the body is empty", hint="its first line must name the columns")
    header = rows.pop(0)
    return validator.texts(header, rows)


def write_csv(columns: Columns) -> bytes:
    """Columns as CSV; a missing value is an empty cell, a nested one is JSON."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    lists = [
        values.tolist() if isinstance(values, np.ndarray) else values for values in columns.values()
    ]
    cells = [values if _is_plain(values) else list(map(plain_cell, values)) for values in lists]
    writer.writerows(zip(*cells, strict=True))
    return text.getvalue().encode("utf-8", "replace")


def plain_cell(value: Any) -> Any:
    """A value as text or number; Booleans as in JSON, what is nested as JSON."""
    if type(value) in _PLAIN_TYPES:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return str(value)


_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s;"]*)')
_EXTRA = "pip install 'modelway[arrow]'"
_MOST_RANGES = 50
_MOST_HEADERS = 256
_KNOWN_BYTES = 1000
_Q = re.compile(r";\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*(?:;|$)")
_PLAIN_TYPES = frozenset((str, int, float, type(None)))


def _ranges(accept: bytes) -> list[tuple[str, float]]:
    """The media ranges of an Accept header."""
    text = accept.decode("latin-1").lower()
    return [_quality(one) for one in text.split(",")[:_MOST_RANGES]]


def _quality(text: str) -> tuple[str, float]:
    """A media range and how much it is liked, from 0 to 1."""
    found = _Q.search(text)
    return text.partition(";")[0].strip(), float(found[1]) if found else 1.0


def _liking(ranges: Sequence[tuple[str, float]], media_type: str) -> float:
    """How much a media type is liked; the range that fits it most closely decides."""
    liked = dict(ranges)
    for kind in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        if kind in liked:
            return liked[kind]
    return 0.0


def _is_plain(values: Sequence[Any]) -> bool:
    return _PLAIN_TYPES.issuperset(map(type, values))
