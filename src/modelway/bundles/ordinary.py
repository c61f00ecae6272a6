"""Ordinary rows of a model: those of its training data, or made from what its signature says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import EXACT_INTEGER, NUMPY_DTYPES, Array, Table

Floats = npt.NDArray[np.float64]
Rows: TypeAlias = list[Array]
"""One array a column, in signature order."""

_MADE_ROWS = 300
_MOST_DECIMALS = 6
_WORDS = ("alpha", "beta", "gamma", "one two", "Three")
_SCALES = np.array([1.0, 10.0, 100.0, 1000.0])


class Ordinary:
    """Rows to start from, and what is known of their columns; draws with the generator given.

    ``numeric`` are the columns whose numbers may be other ones than those of the rows.
    """

    def __init__(
        self,
        signature: Signature,
        reference: Table | None,
        thresholds: Sequence[Floats],
        rng: np.random.Generator,
    ) -> None:
        self.columns = signature.columns
        self.rng = rng
        self.numeric = [i for i, c in enumerate(self.columns) if c.is_numeric and not c.closed]
        if reference is not None and reference.n_rows:
            self._rows: Rows = list(reference.arrays)
        else:
            self._rows = [self._made(c, t) for c, t in zip(self.columns, thresholds, strict=True)]
        self.n_rows = len(self._rows[0])

    def evenly(self, most: int) -> Rows:
        """At most so many of the rows, evenly over them."""
        places = np.linspace(0, self.n_rows - 1, min(most, self.n_rows)).round().astype(np.intp)
        return [array[places] for array in self._rows]

    def drawn(self, n: int) -> Rows:
        """Whole rows drawn at random, as fresh arrays."""
        places = self.rng.integers(0, self.n_rows, n)
        return [array[places] for array in self._rows]

    def repeated(self, n: int) -> Rows:
        """Rows drawn at random, every one three times in a row."""
        places = np.repeat(self.rng.integers(0, self.n_rows, n // 3 + 1), 3)[:n]
        return [array[places] for array in self._rows]

    def random(self, n: int) -> Rows:
        """Rows moved within their columns' spread, and rows put together from several.

        Every other moved row is as coarse as the rows are: there values meet again and again.
        """
        moved = self.drawn(n - n // 3)
        for i, column in enumerate(self.columns):
            n_moved = len(moved[i])
            if column.is_numeric and not self.is_chosen(i):
                by = self.rng.uniform(-1.0, 1.0, n_moved) * self._spread(i)
                fine = moved[i] + by
                coarse = np.round(fine, self._decimals(i))
                moved[i] = fitted(column, np.where(np.arange(n_moved) % 2, fine, coarse))
            elif column.is_text and not column.categories:
                moved[i] = self._reworded(moved[i])
        mixed = [self.rng.choice(array, n // 3) for array in self._rows]
        return [np.concatenate(pair) for pair in zip(moved, mixed, strict=True)]

    def is_chosen(self, i: int) -> bool:
        """Whether the column's numbers are names: Booleans and categories are not moved."""
        return self.columns[i].datatype in (Datatype.BOOL, Datatype.CATEGORICAL)

    def finite(self, i: int) -> Floats:
        """The finite values of a numeric column; a zero where there are none."""
        values = np.asarray(self._rows[i], dtype=np.float64)
        values = values[np.isfinite(values)]
        return values if len(values) else np.zeros(1)

    def pool(self, i: int) -> Array:
        """The texts of a text column: its categories and those of the rows."""
        known = self.columns[i].categories or ()
        return np.array([*known, *self._rows[i]], dtype=object)

    def _spread(self, i: int) -> float:
        spread = float(np.std(self.finite(i)))
        return spread if 0.0 < spread < np.inf else 1.0

    def _decimals(self, i: int) -> int:
        """How many decimals the values of a column are written with, as far as it matters."""
        values = self.finite(i)
        exact = (d for d in range(_MOST_DECIMALS) if np.array_equal(np.round(values, d), values))
        return next(exact, _MOST_DECIMALS)

    def _reworded(self, texts: Array) -> Array:
        """Words of each text and of another one, some left out, in their order."""
        others = self.rng.permutation(texts)
        found = texts.copy()
        for row, (text, other) in enumerate(zip(texts, others, strict=True)):
            if text is not None:
                words = f"{text} {other or ''}".split()
                kept = self.rng.random(len(words)) < 0.6
                found[row] = " ".join(w for w, keep in zip(words, kept, strict=True) if keep)
        return found

    def _made(self, column: Column, thresholds: Floats) -> Array:
        """Values of a column of which no training data is at hand."""
        if column.categories:
            kind = object if column.is_text else np.float64
            return self.rng.choice(np.array(column.categories, dtype=kind), _MADE_ROWS)
        if column.datatype is Datatype.DATETIME:
            days = self.rng.integers(0, 20_000, _MADE_ROWS)
            return days.astype("datetime64[D]").astype("datetime64[us]")
        if column.is_text:
            return self.rng.choice(np.array(_WORDS, dtype=object), _MADE_ROWS)
        return fitted(column, self._made_numbers(column, thresholds))

    def _made_numbers(self, column: Column, thresholds: Floats) -> Floats:
        low, high = column.minimum, column.maximum
        if low is None and high is None and len(thresholds):
            low, high = float(thresholds.min()), float(thresholds.max())
            reach = (high - low) / 4 or max(1.0, abs(low))
            low, high = low - reach, high + reach
        if low is None and high is None:
            scales = self.rng.choice(_SCALES, _MADE_ROWS)
            return np.asarray(self.rng.normal(size=_MADE_ROWS) * scales)
        low = min(0.0, high or 0.0) if low is None else low
        high = max(1.0, 2 * low) if high is None else high
        values = self.rng.uniform(low, high, _MADE_ROWS)
        values[:2] = low, high
        return values


def fitted(column: Column, values: Array) -> Floats:
    """Numbers as the column's datatype holds them: in its range, and rounded to it."""
    numbers = np.asarray(values, dtype=np.float64)
    if column.datatype is Datatype.BOOL:
        return np.where(np.isnan(numbers), np.nan, (numbers > 0).astype(np.float64))
    if column.datatype.is_float:
        dtype = NUMPY_DTYPES[column.datatype]
        largest = float(np.finfo(dtype).max)
        return np.clip(numbers, -largest, largest).astype(dtype).astype(np.float64)
    limits = np.iinfo(NUMPY_DTYPES.get(column.datatype, np.dtype(np.int64)))
    low, high = max(limits.min, -EXACT_INTEGER), min(limits.max, EXACT_INTEGER)
    return np.clip(np.round(numbers), low, high)
