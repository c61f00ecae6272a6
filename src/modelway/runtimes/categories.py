"""Columns of categories that a booster was fitted on: which value has which code.

A DataFrame gives such a column to a library as codes, positions in the list of its categories, and
the library keeps the lists. A request has values, so the list stands between it and the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from modelway.domain.errors import InputRefused, LoadFailed
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import EXACT_INTEGER, Array, Table


@dataclass(frozen=True, slots=True)
class Categories:
    """One column's categories: all text, all numbers or all Booleans, by code.

    ``is_closed``: the library refuses any other value, which else is as good as a missing one.
    """

    values: pd.Index[Any]
    is_closed: bool

    def column(self, name: str, position: int) -> Column:
        """The column as callers see it; any value may be missing."""
        column = Column(name, name, Datatype.FP64, nullable=True)
        listed: list[Any] = self.values.tolist()
        if isinstance(listed[0], bool):
            return Column(name, column.alias, Datatype.BOOL, nullable=True)
        if not isinstance(listed[0], str):
            if any(value != int(value) for value in listed):
                return column
            listed = [int(value) for value in listed]
        return Column(
            name,
            column.alias,
            Datatype.CATEGORICAL,
            nullable=True,
            categories=tuple(listed),
            closed=self.is_closed,
        )

    def codes(self, array: Array) -> Array:
        """The codes of a table's values, int64 (n_rows,); -1 for a missing one.

        Raises:
            InputRefused: a value is none of the categories, and the library refuses such.
        """
        places = {value: code for code, value in enumerate(self.values.tolist())}
        codes = np.array([places.get(value, -1) for value in array.tolist()], dtype=np.int64)
        if self.is_closed and bool(np.any((codes < 0) & ~pd.isna(array))):
            raise InputRefused("the model refuses a category that it was not fitted on")
        return codes

    def series(self, array: Array) -> pd.Series[Any]:
        """A table's values as the library takes them in a DataFrame."""
        return pd.Series(pd.Categorical.from_codes(self.codes(array), categories=self.values))


def categories(name: str, listed: Sequence[Any] | pd.Index[Any], *, is_closed: bool) -> Categories:
    """The categories of the column ``name``, from the library's list of them.

    Raises:
        LoadFailed: a request cannot hold them.
    """
    kinds = {type(value) for value in listed}
    is_number = kinds <= {int, float} and all(abs(v) <= EXACT_INTEGER for v in listed)
    if not kinds or not (is_number or kinds in ({str}, {bool})):
        raise LoadFailed(
            f"the categories of column {name!r} are neither texts nor numbers alike",
            hint="fit the model on categories that are all text, or all whole numbers",
        )
    return Categories(pd.Index(listed), is_closed)


def signature_with(names: Sequence[str], known: Mapping[int, Categories]) -> Signature:
    """Columns that may be missing, of numbers where there are no categories."""
    return Signature(
        tuple(
            known[i].column(name, i)
            if i in known
            else Column(name, name, Datatype.FP64, nullable=True)
            for i, name in enumerate(names)
        )
    )


def coded_matrix(table: Table, known: Mapping[int, Categories]) -> Array:
    """The rows as float64 (n_rows, n_columns): the codes of categories, NaN for a missing one.

    Raises:
        InputRefused: a library refuses a value that is none of its categories.
    """
    if not known:
        return table.matrix
    columns = list(table.arrays)
    for i, one in known.items():
        codes = one.codes(columns[i])
        columns[i] = np.where(codes < 0, np.nan, codes)
    return np.stack(columns, axis=1).astype(np.float64)


def whole_or_text(array: Array) -> Array:
    """Categories as CatBoost takes them: text as it is, numbers as int64.

    Raises:
        InputRefused: one is missing or a fraction, which CatBoost takes for none.
    """
    if array.dtype == object:
        return array
    whole = np.isfinite(array) & (np.floor(array) == array)
    if not whole.all():
        raise InputRefused("the model refuses a category that is missing or no whole number")
    return array.astype(np.int64)
