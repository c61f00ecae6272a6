"""The values of an input column at which a model may jump, from the thresholds of its splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from modelway.domain.signature import Column, Datatype, Signature

Floats = npt.NDArray[np.float64]

Splits = Mapping[int, Floats]
"""Sorted thresholds by the position of the feature they split; a row with a value up to a
threshold, and at it, goes one way, one above it the other."""

MOST = 64
"""How many values are kept of one column."""


def by_feature(feature: Any, threshold: Any, inner: Any) -> dict[int, Floats]:
    """The finite thresholds of the inner nodes, sorted, by feature."""
    threshold = np.asarray(threshold, dtype=np.float64)
    kept = np.asarray(inner, dtype=bool) & np.isfinite(threshold)
    feature, threshold = np.asarray(feature)[kept], threshold[kept]
    return {int(f): np.unique(threshold[feature == f]) for f in np.unique(feature)}


def merged(parts: Sequence[Splits]) -> dict[int, Floats]:
    """The thresholds of all parts together."""
    features = sorted({f for part in parts for f in part})
    return {f: np.unique(np.concatenate([p[f] for p in parts if f in p])) for f in features}


def column_jumps(splits: Splits, signature: Signature, *, single: bool) -> list[Floats]:
    """For each column, where a model of untouched columns may jump, at most 64 values a column.

    ``single``: the model rounds its input to float32 before it compares; then the last float64 that
    is rounded to the lower side belongs to a threshold as well.
    """
    found = []
    for i, column in enumerate(signature.columns):
        values = splits.get(i, np.empty(0))
        parts = [values, last_rounded_below(values)] if single else [values]
        found.append(kept(parts, column) if column.is_numeric else np.empty(0))
    return found


def last_rounded_below(values: Floats) -> Floats:
    """For each value, the largest float64 that float32 rounds to no more than the value."""
    below = values.astype(np.float32)
    below = np.where(below > values, np.nextafter(below, np.float32(-np.inf)), below)
    above = np.nextafter(below, np.float32(np.inf))
    middle = (below.astype(np.float64) + above.astype(np.float64)) / 2
    # Halfway is rounded to the float32 whose last bit is 0.
    to_below = below.view(np.uint32) % 2 == 0
    return np.where(to_below, middle, np.nextafter(middle, -np.inf))


def kept(parts: Sequence[Floats], column: Column) -> Floats:
    """The values of all parts once each, in order, thinned out; whole ones of whole numbers."""
    if not parts:
        return np.empty(0)
    values = np.concatenate(parts)
    if column.datatype.is_integer or column.datatype is Datatype.CATEGORICAL:
        values = np.concatenate([np.floor(values), np.ceil(values)])
    return thinned(np.unique(values), MOST)


def thinned(values: Floats, most: int) -> Floats:
    """At most so many of the values, evenly over them, the first and the last among them."""
    return values[evenly(len(values), most)] if len(values) else values


def evenly(n: int, most: int) -> npt.NDArray[np.intp]:
    """At most so many positions out of ``n``, evenly over them."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.intp))
