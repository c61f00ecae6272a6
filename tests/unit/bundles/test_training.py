"""What training data says of a signature."""

from __future__ import annotations

import numpy as np

from modelway.bundles.training import (
    TrainingColumn,
    TrainingData,
    categories_of,
    facts_of_training,
    reference_table,
)
from modelway.domain.names import alias_of
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Array


def numbers(*values: float) -> Array:
    return np.array(values, dtype=np.float64)


def texts(*values: str | None) -> Array:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def data(**columns: Array) -> TrainingData:
    kinds = {"O": Datatype.STRING, "f": Datatype.FP64, "M": Datatype.DATETIME}
    return TrainingData(
        "rows.csv",
        {n: TrainingColumn(n, kinds[values.dtype.kind], values) for n, values in columns.items()},
    )


def test_numbers_have_a_range_and_a_share_of_missing_values() -> None:
    (facts,) = facts_of_training(data(a=numbers(3, np.nan, 1, np.inf))).columns
    assert (facts.datatype, facts.minimum, facts.maximum) == (Datatype.FP64, 1.0, 3.0)
    assert (facts.missing_ratio, facts.nullable) == (0.25, True)


def test_numbers_without_gaps_leave_open_whether_one_may_be_missing() -> None:
    (facts,) = facts_of_training(data(a=numbers(3, 1))).columns
    assert facts.nullable is None


def test_text_that_repeats_is_categorical() -> None:
    repeated, different = facts_of_training(
        data(a=texts("x", "y", "x", "y", None), b=texts("p", "q", "r", "s", "t"))
    ).columns
    assert (repeated.datatype, repeated.categories) == (Datatype.CATEGORICAL, ("x", "y"))
    assert repeated.nullable
    assert different.datatype is Datatype.STRING


def test_only_text_and_whole_numbers_are_categories() -> None:
    columns = data(a=numbers(2, 1, 2), b=numbers(1.5), c=numbers(np.inf)).columns
    assert [categories_of(column) for column in columns.values()] == [(1, 2), None, None]
    whole: tuple[str | int, ...] | None = categories_of(columns["a"])
    assert whole is not None
    assert all(type(one) is int for one in whole)


def test_reference_rows_are_those_that_fit_the_signature() -> None:
    training = data(a=numbers(1, 2.5, np.nan, 4), b=texts("x", "y", "z", None))
    signature = Signature(
        (
            Column("a", alias_of("a", 0), Datatype.INT64),
            Column("b", alias_of("b", 1), Datatype.STRING, nullable=True),
        )
    )
    table = reference_table(training, signature)
    assert table is not None
    assert [array.tolist() for array in table.arrays] == [[1.0, 4.0], ["x", None]]


def test_no_reference_where_no_row_fits() -> None:
    signature = Signature((Column("a", "a", Datatype.INT64),))
    assert reference_table(data(a=numbers(0.5, np.nan)), signature) is None
