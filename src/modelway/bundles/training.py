"""Training data: its columns as arrays, what they say of a signature, and rows of them to ask.

How a file becomes such columns is known in ``composition``; here are arrays only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modelway.bundles.inferring import ColumnFacts, SignatureFacts, matched
from modelway.domain.errors import InvalidSignature
from modelway.domain.signature import Datatype, Signature
from modelway.domain.tables import EXACT_INTEGER, NUMPY_DTYPES, Array, Table, missing

FEW_CATEGORIES = 64
"""Text of at most so many different values, each of them twice on average, is categorical."""

REFERENCE_ROWS = 2000


@dataclass(frozen=True, slots=True)
class TrainingColumn:
    """One column as a table holds it: float64 (n_rows,) for FP64 and BOOL, objects with None for
    STRING, datetime64[us] for DATETIME. ``is_whole`` where the file held whole numbers, every one.
    """

    name: str
    datatype: Datatype
    values: Array
    is_whole: bool = False

    @property
    def missing(self) -> Array:
        """Which values are missing, bool (n_rows,)."""
        return missing(self.values)

    @property
    def present(self) -> Array:
        """The values that are there."""
        return np.asarray(self.values[~self.missing])


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The rows a model was trained on, without its target; ``origin`` names them in messages.

    ``frame`` is the DataFrame that the columns were made from, in the types it was read with.
    """

    origin: str
    columns: Mapping[str, TrainingColumn]
    frame: Any = None

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.columns.values())).values)

    def called(self, names: Sequence[str]) -> TrainingData:
        """The columns that the model calls ``names``, under these names."""
        places = matched(names, list(self.columns))
        frame = self.frame
        if frame is not None:
            frame = frame[list(places.values())].set_axis(list(places), axis=1)
        columns = {n: self.columns[place] for n, place in places.items()}
        return TrainingData(self.origin, columns, frame)

    def check_exact(self) -> None:
        """Do nothing if a float64 holds every whole number.

        Raises:
            InvalidSignature: a column has larger ones, of which several would become one.
        """
        for name, column in self.columns.items():
            if column.is_whole and np.abs(column.values).max(initial=0) > EXACT_INTEGER:
                raise InvalidSignature(
                    f"{self.origin}, column {name!r}: there are whole numbers beyond "
                    f"{EXACT_INTEGER}, which cannot be told from their neighbours",
                    hint="train the model on them as text, or on their ranks or differences",
                )


def facts_of_training(training: TrainingData) -> SignatureFacts:
    """What the columns say: types, ranges, categories, the share of missing values."""
    columns = tuple(_facts(column) for column in training.columns.values())
    return SignatureFacts(training.origin, columns=columns, may_have_more=True)


def categories_of(column: TrainingColumn) -> tuple[str | int, ...] | None:
    """The different values, sorted, if they are text or whole numbers."""
    present = column.present
    if column.datatype is Datatype.STRING:
        return tuple(sorted(set(present.tolist())))
    if column.datatype is not Datatype.FP64:
        return None
    different = np.unique(present)
    whole = np.isfinite(different) & (np.abs(different) <= EXACT_INTEGER)
    if not whole.all() or (np.floor(different) != different).any():
        return None
    return tuple(int(v) for v in different)


def reference_table(training: TrainingData, signature: Signature) -> Table | None:
    """At most ``REFERENCE_ROWS`` rows, evenly over the data, of those that fit the signature."""
    found = reference_rows(training, signature, REFERENCE_ROWS)
    return None if found is None else found[0]


def reference_rows(
    training: TrainingData, signature: Signature, most: int
) -> tuple[Table, npt.NDArray[np.intp]] | None:
    """At most so many rows, evenly over those that fit the signature, and where they lie."""
    arrays = []
    fits = np.ones(training.n_rows, dtype=bool)
    for spec in signature.columns:
        found = training.columns[spec.name]
        values = found.values
        if spec.is_numeric and values.dtype == np.float64:
            gone = np.isnan(values)
            if spec.datatype in (Datatype.FP16, Datatype.FP32):
                with np.errstate(over="ignore"):
                    values = values.astype(NUMPY_DTYPES[spec.datatype]).astype(np.float64)
            fits &= np.isfinite(values) | gone
            if not spec.datatype.is_float:
                fits &= (np.floor(values) == values) | gone
        elif spec.is_text != (values.dtype == object):
            return None
        if not spec.nullable:
            fits &= ~missing(values)
        arrays.append(values)
    places = np.flatnonzero(fits)
    if not len(places):
        return None
    evenly = np.linspace(0, len(places) - 1, min(most, len(places))).round()
    chosen = places[evenly.astype(np.intp)]
    return table_of([a[chosen] for a in arrays], signature), chosen


def table_of(arrays: Sequence[Array], signature: Signature) -> Table:
    """The arrays, one a column, as a table."""
    n_rows = len(arrays[0])
    if signature.is_numeric:
        return Table(signature, n_rows, matrix=np.stack(arrays, axis=1).astype(np.float64))
    return Table(signature, n_rows, arrays=arrays)


def _facts(column: TrainingColumn) -> ColumnFacts:
    gone = column.missing
    ratio = float(gone.mean()) if len(gone) else 0.0
    datatype, minimum, maximum = column.datatype, None, None
    categories = categories_of(column)
    if datatype is Datatype.STRING and categories:
        n_present = len(gone) - int(gone.sum())
        if len(categories) <= FEW_CATEGORIES and 2 * len(categories) <= n_present:
            datatype = Datatype.CATEGORICAL
    if datatype is Datatype.FP64:
        finite = column.values[np.isfinite(column.values)]
        if len(finite):
            minimum, maximum = float(finite.min()), float(finite.max())
    return ColumnFacts(
        column.name,
        datatype=datatype,
        nullable=True if gone.any() else None,
        optional=True if gone.any() else None,
        minimum=minimum,
        maximum=maximum,
        categories=categories,
        missing_ratio=ratio,
    )
