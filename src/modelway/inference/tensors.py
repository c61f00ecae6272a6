"""Nested JSON arrays to tensors: the shape is found and checked before anything is allocated.

The shape is that of the first element on each level; every other element must agree with it, and
the first that does not is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from modelway.domain.errors import Problem, SignatureMismatch
from modelway.domain.signature import Column, Signature, TensorSpec
from modelway.domain.tables import NUMPY_DTYPES, Array, Table
from modelway.inference.cells import CellReader
from modelway.inference.findings import LISTED_PROBLEMS, Findings, escaped, shown


def read_tensors(signature: Signature, inputs: Mapping[str, object]) -> Table:
    """The tensors of a signature from nested arrays by name; the rows are the first axis.

    Raises:
        SignatureMismatch: a tensor is missing, unknown, ragged, or of another shape or datatype,
            or two tensors have different numbers of rows.
    """
    problems: list[Problem] = []
    total = 0
    known = {spec.name for spec in signature.tensors}
    for key in inputs:
        if key not in known:
            expected = f"a tensor of the model ({', '.join(sorted(known)[:10])})"
            pointer = f"/inputs/{escaped(key[:80])}"
            problems.append(Problem(pointer, key[:80], "unknown-tensor", shown(key), expected))
    arrays = []
    for spec in signature.tensors:
        if spec.name not in inputs:
            problems.append(Problem(_pointer(spec), spec.name, "missing", None, _expected(spec)))
            continue
        try:
            arrays.append(read_tensor(inputs[spec.name], spec))
        except SignatureMismatch as found:
            problems.extend(found.problems)
            total += found.total - len(found.problems)
    rows = {len(a) if a.ndim else 1 for a in arrays}
    if len(rows) > 1 and not problems:
        came = " and ".join(str(n) for n in sorted(rows))
        expected = "the same number of rows in every tensor"
        problems.append(Problem("/inputs", "inputs", "wrong-shape", f"{came} rows", expected))
    if problems:
        raise SignatureMismatch(problems[:LISTED_PROBLEMS], total=total + len(problems))
    return Table(signature, rows.pop(), arrays=arrays)


def read_tensor(nested: object, spec: TensorSpec) -> Array:
    """One tensor from nested lists (a flat list where it has one axis).

    Raises:
        SignatureMismatch: it is ragged, or of another shape or datatype than ``spec``.
    """
    shape: list[int] = []
    first = nested
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
    if 0 in shape:  # what lies below an empty axis cannot be seen
        shape += [max(0, n) for n in spec.shape[len(shape) :]]
    fits = len(shape) == len(spec.shape) and all(
        wanted in (-1, n) for wanted, n in zip(spec.shape, shape, strict=True)
    )
    if not fits:
        came = f"shape {_shape_text(shape)}" if shape else shown(nested)
        raise SignatureMismatch(
            [Problem(_pointer(spec), spec.name, "wrong-shape", came, _expected(spec))]
        )
    flat = _flat(nested, shape, spec)
    return _typed(flat, shape, spec).reshape(shape)


def _flat(nested: object, shape: Sequence[int], spec: TensorSpec) -> list[object]:
    """The elements in row order; every level as long as ``shape`` says."""
    level: list[object] = [nested]
    for depth, length in enumerate(shape):
        for k, element in enumerate(level):
            if not isinstance(element, list) or len(element) != length:
                came = f"{len(element)} of them" if isinstance(element, list) else shown(element)
                pointer = _pointer(spec, k, shape[:depth])
                expected = f"an array of {length}, as its neighbours are"
                raise SignatureMismatch([Problem(pointer, spec.name, "ragged", came, expected)])
        level = list(chain.from_iterable(level))  # type: ignore[arg-type] # lists, checked above
    return level


def _typed(flat: list[object], shape: Sequence[int], spec: TensorSpec) -> Array:
    dtype = NUMPY_DTYPES.get(spec.datatype, np.dtype(object))
    if dtype.kind in "iu" and set(map(type, flat)) == {int}:
        try:
            # Straight to the tensor's own dtype: a float64 in between loses large whole numbers.
            return np.array(flat, dtype=dtype)
        except OverflowError:
            pass  # said below, with its place
    reader = CellReader(Column(spec.name, spec.name, spec.datatype), 0, strict=False)
    findings = Findings([spec.name], lambda k, _: _pointer(spec, k, shape))
    array = reader.values(flat, findings)
    findings.check()
    return array if array.dtype == dtype else array.astype(dtype)


def _pointer(spec: TensorSpec, k: int = 0, shape: Sequence[int] = ()) -> str:
    """Where element ``k`` (in row order) of a tensor of this shape stands."""
    place = []
    for length in reversed(shape):
        k, rest = divmod(k, max(length, 1))
        place.append(f"/{rest}")
    return f"/inputs/{escaped(spec.name)}" + "".join(reversed(place))


def _expected(spec: TensorSpec) -> str:
    return f"a tensor of shape {_shape_text(spec.shape)} of {spec.datatype.value}"


def _shape_text(shape: Sequence[int]) -> str:
    """``[-1, 4]`` as ``[any, 4]``."""
    return f"[{', '.join('any' if n < 0 else str(n) for n in shape[:10])}]"
