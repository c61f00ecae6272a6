"""Sample inputs for a signature: a valid row, to warm a model up and to show its callers.

The middle of each column's range, its first category; nothing drawn at random.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from modelway.domain.signature import Column, Datatype, Scalar, Signature, TensorSpec
from modelway.domain.tables import NUMPY_DTYPES, Array, Table
from modelway.inference.cells import bounds
from modelway.inference.validation import Validator

_SAMPLE_TEXT = "text"
_SAMPLE_TIME = "2024-05-17T12:30:00Z"


def sample_row(signature: Signature) -> dict[str, Scalar]:
    """One valid value for each column, by name; of tensors see ``sample_inputs``."""
    return {column.name: _sample_value(column) for column in signature.columns}


def sample_inputs(signature: Signature) -> dict[str, object]:
    """One valid nested array for each tensor, by name, with one row on its first axis."""
    return {spec.name: _sample_tensor(spec).tolist() for spec in signature.tensors}


def sample_table(signature: Signature) -> Table:
    """One valid row as a table."""
    if signature.is_tabular:
        row: Mapping[str, object] = sample_row(signature)
        return Validator(signature, strict=False).row(row).table
    arrays = [_sample_tensor(spec) for spec in signature.tensors]
    return Table(signature, len(arrays[0]) if arrays[0].ndim else 1, arrays=arrays)


def _sample_value(column: Column) -> Scalar:
    if column.categories:
        return column.categories[0]
    if column.datatype is Datatype.BOOL:
        return False
    if column.datatype is Datatype.DATETIME:
        return _SAMPLE_TIME
    if column.is_text:
        return _SAMPLE_TEXT
    value = _middle(column)
    return value if column.datatype.is_float else math.floor(value)


def _middle(column: Column) -> float:
    """The middle of the range, in as few digits as lie within it."""
    lowest, highest = bounds(column)
    low = column.minimum if column.minimum is not None else min(1.0, column.maximum or 1.0)
    high = column.maximum if column.maximum is not None else max(low, 1.0)
    low, high = max(low, lowest), min(high, highest)
    middle = low / 2 + high / 2
    for digits in range(1, 17):
        short = float(f"{middle:.{digits}g}")
        near = abs(short - middle) <= (high - low) / 20
        if low <= short <= high and (near or high == low):
            return short
    return middle


def _sample_tensor(spec: TensorSpec) -> Array:
    shape = [1 if n < 0 else n for n in spec.shape]
    dtype = NUMPY_DTYPES.get(spec.datatype, np.dtype(object))
    if dtype == np.dtype(object):
        return np.full(shape, _SAMPLE_TEXT, dtype=object)
    return np.zeros(shape, dtype=dtype)
