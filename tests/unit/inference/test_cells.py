"""Numbers of a matrix are rounded as those of its columns are."""

from __future__ import annotations

import numpy as np
import pytest

from modelway.domain.signature import Column, Datatype, Signature
from modelway.inference.cells import Roundings
from modelway.inference.validation import Validator

FP16, FP32, FP64 = Datatype.FP16, Datatype.FP32, Datatype.FP64


@pytest.mark.parametrize(
    "datatypes", [(FP32, FP32, FP32), (FP32, FP64, FP16), (FP64, FP64, FP64)], ids=str
)
def test_a_matrix_is_rounded_column_by_column(datatypes: tuple[Datatype, ...]) -> None:
    columns = tuple(Column(f"c{k}", f"c{k}", one) for k, one in enumerate(datatypes))
    roundings = Roundings(Validator(Signature(columns), strict=False).readers)
    dtypes = {FP16: np.float16, FP32: np.float32, FP64: np.float64}
    matrix = np.array([[0.1, 0.1, 0.1], [1 / 3, np.nan, 2.5]])
    expected = np.stack(
        [
            column.astype(dtypes[one]).astype(np.float64)
            for one, column in zip(datatypes, matrix.T, strict=True)
        ],
        axis=1,
    )
    assert bool(roundings) is (FP64 not in datatypes or FP32 in datatypes)
    assert np.array_equal(roundings.of(matrix.copy()), expected, equal_nan=True)
