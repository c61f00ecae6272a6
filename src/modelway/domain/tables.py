"""The table: the rows of one inference, checked against a signature and ready for a model.

How a value lies in memory, by the datatype of its column:

- numbers, Booleans, whole-number categories: float64, missing as NaN. A table of nothing but these
  is one C-ordered matrix; that is the usual case and the fast one.
- text: object arrays of ``str``, missing as None.
- datetime: datetime64[us] in UTC, missing as NaT.

Tensors lie as numpy arrays of their own datatype.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from modelway.domain.signature import Column, Datatype, Signature, TensorSpec

Array = npt.NDArray[Any]

EXACT_INTEGER = 2**53 - 1
"""Up to here a whole number and its neighbours are float64 numbers of their own."""

NUMPY_DTYPES: Mapping[Datatype, np.dtype[Any]] = {
    Datatype.BOOL: np.dtype(np.bool_),
    Datatype.UINT8: np.dtype(np.uint8),
    Datatype.UINT16: np.dtype(np.uint16),
    Datatype.UINT32: np.dtype(np.uint32),
    Datatype.UINT64: np.dtype(np.uint64),
    Datatype.INT8: np.dtype(np.int8),
    Datatype.INT16: np.dtype(np.int16),
    Datatype.INT32: np.dtype(np.int32),
    Datatype.INT64: np.dtype(np.int64),
    Datatype.FP16: np.dtype(np.float16),
    Datatype.FP32: np.dtype(np.float32),
    Datatype.FP64: np.dtype(np.float64),
    Datatype.BYTES: np.dtype(object),
    Datatype.STRING: np.dtype(object),
    Datatype.DATETIME: np.dtype("datetime64[us]"),
}


NO_PARAMETERS: Mapping[str, object] = MappingProxyType({})


class Table:
    """Rows in signature order: either one float64 matrix or one array a column, or named tensors.

    A matrix may come as the cells of its rows, of which it is made when it is asked for.
    ``parameters`` is what a caller says to the model beside the rows; few models take any.

    A table owns nothing it was given; callers must not change the arrays afterwards.
    """

    __slots__ = ("_arrays", "_cells", "_matrix", "n_rows", "parameters", "signature")

    def __init__(
        self,
        signature: Signature,
        n_rows: int,
        *,
        matrix: npt.NDArray[np.float64] | None = None,
        arrays: Sequence[Array] | None = None,
        cells: Sequence[tuple[float, ...]] | None = None,
    ) -> None:
        """``matrix`` has shape (n_rows, n_columns), and so have ``cells``; ``arrays`` has one
        (n_rows,) array a column, or for a tensor signature one array a tensor.
        """
        self.signature = signature
        self.n_rows = n_rows
        self._matrix = matrix
        self._arrays = None if arrays is None else tuple(arrays)
        self._cells = cells
        self.parameters = NO_PARAMETERS

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """The rows as one float64 matrix of shape (n_rows, n_columns); numeric signatures only."""
        cells = self._cells
        if self._matrix is None and cells is not None:
            self._matrix = np.array(cells, dtype=np.float64)
            self._cells = None  # whoever keeps the table for a while keeps the matrix only
        if self._matrix is None:
            arrays = self._arrays or ()
            self._matrix = np.ascontiguousarray(np.stack(arrays, axis=1), dtype=np.float64)
        return self._matrix

    @property
    def arrays(self) -> tuple[Array, ...]:
        """One array a column (or a tensor) in signature order."""
        if self._arrays is None:
            matrix = self.matrix
            self._arrays = tuple(matrix[:, i] for i in range(matrix.shape[1]))
        return self._arrays

    def rows(self, index: slice | npt.NDArray[np.intp]) -> Table:
        """The rows that ``index`` picks, as a table of its own, with the same parameters."""
        if self._matrix is not None or self._cells is not None:
            matrix = self.matrix[index]
            picked = Table(self.signature, len(matrix), matrix=matrix)
        else:
            arrays = tuple(a[index] for a in self.arrays)
            picked = Table(self.signature, len(arrays[0]), arrays=arrays)
        picked.parameters = self.parameters
        return picked


def concatenate(tables: Sequence[Table]) -> Table:
    """The rows of all tables, one after the other; they share one signature, and parameters."""
    joined = _joined(tables, tables[0].signature, sum([t.n_rows for t in tables]))
    joined.parameters = tables[0].parameters
    return joined


def _joined(tables: Sequence[Table], signature: Signature, n_rows: int) -> Table:
    if signature.is_numeric:
        cells = [row for t in tables if t._cells is not None for row in t._cells]
        if len(cells) == n_rows:
            return Table(signature, n_rows, cells=cells)
        return Table(signature, n_rows, matrix=np.concatenate([t.matrix for t in tables]))
    parts = zip(*(t.arrays for t in tables), strict=True)
    return Table(signature, n_rows, arrays=[np.concatenate(p) for p in parts])


def filled(texts: Array, substitute: object) -> Array:
    """An object array of text with every None replaced; ``texts`` itself where there is none."""
    missing = np.fromiter((text is None for text in texts), np.bool_, len(texts))
    if not missing.any():
        return texts
    found = texts.copy()
    found[missing] = substitute
    return found


def typed_array(values: Array, spec: Column | TensorSpec) -> Array:
    """``values`` of a table in the dtype of the datatype, where nothing is missing.

    Whole numbers with missing values stay float64 with NaN, as pandas has them.
    """
    dtype = NUMPY_DTYPES.get(spec.datatype)
    if dtype is None or dtype == values.dtype or dtype == np.dtype(object):
        return values
    if values.dtype == np.float64 and dtype.kind in "iub" and np.isnan(values).any():
        return values
    return values.astype(dtype)


def missing(values: Array) -> Array:
    """Which values are missing, bool (n_rows,)."""
    if values.dtype == object:
        return np.fromiter((v is None for v in values), bool, len(values))
    return np.isnat(values) if values.dtype.kind == "M" else np.isnan(values)
