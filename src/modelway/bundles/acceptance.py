"""What a model accepts beyond its training rows, found by asking it.

A pipeline does not say that an imputer or a tree of it takes missing values, nor that an encoder of
it refuses what it has not seen. A column may be missing if the model answers a row without it; a
column is closed if the model answers a row but not the same row with a value never seen.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from modelway.bundles.inferring import ColumnFacts, SignatureFacts
from modelway.bundles.ports import Runtime
from modelway.bundles.training import TrainingData, categories_of, table_of
from modelway.domain.errors import BuildFailed
from modelway.domain.inference import Outputs
from modelway.domain.signature import Column, Datatype, Scalar, Signature
from modelway.domain.tables import Array, Table

MOST_CLOSED = 10_000
_NEVER_SEEN = "\x1aunseen"
_FEW_NUMBERS = 1000
_SEVERAL = 3


def check_answers(
    runtime: Runtime, row: Table, classes: Sequence[Scalar] | None, *, is_made_up: bool
) -> None:
    """Do nothing if the model answers the row, one of its training data or one made up.

    Where it takes columns, it must answer several rows with as many answers.

    Raises:
        BuildFailed: it raises, and the message has what it said; or its answers do not fit.
    """
    rows = row.rows(np.zeros(_SEVERAL, dtype=np.intp)) if row.signature.is_tabular else row
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = runtime.predict(row)
            several = runtime.predict(rows)
    except (Exception, SystemExit) as error:  # a model may raise anything at all
        said = f"{type(error).__name__}: {error}"[:500]
        what = (
            "a sample row made from its signature" if is_made_up else "a row of its training data"
        )
        hint = "give its training data with --data, or a signature.toml with --signature"
        raise BuildFailed(
            f"the model fails on {what}: {said}", hint=hint if is_made_up else None
        ) from error
    for found, n_rows in ((outputs, row.n_rows), (several, rows.n_rows)):
        misfit = _misfit(found, n_rows, classes, is_tabular=row.signature.is_tabular)
        if misfit:
            raise BuildFailed(
                f"the model's answers do not fit: {misfit}",
                hint="its predict must give one answer a row, one of its classes_ where it has "
                "them, and its predict_proba one probability a class",
            )


def _misfit(
    outputs: Outputs, n_rows: int, classes: Sequence[Scalar] | None, *, is_tabular: bool
) -> str | None:
    """What of the outputs does not fit this many rows and these classes, if anything."""
    if not outputs:
        return "there are none"
    for name, array in outputs.items():
        per_row = is_tabular or name in ("class_index", "probabilities", "prediction")
        if per_row and (array.ndim == 0 or len(array) != n_rows):
            return f"{name} has the shape {array.shape} for {n_rows} rows"
    index, probabilities = outputs.get("class_index"), outputs.get("probabilities")
    n_classes = len(classes or ())
    if index is not None and not ((index >= 0) & (index < n_classes)).all():
        return f"it gave a label that is none of its {n_classes} classes"
    if probabilities is not None and probabilities.shape != (n_rows, n_classes):
        return f"probabilities have the shape {probabilities.shape} for {n_classes} classes"
    return None


def nullable_columns(runtime: Runtime, row: Table) -> SignatureFacts:
    """The columns that may be missing, given a row that is answered."""
    columns = row.signature.columns
    every = range(len(columns))
    found: Sequence[int] = every
    if not _answers(runtime, _with(row, {i: _absent(columns[i]) for i in every})):
        found = [i for i in every if _answers(runtime, _with(row, {i: _absent(columns[i])}))]
    facts = tuple(ColumnFacts(columns[i].name, nullable=True) for i in found)
    return SignatureFacts("the model", columns=facts)


def closed_columns(runtime: Runtime, row: Table, training: TrainingData) -> SignatureFacts:
    """The columns that are categories of which no other is answered, given a row that is."""
    facts = []
    for i, column in enumerate(row.signature.columns):
        categories = categories_of(training.columns[column.name])
        unseen = _unseen(column, categories)
        if unseen is None or not categories or len(categories) > MOST_CLOSED:
            continue
        if all(not _answers(runtime, _with(row, {i: value})) for value in unseen):
            datatype = Datatype.CATEGORICAL
            facts.append(
                ColumnFacts(column.name, datatype=datatype, categories=categories, closed=True)
            )
    return SignatureFacts("the model", columns=tuple(facts))


def _unseen(
    column: Column, categories: tuple[str | int, ...] | None
) -> Sequence[str | float] | None:
    """Values of the column's kind that are none of its categories; None if it has none such."""
    if column.datatype is Datatype.DATETIME or not categories:
        return None
    if column.is_text:
        return (_NEVER_SEEN,)
    numbers = [c for c in categories if not isinstance(c, str)]
    if column.datatype is Datatype.BOOL or not 1 <= len(numbers) <= _FEW_NUMBERS:
        return None
    return (min(numbers) - 1.0, max(numbers) + 1.0)


def _answers(runtime: Runtime, row: Table) -> bool:
    """Whether the model gives something finite for the row."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return _is_finite(runtime.predict(row))
    except (Exception, SystemExit):  # noqa: BLE001 - a model may refuse a row in any way
        return False


def _is_finite(outputs: Outputs) -> bool:
    return all(a.dtype.kind != "f" or bool(np.isfinite(a).all()) for a in outputs.values())


def _absent(column: Column) -> object:
    if column.datatype is Datatype.DATETIME:
        return np.datetime64("NaT")
    return None if column.is_text else np.nan


def _with(row: Table, values: dict[int, object]) -> Table:
    """The row with other values at some positions."""
    arrays: list[Array] = list(row.arrays)
    for i, value in values.items():
        changed = arrays[i].copy()
        changed[0] = value
        arrays[i] = changed
    return table_of(arrays, Signature(row.signature.columns))
