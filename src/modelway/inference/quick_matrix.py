"""The quick path for a matrix of numbers: a usual one is checked as a whole, not column by column.

What is not within the datatypes and the training range (NaN too) is not judged here: the validator
looks at it again and says what is wrong or unusual. Both give the same table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from modelway.domain.tables import Array, Table
from modelway.inference.cells import CellReader, Roundings
from modelway.inference.validation import Validator

Floats = npt.NDArray[np.float64]

_FEW = 64


class QuickMatrix:
    """Makes tables of usual matrices for one signature; gives None for every other."""

    def __init__(self, validator: Validator) -> None:
        columns = validator.signature.columns
        readers = validator.readers
        self._signature = validator.signature
        self._fits = all(c.datatype.is_number and not c.categories for c in columns)
        held = [(reader.lowest, reader.highest) for reader in readers]
        seen = [_range(reader) for reader in readers]
        self._held = _limits(held)
        # What is rounded is compared with what was seen in training after it.
        self._roundings = Roundings(readers)
        self._seen = _limits(seen)
        if not self._roundings:
            self._held = self._seen = _limits(
                [(max(a, c), min(b, d)) for (a, b), (c, d) in zip(held, seen, strict=True)]
            )
        self._whole = [r.position for r in readers if not r.column.datatype.is_float]
        low, high = self._held
        self._limits = list(zip(low.tolist(), high.tolist(), strict=True))

    def table(self, matrix: Array) -> Table | None:
        """The table of a matrix of shape (n_rows, n_columns), copied only where it must be."""
        kind = matrix.dtype.kind
        if not self._fits or kind not in "fiu":
            return None
        values: Floats = np.ascontiguousarray(matrix, dtype=np.float64)
        if values.size <= _FEW and not self._roundings:
            return Table(self._signature, len(values), matrix=values) if self._few(values) else None
        if not _within(values, self._held):
            return None
        if kind == "f" and self._whole:
            some = values[:, self._whole]
            if not np.logical_and.reduce(np.floor(some) == some, axis=None):
                return None
        if self._roundings:
            values = self._roundings.of(values.copy())
            if not _within(values, self._seen):
                return None
        return Table(self._signature, len(values), matrix=values)

    def table_of_columns(self, columns: Mapping[str, Array | Sequence[object]]) -> Table | None:
        """The table of arrays of shape (n_rows,) by name or alias, each column there once."""
        if not self._fits or len(columns) != len(self._signature.columns):
            return None
        places = [self._signature.positions.get(name) for name in columns]
        if len(set(places)) != len(places):
            return None
        matrix: Floats | None = None
        for place, column in zip(places, columns.values(), strict=True):
            if (
                place is None
                or not isinstance(column, np.ndarray)
                or column.dtype.kind not in "fiu"
            ):
                return None
            if matrix is None:
                matrix = np.empty((len(column), len(columns)))
            matrix[:, place] = column
        return None if matrix is None else self.table(matrix)

    def _few(self, values: Floats) -> bool:
        """Whether all of a few values fit; Python's own comparison is the quicker one for them."""
        for row in values.tolist():
            for value, (low, high) in zip(row, self._limits, strict=True):
                if not low <= value <= high:
                    return False
            for position in self._whole:
                if row[position] != row[position] // 1:
                    return False
        return True


def _range(reader: CellReader) -> tuple[float, float]:
    """The range seen in training, rounded as the column's values are."""
    column = reader.column
    low = -math.inf if column.minimum is None else column.minimum
    high = math.inf if column.maximum is None else column.maximum
    if reader.rounding is None:
        return low, high
    with np.errstate(over="ignore"):
        return tuple(np.array([low, high]).astype(reader.rounding).astype(np.float64).tolist())


def _limits(pairs: list[tuple[float, float]]) -> tuple[Floats, Floats]:
    """The lowest and the highest value of each column, each of shape (n_columns,)."""
    lows, highs = zip(*pairs, strict=True)
    return np.array(lows, dtype=np.float64), np.array(highs, dtype=np.float64)


def _within(values: Floats, limits: tuple[Floats, Floats]) -> bool:
    """Whether every value is within the limits of its column; NaN never is."""
    low, high = limits
    both = np.greater_equal(values, low)
    np.logical_and(both, np.less_equal(values, high), out=both)
    return bool(np.logical_and.reduce(both, axis=None))
