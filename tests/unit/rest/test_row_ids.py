"""The ids of rows: the same one by one and together."""

from __future__ import annotations

import numpy as np
import pytest

from modelway.rest.row_ids import RowIds


@pytest.mark.parametrize("n_rows", [0, 1, 9, 10, 11, 100, 101, 12_345])
@pytest.mark.parametrize("prediction_id", ["01a1ff96-5a94-7002", "é"])
def test_ids_are_the_same_one_by_one_and_together(prediction_id: str, n_rows: int) -> None:
    ids = RowIds(prediction_id, n_rows)
    expected = [f"{prediction_id}:{k}" for k in range(n_rows)]
    assert list(ids) == expected
    assert len(ids) == n_rows
    lengths, joined = ids.joined()
    ends = np.cumsum(lengths)
    found = [joined[end - n : end].decode() for n, end in zip(lengths, ends, strict=True)]
    assert found == expected
    assert len(joined) == lengths.sum()


def test_ids_are_a_sequence() -> None:
    ids = RowIds("a", 3)
    assert (ids[0], ids[-1], ids[1:]) == ("a:0", "a:2", ["a:1", "a:2"])
    with pytest.raises(IndexError):
        ids[3]
