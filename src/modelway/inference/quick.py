"""The quick path for JSON: a msgspec type made from the signature reads a usual request at once.

The type holds the datatypes, the training range and the categories, so a single row that decodes
has nothing left to check. Whatever does not decode (a missing column, a wrong type, an unseen
category, a name beside an alias) is not judged here: the full path looks at it again and says
what is wrong. Both give the same table; a property test holds them to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from modelway.bundles.manifest import MISSING_TEXT
from modelway.domain.errors import PayloadTooLarge
from modelway.domain.signature import Datatype
from modelway.domain.tables import Array, Table
from modelway.inference.cells import CellReader, Roundings, read_datetime
from modelway.inference.decoded import Decoded
from modelway.inference.validation import Validator

_REFUSED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_MOST_COLUMNS = 2000
_LITERAL_INTEGERS = 2**63

Values = tuple[Any, ...]


class QuickDecoder:
    """Decodes usual requests for one tabular signature; gives None for every other."""

    def __init__(self, validator: Validator) -> None:
        columns = validator.signature.columns
        names = [column.name for column in columns]
        aliases = [column.alias for column in columns]
        self._validator = validator
        self._signature = validator.signature
        self._numeric = validator.signature.is_numeric
        self._roundings = Roundings(validator.readers)
        self._texts = [i for i, c in enumerate(columns) if c.is_text]
        readers = validator.readers
        forms = [aliases, names] if names != aliases else [names]
        self._singles = _Forms([_row_type(readers, keys, seen=True) for keys in forms])
        self._lists = _Forms([list[_row_type(readers, keys, seen=False)] for keys in forms])  # type: ignore[misc] # a type made at run time
        self._frame = (
            _decoder(_frame_type(readers)) if "columns" not in (*names, *aliases) else None
        )
        self._orders = (names, aliases)

    def decode(self, body: bytes, max_rows: int) -> Decoded | None:
        """What the body holds; None if it is unusual.

        Raises:
            PayloadTooLarge: there are more than ``max_rows`` rows.
        """
        first = body[:1]
        if first == b"{":
            if self._frame is not None and body.startswith(b'{"columns"'):
                return self._of_frame(self._frame, body, max_rows)
            return self.row(body)
        if first == b"[":
            rows = self._lists.read(body)
            if rows:
                return self._many([msgspec.structs.astuple(row) for row in rows], max_rows)
        return None

    def row(self, body: bytes) -> Decoded | None:
        """The row that the body holds; None if it holds no single one, or an unusual one."""
        row = self._singles.read(body)
        if row is None:
            return None
        cells = [msgspec.structs.astuple(row)]
        if self._numeric and not self._roundings:
            return Decoded(Table(self._signature, 1, cells=cells), True)
        table = self._table(cells)
        return None if table is None else Decoded(table, True)

    def _of_frame(
        self, decode: Callable[[bytes], Any], body: bytes, max_rows: int
    ) -> Decoded | None:
        try:
            frame = decode(body)
        except _REFUSED:
            return None
        if frame.columns not in self._orders or not frame.data:
            return None
        return self._many([msgspec.structs.astuple(row) for row in frame.data], max_rows)

    def _many(self, rows: list[Values], max_rows: int) -> Decoded | None:
        if len(rows) > max_rows:
            raise PayloadTooLarge(f"{len(rows)} rows are too many; at most {max_rows} are taken")
        table = self._table(rows)
        if table is None:
            return None
        warnings = self._validator.seen(table)
        return None if warnings is None else Decoded(table, False, warnings)

    def _table(self, rows: list[Values]) -> Table | None:
        if self._numeric:
            matrix = self._roundings.of(np.array(rows, dtype=np.float64))
            return Table(self._signature, len(rows), matrix=matrix)
        columns = list(zip(*rows, strict=True))
        for position in self._texts:
            if any(v is not None and MISSING_TEXT in v for v in columns[position]):
                return None
        arrays = []
        for reader, values in zip(self._validator.readers, columns, strict=True):
            array = _array(reader, values)
            if array is None:
                return None
            arrays.append(array)
        return Table(self._signature, len(rows), arrays=arrays)


def quick_decoder(validator: Validator) -> QuickDecoder | None:
    """The quick decoder for a signature; None where msgspec cannot express it.

    That is tensors, very many columns, and column names with quotes or control characters.
    """
    signature = validator.signature
    if not signature.is_tabular or len(signature.columns) > _MOST_COLUMNS:
        return None
    try:
        return QuickDecoder(validator)
    except (TypeError, ValueError):
        return None


def _array(reader: CellReader, values: Values) -> Array | None:
    if reader.column.is_text:
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array
    if reader.column.datatype is Datatype.DATETIME:
        moments = [np.datetime64("NaT") if v is None else read_datetime(v) for v in values]
        return None if None in moments else np.array(moments, dtype="datetime64[us]")
    numbers = np.array(values, dtype=np.float64)
    if reader.rounding is not None:
        numbers = numbers.astype(reader.rounding).astype(np.float64)
    return numbers


class _Forms:
    """Decoders of the same rows under different keys: by alias and by name.

    A service's callers use one of them and seldom both, so the one that worked last is tried first.
    """

    __slots__ = ("_decoders",)

    def __init__(self, kinds: Sequence[Any]) -> None:
        self._decoders = tuple(_decoder(kind) for kind in kinds)

    def read(self, body: bytes) -> Any:
        """What the body holds; None if no decoder reads it."""
        for place, decode in enumerate(self._decoders):
            try:
                found = decode(body)
            except _REFUSED:
                continue
            if place:  # one assignment, so that threads see the old order or the new one
                self._decoders = self._decoders[::-1]
            return found
        return None


def _decoder(kind: Any) -> Callable[[bytes], Any]:
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(kind).decode
    return decode


def _row_type(readers: Sequence[CellReader], keys: Sequence[str], *, seen: bool) -> type:
    """A struct with the columns' types under these keys.

    Where ``seen``, it refuses what was not seen in training.
    """
    fields: list[Any] = []
    for reader in readers:
        name, kind = f"f{reader.position}", _value_type(reader, seen=seen)
        is_seen = seen and reader.column.was_never_missing
        fields.append(
            (name, kind, None) if reader.column.optional and not is_seen else (name, kind)
        )
    return msgspec.defstruct(
        "Row",
        fields,
        rename={f"f{i}": key for i, key in enumerate(keys)},
        forbid_unknown_fields=True,
        kw_only=True,
        gc=False,
    )


def _frame_type(readers: Sequence[CellReader]) -> type:
    """Columns and data (and the index that pandas puts there) with the columns in their order."""
    fields = [(f"f{r.position}", _value_type(r, seen=False)) for r in readers]
    row = msgspec.defstruct("Cells", fields, array_like=True, forbid_unknown_fields=True, gc=False)
    return msgspec.defstruct(
        "Frame",
        [("columns", list[str]), ("data", list[row]), ("index", msgspec.Raw, msgspec.Raw())],  # type: ignore[valid-type] # a type made at run time
        forbid_unknown_fields=True,
    )


def _value_type(reader: CellReader, *, seen: bool) -> Any:
    column = reader.column
    kind: Any
    if column.categories and seen:
        if any(isinstance(c, int) and abs(c) >= _LITERAL_INTEGERS for c in column.categories):
            raise ValueError("a category is beyond 64 bits")
        kind = Literal[tuple(column.categories)]
    elif column.datatype is Datatype.BOOL:
        kind = bool
    elif column.is_text or column.datatype is Datatype.DATETIME:
        kind = str
    else:
        low, high = reader.lowest, reader.highest
        if seen and column.datatype.is_number and not column.categories:
            low = max(low, -math.inf if column.minimum is None else column.minimum)
            high = min(high, math.inf if column.maximum is None else column.maximum)
        kind = _number_type(low, high, whole=not column.datatype.is_float)
    return kind | None if column.nullable and not (seen and column.was_never_missing) else kind


def _number_type(low: float, high: float, *, whole: bool) -> Any:
    if low > high:
        raise ValueError("no value is within the range")
    if whole:
        return Annotated[int, msgspec.Meta(ge=math.ceil(low), le=math.floor(high))]
    return Annotated[float, msgspec.Meta(ge=low, le=high)]
