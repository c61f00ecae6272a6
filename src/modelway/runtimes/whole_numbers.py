"""Whole numbers, given to a model as it was fitted on them.

A table holds every number as float64, but a model that was fitted on int64 may tell the two apart:
as text, 3 is "3" and 3.0 is "3.0". A whole number is given as int64 in the columns that were whole
in training. Rows that differ in where their numbers are whole are asked apart, so no answer depends
on the rows beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from modelway.bundles.manifest import Manifest
from modelway.domain.inference import Outputs
from modelway.domain.signature import Signature
from modelway.domain.tables import EXACT_INTEGER, Table


def whole_places(signature: Signature, manifest: Manifest) -> list[int]:
    """The positions of the columns that the signature or the training data has as whole numbers."""
    return [
        i
        for i, column in enumerate(signature.columns)
        if column.datatype.is_integer or column.name in manifest.whole_numbers
    ]


def asked_apart(
    table: Table, places: Sequence[int], ask: Callable[[Table, list[int]], Outputs]
) -> Outputs:
    """The outputs for the table's rows; ``ask`` is given those that are whole in the same places.

    ``ask`` is called once where all rows are.
    """
    if not places or not table.n_rows:
        return ask(table, [])
    values = np.stack([table.arrays[i] for i in places], axis=1)
    is_whole = (np.floor(values) == values) & (np.abs(values) <= EXACT_INTEGER)
    if (is_whole == is_whole[0]).all():
        return ask(table, _picked(places, is_whole[0]))
    patterns, group = np.unique(is_whole, axis=0, return_inverse=True)
    parts, rows = [], []
    for i, pattern in enumerate(patterns):
        rows.append(np.flatnonzero(group.ravel() == i))
        parts.append(ask(table.rows(rows[-1]), _picked(places, pattern)))
    order = np.argsort(np.concatenate(rows))
    return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}


def with_integers(rows: Any, places: Sequence[int]) -> Any:
    """A DataFrame with int64 for float64 in these places; a matrix, if these are all it has."""
    if isinstance(rows, np.ndarray):
        return rows.astype(np.int64) if len(places) == rows.shape[1] else rows
    floats = [i for i in places if rows.dtypes.iloc[i] == np.float64]
    return rows.astype({rows.columns[i]: np.int64 for i in floats}) if floats else rows


def _picked(places: Sequence[int], is_whole: Any) -> list[int]:
    return [place for place, whole in zip(places, is_whole, strict=True) if whole]
