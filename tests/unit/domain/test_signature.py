"""Signatures: columns or tensors, names and aliases."""

from __future__ import annotations

import pytest

from modelway.domain.errors import InvalidSignature
from modelway.domain.signature import Column, Datatype, Signature, TensorSpec, columns_named


def test_a_column_is_found_by_name_and_by_alias() -> None:
    signature = Signature(columns_named(["sepal length (cm)", "v(g)"]))
    assert signature.positions == {
        "sepal length (cm)": 0,
        "sepal_length_cm": 0,
        "v(g)": 1,
        "v_g": 1,
    }


@pytest.mark.parametrize("names", [["a b", "a_b"], ["a b", "a-b"], ["x", "x"]])
def test_a_collision_is_refused_and_names_both(names: list[str]) -> None:
    with pytest.raises(InvalidSignature) as caught:
        Signature(columns_named(names))
    assert repr(names[0]) in caught.value.message
    assert repr(names[1]) in caught.value.message


def test_columns_and_tensors_exclude_each_other() -> None:
    tensor = TensorSpec("x", Datatype.FP32, (-1, 4))
    with pytest.raises(InvalidSignature):
        Signature(columns_named(["a"]), (tensor,))
    with pytest.raises(InvalidSignature):
        Signature()


def test_two_tensors_need_two_names() -> None:
    tensor = TensorSpec("x", Datatype.FP32, (-1, 4))
    with pytest.raises(InvalidSignature, match="x"):
        Signature(tensors=(tensor, tensor))


@pytest.mark.parametrize(
    ("column", "is_text", "is_numeric"),
    [
        (Column("a", "a", Datatype.FP64), False, True),
        (Column("a", "a", Datatype.BOOL), False, True),
        (Column("a", "a", Datatype.STRING), True, False),
        (Column("a", "a", Datatype.CATEGORICAL, categories=("x",)), True, False),
        (Column("a", "a", Datatype.CATEGORICAL, categories=(1, 2)), False, True),
        (Column("a", "a", Datatype.DATETIME), False, False),
    ],
)
def test_a_column_knows_how_it_lies_in_memory(
    column: Column, is_text: bool, is_numeric: bool
) -> None:
    assert (column.is_text, column.is_numeric) == (is_text, is_numeric)
    assert Signature((column,)).is_numeric is is_numeric


def test_a_minimum_above_the_maximum_is_refused() -> None:
    age = Column("age", "age", Datatype.FP64, minimum=9, maximum=1)
    with pytest.raises(InvalidSignature, match=r"'age': its minimum, 9, is above its maximum, 1"):
        Signature((age,))
