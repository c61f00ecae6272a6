"""A table as a pandas DataFrame, as the original model was fitted on one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from modelway.domain.signature import Column, Datatype
from modelway.domain.tables import Array, Table, filled, typed_array

Kind = Callable[[Array], Any]
"""How a table's array of one column becomes what a model was fitted on."""


def frame_of(
    table: Table, missing_text: object = np.nan, kinds: Mapping[int, Kind] = MappingProxyType({})
) -> pd.DataFrame:
    """The rows under the columns' own names; a missing text is ``missing_text``.

    Numbers stay float64, as they were in the training data that held missing ones too; text is of
    dtype object, dates are datetime64 without a zone. ``kinds`` are other ways, by position.

    Raises:
        InputRefused: a kind refuses a value.
    """
    columns = zip(table.signature.columns, table.arrays, strict=True)
    return pd.DataFrame(
        {
            c.name: kinds[i](array) if i in kinds else _series(c, array, missing_text)
            for i, (c, array) in enumerate(columns)
        },
        copy=False,
    )


def typed_frame_of(table: Table) -> pd.DataFrame:
    """As ``frame_of``, with every column in the dtype of its datatype and missing text as None."""
    columns = zip(table.signature.columns, table.arrays, strict=True)
    return pd.DataFrame(
        {c.name: _series(c, typed_array(array, c), None) for c, array in columns}, copy=False
    )


def class_indices(labels: Array, classes: Sequence[Any]) -> Array:
    """The position of every label in ``classes``, int64 (n_rows,); -1 for one that is not there."""
    places = {label: i for i, label in enumerate(classes)}
    found = [places.get(label, -1) for label in np.asarray(labels).ravel().tolist()]
    return np.array(found, dtype=np.int64)


def _series(column: Column, array: Array, missing_text: object) -> Any:
    if not column.is_text:
        return array.astype(bool) if _is_whole_bool(column, array) else array
    return pd.Series(filled(array, missing_text), dtype=object)


def _is_whole_bool(column: Column, array: Array) -> bool:
    """Whether a Boolean column is without gaps, so that pandas would have held it as bool."""
    return (
        column.datatype is Datatype.BOOL
        and array.dtype == np.float64
        and not bool(np.isnan(array).any())
    )
