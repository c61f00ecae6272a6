"""Tables: one matrix or one array a column, with the same rows either way."""

from __future__ import annotations

import numpy as np

from modelway.domain.signature import Column, Datatype, Signature, columns_named
from modelway.domain.tables import Table, concatenate, typed_array

NUMBERS = Signature(columns_named(["a", "b"]))
MIXED = Signature((Column("a", "a", Datatype.FP64), Column("t", "t", Datatype.STRING)))


def mixed(*rows: tuple[float, str | None]) -> Table:
    numbers = np.array([r[0] for r in rows])
    text = np.array([r[1] for r in rows], dtype=object)
    return Table(MIXED, len(rows), arrays=[numbers, text])


def test_a_matrix_is_seen_as_columns_and_back() -> None:
    matrix = np.array([[1.0, 2.0], [3.0, 4.0]])
    table = Table(NUMBERS, 2, matrix=matrix)
    assert [a.tolist() for a in table.arrays] == [[1.0, 3.0], [2.0, 4.0]]
    again = Table(NUMBERS, 2, arrays=table.arrays)
    np.testing.assert_array_equal(again.matrix, matrix)
    assert again.matrix.flags.c_contiguous


def test_rows_are_picked_in_order() -> None:
    table = mixed((1.0, "x"), (2.0, None), (3.0, "z"))
    picked = table.rows(np.array([2, 0]))
    assert picked.n_rows == 2
    assert [a.tolist() for a in picked.arrays] == [[3.0, 1.0], ["z", "x"]]
    assert Table(NUMBERS, 2, matrix=np.eye(2)).rows(slice(1, 2)).matrix.tolist() == [[0.0, 1.0]]


def test_concatenation_keeps_order_and_missing_values() -> None:
    whole = concatenate([mixed((1.0, "x")), mixed((np.nan, None), (3.0, "z"))])
    assert whole.n_rows == 3
    assert whole.arrays[1].tolist() == ["x", None, "z"]
    assert np.isnan(whole.arrays[0][1])
    both = concatenate([Table(NUMBERS, 1, matrix=np.ones((1, 2)))] * 2)
    assert both.matrix.shape == (2, 2)


def test_whole_numbers_get_their_dtype_unless_something_is_missing() -> None:
    column = Column("n", "n", Datatype.INT64)
    assert typed_array(np.array([1.0, 2.0]), column).dtype == np.int64
    assert typed_array(np.array([1.0, np.nan]), column).dtype == np.float64
    assert typed_array(np.array([1.0]), Column("n", "n", Datatype.FP32)).dtype == np.float32
    text = np.array(["x"], dtype=object)
    assert typed_array(text, Column("t", "t", Datatype.STRING)) is text
