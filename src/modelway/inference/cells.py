"""The cells of one column: from what was sent to the array that a table holds.

Whole columns are read at once. What is usual goes through numpy; only a column in which something
is wrong is looked at cell by cell, to say which and why. A cell with a fault becomes a missing one,
so that the checks after it do not trip over it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from modelway.bundles.manifest import MISSING_TEXT
from modelway.domain.signature import Column, Datatype
from modelway.domain.tables import EXACT_INTEGER, NUMPY_DTYPES, Array, missing
from modelway.inference.findings import Findings, number_text, shown

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

ABSENT: Final = object()
"""Stands where a request has nothing for a column, not even null."""

_NUMBER_TEXT = re.compile(r"[0-9eE+\-.]*")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_LISTED_CATEGORIES = 10


class CellReader:
    """Reads the cells of one column; every method gives an array of shape (n_rows,).

    Faults and warnings go to the findings under the column's ``position`` in the signature.
    Where ``strict``, what was not seen in training is a fault. Where ``binary``, cells of BYTES may
    be bytes; the BYTES of tensors are text.
    """

    def __init__(
        self, column: Column, position: int, *, strict: bool, binary: bool = False
    ) -> None:
        self.column = column
        self.position = position
        self.lowest, self.highest = bounds(column)
        self._is_binary = binary and column.datatype is Datatype.BYTES
        self.rounding = _rounding(column)
        self.expected = _expected(column)
        self.expected_cell = f"{self.expected}, or null" if column.nullable else self.expected
        self._strict_category = strict or column.closed
        self._strict_range = strict
        self._new_if_missing = column.nullable and column.was_never_missing
        self._categories = frozenset(column.categories or ())
        self._range = None if self._categories else _training_range(column)

    def values(self, values: Sequence[object], findings: Findings) -> Array:
        """From JSON values: no text for numbers, no Booleans for numbers."""
        if self.column.datatype is Datatype.DATETIME:
            return self._dates(values, findings)
        if self.column.is_text:
            return self._texts(values, findings)
        usual = _BOOLEAN_TYPES if self.column.datatype is Datatype.BOOL else _NUMBER_TYPES
        if usual.issuperset(map(type, values)):
            try:
                array = np.array(values, dtype=np.float64)
            except OverflowError:
                array = self._each(values, self._number, findings)
        else:
            array = self._each(values, self._number, findings)
        return self._checked(array, values, findings)

    def texts(self, cells: Sequence[str], findings: Findings) -> Array:
        """From text (CSV, a query); an empty cell is a missing one."""
        if self.column.is_text or self.column.datatype is Datatype.DATETIME:
            return self.values([cell or ABSENT for cell in cells], findings)
        stripped = [cell.strip() for cell in cells]
        sent: list[object] = [cell or ABSENT for cell in stripped]
        if self.column.datatype is not Datatype.BOOL and _NUMBER_TEXT.fullmatch("".join(stripped)):
            try:
                numbers = [float(cell) if cell else math.nan for cell in stripped]
                return self._checked(np.array(numbers, dtype=np.float64), sent, findings)
            except ValueError:
                pass  # a cell such as "1-2": said below, with its row
        return self._checked(self._each(sent, self._parsed, findings), sent, findings)

    def array(self, array: Array, findings: Findings) -> Array:
        """From a numpy array, as columnar formats give it; NaN and NaT are missing values."""
        kind = array.dtype.kind
        if self.column.datatype is Datatype.DATETIME and kind == "M":
            dates = array.astype("datetime64[us]")
            self._no_missing(np.isnat(dates), array, findings)
            return dates
        is_bool = self.column.datatype is Datatype.BOOL
        if self.column.is_numeric and (kind == "b" if is_bool else kind in "iuf"):
            return self._checked(array.astype(np.float64), array, findings)
        values = array.tolist()
        return self.values([None if v != v else v for v in values], findings)

    def missing(self, n_rows: int) -> Array:
        """An array of nothing but missing values."""
        if self.column.is_numeric:
            return np.full(n_rows, np.nan)
        if self.column.datatype is Datatype.DATETIME:
            return np.full(n_rows, np.datetime64("NaT"), dtype="datetime64[us]")
        return np.full(n_rows, None, dtype=object)

    def check_seen(self, array: Array, findings: Findings) -> None:
        """Report what was not seen in training: as faults where that is refused, else warnings."""
        for code, expected, mask, is_refused in self._unseen(array):
            for row in np.flatnonzero(mask).tolist():
                received = _cell_text(array[row])
                if is_refused:
                    findings.fault(row, self.position, code, received, expected)
                else:
                    findings.warn(row, self.column.name, code, received, expected)

    def _unseen(self, array: Array) -> Iterator[tuple[str, str, Mask, bool]]:
        """What was not seen in training: code, what was, which rows, whether it is refused."""
        if self._new_if_missing:
            mask = missing(array)
            if mask.any():
                # Where it is refused the column is not nullable, and it was refused before.
                yield "unseen-missing", "a value, as in every row of the training", mask, False
        if self._categories:
            if array.dtype == object:
                known = self._categories
                mask = np.fromiter((v is not None and v not in known for v in array), bool)
            else:
                mask = ~(np.isin(array, list(self._categories)) | np.isnan(array))
            if mask.any():
                yield "unseen-category", self._category_text(), mask, self._strict_category
        elif self._range is not None:
            low, high = self._range
            mask = (array < low) | (array > high)
            if mask.any():
                text = f"a value from {number_text(low)} to {number_text(high)}, as in training"
                yield "out-of-range", text, mask, self._strict_range

    def _category_text(self) -> str:
        categories = self.column.categories or ()
        some = ", ".join(shown(c) for c in categories[:_LISTED_CATEGORIES])
        more = len(categories) - _LISTED_CATEGORIES
        return f"one of {some}" + (f" and {more} more" if more > 0 else "")

    def _checked(self, array: Floats, sent: Any, findings: Findings) -> Floats:
        """``array`` with everything refused that the datatype cannot hold, and rounded to it.

        ``sent`` has what came for each row, for the messages.
        """
        missing = np.isnan(array)
        if missing.any():
            self._no_missing(missing, sent, findings)
        if self.column.datatype is Datatype.BOOL:
            return array
        bad = (array < self.lowest) | (array > self.highest)
        if not self.column.datatype.is_float:
            bad |= (np.floor(array) != array) & ~missing
        if bad.any():
            array = self._refused(array, bad, sent, findings)
        if self.rounding is not None:
            array = array.astype(self.rounding).astype(np.float64)
        return array

    def _no_missing(self, missing: Mask, sent: Any, findings: Findings) -> None:
        if self.column.nullable or not missing.any():
            return
        for row in np.flatnonzero(missing).tolist():
            value = sent[row]
            if value is ABSENT:
                findings.fault(row, self.position, "missing", None, self.expected)
            elif value is None or value != value:
                findings.fault(row, self.position, "missing", "null", self.expected)

    def _refused(self, array: Floats, bad: Mask, sent: Any, findings: Findings) -> Floats:
        outside = (array < self.lowest) | (array > self.highest)
        for row in np.flatnonzero(bad).tolist():
            expected = self.expected
            if outside[row] and not self.column.datatype.is_float:
                expected = f"a whole number from {self.lowest:.0f} to {self.highest:.0f}"
            received = _cell_text(sent[row])
            findings.fault(row, self.position, "wrong-value", received, expected)
        return np.where(bad, np.nan, array)

    def _each(
        self, cells: Sequence[Any], read: Callable[[Any], float | None], findings: Findings
    ) -> Floats:
        """Cell by cell; what ``read`` refuses with None is a fault."""
        array = np.full(len(cells), np.nan)
        for row, cell in enumerate(cells):
            if cell is None or cell is ABSENT:
                continue
            number = read(cell)
            if number is None:
                findings.fault(row, self.position, "wrong-type", shown(cell), self.expected)
            else:
                array[row] = number
        return array

    def _number(self, value: object) -> float | None:
        kind = type(value)
        if self.column.datatype is Datatype.BOOL:
            return float(bool(value)) if kind is bool else None
        if kind is float:
            return value  # type: ignore[return-value] # narrowed by its exact type
        if kind is not int:
            return None
        try:
            return float(value)  # type: ignore[arg-type] # narrowed by its exact type
        except OverflowError:
            return math.inf

    def _parsed(self, cell: str) -> float | None:
        if self.column.datatype is Datatype.BOOL:
            found = _BOOLEANS.get(cell.lower())
            return None if found is None else float(found)
        if not _NUMBER_TEXT.fullmatch(cell):
            return None
        try:
            return float(cell)
        except ValueError:
            return None

    def _texts(self, values: Sequence[object], findings: Findings) -> Array:
        array = np.full(len(values), None, dtype=object)
        for row, value in enumerate(values):
            is_text = type(value) is str and MISSING_TEXT not in value
            if is_text or (self._is_binary and type(value) is bytes):
                array[row] = value
            elif value is None or value is ABSENT:
                if not self.column.nullable:
                    received = "null" if value is None else None
                    findings.fault(row, self.position, "missing", received, self.expected)
            else:
                code = "wrong-value" if isinstance(value, str) else "wrong-type"
                findings.fault(row, self.position, code, shown(value), self.expected)
        return array

    def _dates(self, values: Sequence[object], findings: Findings) -> Array:
        array = np.full(len(values), np.datetime64("NaT"), dtype="datetime64[us]")
        for row, value in enumerate(values):
            if value is None or value is ABSENT:
                if not self.column.nullable:
                    received = "null" if value is None else None
                    findings.fault(row, self.position, "missing", received, self.expected)
                continue
            moment = read_datetime(value)
            if moment is None:
                findings.fault(row, self.position, "wrong-type", shown(value), self.expected)
            else:
                array[row] = moment
        return array


def read_datetime(value: object) -> np.datetime64 | None:
    """An ISO 8601 text, or a datetime, as datetime64[us] in UTC; None if it is none.

    A time without an offset is taken as UTC; ``t`` and ``z`` may be small (RFC 3339, section 5.6).
    """
    try:
        moment = datetime.fromisoformat(value.upper()) if isinstance(value, str) else value
        if not isinstance(moment, datetime):
            return None
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
        return np.datetime64(moment, "us")
    except (ValueError, OverflowError):
        return None


def bounds(column: Column) -> tuple[float, float]:
    """The lowest and highest number that the column's datatype holds exactly as sent."""
    datatype = column.datatype
    if datatype.is_float:
        largest = float(np.finfo(NUMPY_DTYPES[datatype]).max)
        return -largest, largest
    if datatype.is_integer:
        limits = np.iinfo(NUMPY_DTYPES[datatype])
        return float(max(limits.min, -EXACT_INTEGER)), float(min(limits.max, EXACT_INTEGER))
    return -float(EXACT_INTEGER), float(EXACT_INTEGER)


_NUMBER_TYPES = frozenset((int, float, type(None)))
_BOOLEAN_TYPES = frozenset((bool, type(None)))


def _rounding(column: Column) -> np.dtype[Any] | None:
    """The dtype to which numbers of the column are rounded; None where they stay as they are."""
    if column.datatype in (Datatype.FP16, Datatype.FP32):
        return NUMPY_DTYPES[column.datatype]
    return None


def _training_range(column: Column) -> tuple[float, float] | None:
    """The range seen in training, rounded as the column's values are."""
    if not column.datatype.is_number or (column.minimum is None and column.maximum is None):
        return None
    low = -math.inf if column.minimum is None else column.minimum
    high = math.inf if column.maximum is None else column.maximum
    rounding = _rounding(column)
    if rounding is None:
        return low, high
    with np.errstate(over="ignore"):
        return float(np.float64(low).astype(rounding)), float(np.float64(high).astype(rounding))


def _expected(column: Column) -> str:
    """What a value of the column is, in words."""
    datatype = column.datatype
    if datatype is Datatype.DATETIME:
        return "a date and time such as 2024-05-17T12:30:00Z"
    if datatype is Datatype.BOOL:
        return "true or false"
    if column.is_text:
        return "text"
    if datatype in (Datatype.FP32, Datatype.FP16):
        low, high = bounds(column)
        return f"a number within ±{high:.4g}"
    if datatype.is_float:
        return "a number"
    if datatype is Datatype.UINT64:
        return "a whole number from 0"
    if datatype in (Datatype.CATEGORICAL, Datatype.INT64):
        return "a whole number"
    low, high = bounds(column)
    return f"a whole number from {low:.0f} to {high:.0f}"


def _cell_text(value: Any) -> str:
    """A cell, sent or as numpy has it, in at most 80 characters."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value != value:
        return "null"
    if isinstance(value, float) and math.isfinite(value):
        return number_text(value)
    return shown(value)


class Roundings:
    """The columns of a matrix whose values are rounded to what their datatype holds."""

    def __init__(self, readers: Sequence[CellReader]) -> None:
        by_dtype: dict[Any, list[int]] = {}
        for reader in readers:
            if reader.rounding is not None:
                by_dtype.setdefault(np.dtype(reader.rounding), []).append(reader.position)
        self._by_dtype = list(by_dtype.items())
        self._width = len(readers)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._by_dtype)

    def of(self, matrix: Floats) -> Floats:
        """The matrix (n_rows, n_columns), in which they are rounded in place."""
        for dtype, positions in self._by_dtype:
            if len(positions) == self._width:
                return matrix.astype(dtype).astype(np.float64)
            matrix[:, positions] = matrix[:, positions].astype(dtype)
        return matrix
