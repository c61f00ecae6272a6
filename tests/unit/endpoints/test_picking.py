"""Columns picked for a shadow: by name, in its order, of the kind they were read as."""

from __future__ import annotations

import numpy as np
import pytest

from modelway.domain.errors import InvalidInput
from modelway.domain.signature import Column, Datatype, Signature, TensorSpec
from modelway.domain.tables import Table
from modelway.endpoints.picking import Picked

NUMBERS = Signature(
    columns=(
        Column("sepal length (cm)", "sepal_length", Datatype.FP64),
        Column("age", "age", Datatype.INT64, nullable=True),
        Column("is new", "is_new", Datatype.BOOL),
    )
)
PEOPLE = Signature(
    columns=(
        Column("name", "name", Datatype.STRING),
        Column("income", "income", Datatype.FP64),
        Column("area", "area", Datatype.CATEGORICAL, categories=("a", "b")),
        Column("since", "since", Datatype.DATETIME),
    )
)


def taking(*columns: Column) -> Signature:
    return Signature(columns=columns)


def test_what_takes_the_same_is_given_the_table_itself() -> None:
    table = Table(NUMBERS, 1, matrix=np.zeros((1, 3)))
    assert Picked(NUMBERS, NUMBERS).of(table) is table


def test_some_columns_in_another_order_under_other_names() -> None:
    wanted = taking(
        Column("age", "age", Datatype.INT64), Column("sepal_length", "x", Datatype.FP32)
    )
    table = Table(NUMBERS, 2, matrix=np.array([[1.5, 40, 0], [2.5, np.nan, 1]]))
    table.parameters = {"mode": "fast"}
    picked = Picked(NUMBERS, wanted).of(table)
    np.testing.assert_array_equal(picked.matrix, [[40, 1.5], [np.nan, 2.5]])
    assert picked.matrix.flags.c_contiguous
    assert [one.name for one in picked.signature.columns] == ["age", "sepal_length"]
    assert picked.parameters == {"mode": "fast"}


def test_a_value_stays_of_the_datatype_that_was_read() -> None:
    wanted = taking(Column("income", "income", Datatype.INT64))
    texts = np.array(["ann"], object)
    moment = np.array(["2020-01-01"], "datetime64[us]")
    table = Table(PEOPLE, 1, arrays=(texts, np.array([1.5]), texts, moment))
    picked = Picked(PEOPLE, wanted).of(table)
    assert picked.signature.columns[0].datatype is Datatype.FP64
    assert picked.matrix.tolist() == [[1.5]]


def test_text_and_times_are_picked_beside_numbers() -> None:
    wanted = taking(
        Column("since", "since", Datatype.DATETIME),
        Column("area", "area", Datatype.STRING),
        Column("name", "name", Datatype.CATEGORICAL),
    )
    name, area = np.array(["ann"], object), np.array([None], object)
    moment = np.array(["2020-01-01"], "datetime64[us]")
    table = Table(PEOPLE, 1, arrays=(name, np.array([1.5]), area, moment))
    assert Picked(PEOPLE, wanted).of(table).arrays == (moment, area, name)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Column("height", "height", Datatype.FP64), "a column 'height', which"),
        (Column("name", "name", Datatype.FP64), "takes numbers as 'name', .* has text"),
        (Column("income", "income", Datatype.STRING), "takes text as 'income', .* has numbers"),
        (Column("since", "since", Datatype.INT64), "takes numbers as 'since', .* has times"),
    ],
)
def test_what_the_live_version_does_not_have_is_refused(wanted: Column, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Picked(PEOPLE, taking(wanted))


def test_tensors_are_the_same_or_refused() -> None:
    one, other = (Signature(tensors=(TensorSpec("X", Datatype.FP64, (-1, n)),)) for n in (3, 4))
    table = Table(one, 1, arrays=(np.zeros((1, 3)),))
    assert Picked(one, one).of(table) is table
    with pytest.raises(InvalidInput, match=r"X \(FP64 \[-1, 4\]\)"):
        Picked(one, other)
    with pytest.raises(InvalidInput, match="the live version takes X"):
        Picked(one, NUMBERS)
