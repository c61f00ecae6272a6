"""The ids of an answer's rows, ``ID:0``, ``ID:1``, ...: one by one, or all together as bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

_ZERO = ord("0")


class RowIds(Sequence[str]):
    """The ids of ``n_rows`` rows."""

    def __init__(self, prediction_id: str, n_rows: int) -> None:
        self._prediction_id = prediction_id
        self._rows = range(n_rows)

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[str]: ...

    def __getitem__(self, row: int | slice) -> str | Sequence[str]:
        """The id of a row, or those of several."""
        if isinstance(row, slice):
            return [f"{self._prediction_id}:{k}" for k in self._rows[row]]
        return f"{self._prediction_id}:{self._rows[row]}"

    def __len__(self) -> int:
        """How many there are."""
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        """Every one, in the order of the rows."""
        return (f"{self._prediction_id}:{k}" for k in self._rows)

    def joined(self) -> tuple[npt.NDArray[np.int64], bytes]:
        """The length of each in bytes, int64 (n_rows,), and the UTF-8 of all of them."""
        prefix = np.frombuffer(f"{self._prediction_id}:".encode(), np.uint8)
        lengths = np.empty(len(self), np.int64)
        parts = []
        first, digits = 0, 1
        while first < len(self):
            # Numbers of as many digits are texts of the same length.
            end = min(10**digits, len(self))
            texts = np.empty((end - first, len(prefix) + digits), np.uint8)
            texts[:, : len(prefix)] = prefix
            rest = np.arange(first, end)
            for place in range(texts.shape[1] - 1, len(prefix) - 1, -1):
                rest, digit = np.divmod(rest, 10)
                texts[:, place] = digit + _ZERO
            lengths[first:end] = texts.shape[1]
            parts.append(texts.tobytes())
            first, digits = end, digits + 1
        return lengths, b"".join(parts)
