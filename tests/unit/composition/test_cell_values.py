"""Cells of text become what their columns take, and stay text where they are no such value."""

from __future__ import annotations

import pytest

from modelway.composition.cell_values import CellValues
from modelway.domain.signature import Column, Datatype, Signature

SIGNATURE = Signature(
    columns=(
        Column("size (m)", "size", Datatype.FP32, nullable=True),
        Column("legs", "legs", Datatype.INT64),
        Column("tame", "tame", Datatype.BOOL),
        Column("grade", "grade", Datatype.CATEGORICAL, categories=(1, 2)),
        Column("kind", "kind", Datatype.CATEGORICAL, categories=("1", "2"), nullable=True),
        Column("born", "born", Datatype.DATETIME),
    )
)


@pytest.mark.parametrize(
    ("name", "cell", "value"),
    [
        ("size", " 0.1 ", 0.1),
        ("size (m)", "7", 7.0),
        ("size", " ", None),
        ("size", "1_0", "1_0"),
        ("size", "\uff17", "\uff17"),
        ("size", "nan", "nan"),
        ("size", "1e999", "1e999"),
        ("legs", "4", 4),
        ("legs", "4.0", 4),
        ("legs", "4.5", 4.5),
        ("legs", "1e300", 1e300),
        ("tame", "True", True),
        ("tame", "0", False),
        ("tame", "yes", "yes"),
        ("grade", "2", 2),
        ("kind", "2", "2"),
        ("kind", "", None),
        ("born", "2024-05-17", "2024-05-17"),
        ("unknown", "7.0", "7.0"),
        ("unknown", "", ""),
    ],
)
def test_a_cell_is_a_value_of_its_column(name: str, cell: str, value: object) -> None:
    (row,) = CellValues(SIGNATURE).of([{name: cell}])
    assert row == {name: value}
    assert type(row[name]) is type(value)


def test_one_cell_that_is_no_value_leaves_the_others_theirs() -> None:
    rows = [{"size": "1"}, {"size": "1-2"}, {"size": "3"}]
    assert [row["size"] for row in CellValues(SIGNATURE).of(rows)] == [1.0, "1-2", 3.0]


def test_an_empty_cell_is_left_out_where_a_value_is_needed() -> None:
    row = {"legs": "", "tame": "", "born": "", "kind": "1"}
    assert CellValues(SIGNATURE).of([row]) == [{"kind": "1"}]
