"""The quick path for matrices: what it takes, it takes as the validator does."""

from __future__ import annotations

import numpy as np
import pytest

from modelway.domain.errors import SignatureMismatch
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Array
from modelway.inference.quick_matrix import QuickMatrix
from modelway.inference.validation import Checked, Validator

COLUMNS = {
    "plain": Column("plain", "plain", Datatype.FP64),
    "ranged": Column("ranged", "ranged", Datatype.FP64, minimum=-1.0, maximum=2.0),
    "whole": Column("whole", "w", Datatype.INT16, maximum=100.0),
    "large": Column("large", "large", Datatype.INT64),
    "single": Column("single", "single", Datatype.FP32, minimum=0.1, maximum=3.3),
    "null": Column("null", "null", Datatype.FP64, nullable=True),
}
SIGNATURES = {
    "floats": ("plain", "ranged"),
    "whole": ("whole", "plain"),
    "all": tuple(COLUMNS),
    "rounded": ("single", "plain"),
}
VALUES = [0.0, -0.0, 0.1, 3.3, 1.0, 2.0, 2.0000001, -1.0, 1.5, 100.0, 101.0, 32768.0, -32769.0]
VALUES += [2.0**53 - 1, 2.0**53, 1e39, -1e300, np.nan, np.inf, -np.inf]


def judged(validator: Validator, matrix: Array) -> Checked | None:
    """What the validator says of a matrix; None where it refuses it."""
    names = [column.name for column in validator.signature.columns]
    columns = {name: matrix[:, k] for k, name in enumerate(names)}
    try:
        return validator.arrays(columns, len(matrix))
    except SignatureMismatch:
        return None


@pytest.mark.parametrize("names", SIGNATURES.values(), ids=SIGNATURES)
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("n_rows", [1, 30])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8"])
def test_it_agrees_with_the_validator_or_says_nothing(
    names: tuple[str, ...], strict: bool, n_rows: int, dtype: str
) -> None:
    validator = Validator(Signature(tuple(COLUMNS[name] for name in names)), strict=strict)
    quick = QuickMatrix(validator)
    rng = np.random.default_rng(7)
    taken = 0
    for k in range(40):
        picked = rng.choice([0.1, 3.3, 1.0] if k % 2 else VALUES, (n_rows, len(names)))
        if k % 4 == 1:
            picked[:, :] = 1
            if "whole" in names:
                picked[:, [names.index(n) for n in names if n in ("whole", "large")]] = 3
        with np.errstate(all="ignore"):
            matrix = np.nan_to_num(picked).astype(dtype) if "int" in dtype else picked.astype(dtype)
        expected = judged(validator, matrix)
        columns = {name: matrix[:, i] for i, name in enumerate(names)}
        for table in (quick.table(matrix), quick.table_of_columns(columns)):
            if table is None:
                continue
            taken += 1
            assert expected is not None
            assert not expected.warnings
            assert table.matrix.tobytes() == expected.table.matrix.tobytes()
            assert table.n_rows == n_rows
        if expected is not None and not expected.warnings and not np.isnan(matrix).any():
            assert quick.table(matrix) is not None
    assert taken


def test_columns_are_put_in_order_and_each_is_there_once() -> None:
    validator = Validator(Signature((COLUMNS["whole"], COLUMNS["plain"])), strict=False)
    quick = QuickMatrix(validator)
    one, two = np.array([1.0]), np.array([2.0])
    table = quick.table_of_columns({"plain": two, "w": one})
    assert table is not None
    assert table.matrix.tolist() == [[1.0, 2.0]]
    assert quick.table_of_columns({"whole": one, "w": one}) is None
    assert quick.table_of_columns({"plain": two}) is None
    assert quick.table_of_columns({"plain": two, "other": one}) is None
    assert quick.table_of_columns({"plain": two, "w": [1.0]}) is None
    assert quick.table_of_columns({"plain": two, "w": np.array(["1"], object)}) is None


def test_categories_and_flags_are_left_to_the_validator() -> None:
    for column in (
        Column("a", "a", Datatype.BOOL),
        Column("a", "a", Datatype.CATEGORICAL, categories=(0, 1)),
        Column("a", "a", Datatype.INT64, categories=(0, 1)),
    ):
        quick = QuickMatrix(Validator(Signature((column,)), strict=False))
        assert quick.table(np.array([[1.0]])) is None
    quick = QuickMatrix(Validator(Signature((COLUMNS["plain"],)), strict=False))
    assert quick.table(np.array([[True]])) is None
    assert quick.table(np.array([[1.0]], dtype=object)) is None
