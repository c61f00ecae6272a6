"""The tensors of a message: raw or typed contents to arrays, and arrays to raw contents.

How many elements came is compared with the shape before anything is allocated, and every tensor
that is wrong is named.

Source: Open Inference Protocol, "GRPC", tensor data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import numpy as np

from modelway.domain.errors import MalformedPayload, PayloadTooLarge, Problem, SignatureMismatch
from modelway.domain.signature import Datatype
from modelway.domain.tables import NUMPY_DTYPES, Array
from modelway.grpc.messages import InferParameter, ModelInferRequest, ModelInferResponse
from modelway.inference.findings import LISTED_PROBLEMS, shown
from modelway.inference.named_tensors import NamedTensor
from modelway.inference.raw_contents import array_of, raw_of

_FIELDS: Mapping[Datatype, str] = {
    Datatype.BOOL: "bool_contents",
    Datatype.INT8: "int_contents",
    Datatype.INT16: "int_contents",
    Datatype.INT32: "int_contents",
    Datatype.INT64: "int64_contents",
    Datatype.UINT8: "uint_contents",
    Datatype.UINT16: "uint_contents",
    Datatype.UINT32: "uint_contents",
    Datatype.UINT64: "uint64_contents",
    Datatype.FP32: "fp32_contents",
    Datatype.FP64: "fp64_contents",
    Datatype.BYTES: "bytes_contents",
}
"""The field of typed contents that holds a datatype; FP16 has none."""

_DATATYPES = {one.value: one for one in (*_FIELDS, Datatype.FP16)}
_MOST_AXES = 32

Input = ModelInferRequest.InferInputTensor


def tensors_in(request: ModelInferRequest, max_rows: int) -> list[NamedTensor]:
    """The inputs of a request, in its order.

    Raises:
        MalformedPayload: raw and typed contents are mixed, or there is not one raw for each input.
        PayloadTooLarge: a tensor has more than ``max_rows`` rows.
        SignatureMismatch: contents do not fit the shape and datatype that are said of them; the
            pointers are ``/inputs/number/member``.
    """
    raws = request.raw_input_contents
    if raws:
        _check_raws(request)
    tensors = []
    problems: list[Problem] = []
    for k, one in enumerate(request.inputs):
        if one.shape and one.shape[0] > max_rows:
            raise PayloadTooLarge(
                f"{_called(one, k)} has {one.shape[0]} rows; at most {max_rows} are taken"
            )
        try:
            tensors.append(_tensor(one, raws[k] if raws else None))
        except _Unfit as unfit:
            problems.append(unfit.problem(one, k))
    if problems:
        raise SignatureMismatch(problems[:LISTED_PROBLEMS], total=len(problems))
    return tensors


def add_outputs(response: ModelInferResponse, tensors: Iterable[NamedTensor]) -> None:
    """Write tensors into an answer, all of them raw.

    Triton's client finds the numbers of an answer nowhere else, whatever form it asked in.
    """
    for tensor in tensors:
        response.outputs.add(
            name=tensor.name, datatype=tensor.datatype.value, shape=tensor.array.shape
        )
        response.raw_output_contents.append(bytes(raw_of(tensor.datatype, tensor.array)))


def parameters_in(parameters: Mapping[str, InferParameter]) -> dict[str, object]:
    """The values of parameters by name; one without a value is left out."""
    found: dict[str, object] = {}
    for name, parameter in parameters.items():
        kind = parameter.WhichOneof("parameter_choice")
        if kind is not None:
            found[name] = getattr(parameter, kind)
    return found


class _Unfit(Exception):
    """A member of a tensor that does not fit: what came, and what was expected."""

    def __init__(self, member: str, received: str, expected: str) -> None:
        super().__init__(member, received, expected)
        self._member, self._received, self._expected = member, received, expected

    def problem(self, one: Input, number: int) -> Problem:
        """The problem with the tensor of this number."""
        pointer = f"/inputs/{number}/{self._member}"
        code = f"wrong-{self._member}"
        return Problem(pointer, _called(one, number), code, self._received, self._expected)


def _called(one: Input, number: int) -> str:
    return one.name[:80] or f"input {number}"


def _check_raws(request: ModelInferRequest) -> None:
    came, wanted = len(request.raw_input_contents), len(request.inputs)
    if came != wanted:
        raise MalformedPayload(
            f"raw_input_contents has {came} entries for {wanted} inputs",
            hint="send one for each input",
        )
    if any(one.HasField("contents") and one.contents.ByteSize() for one in request.inputs):
        raise MalformedPayload(
            "raw_input_contents and contents are mixed", hint="send all inputs in one form"
        )


def _tensor(one: Input, raw: bytes | None) -> NamedTensor:
    datatype = _DATATYPES.get(one.datatype)
    if datatype is None:
        raise _Unfit("datatype", shown(one.datatype), "one of " + ", ".join(_DATATYPES))
    shape = tuple(one.shape)
    if len(shape) > _MOST_AXES or (shape and min(shape) < 0):
        raise _Unfit("shape", _listed(shape), f"up to {_MOST_AXES} lengths of 0 or more")
    count = prod(shape)
    if raw is None:
        flat = _typed(one, datatype, count)
    else:
        try:
            flat = array_of(raw, datatype, count)
        except ValueError as error:
            raise _Unfit("contents", str(error), _expected(datatype, shape)) from None
    try:
        return NamedTensor(one.name, datatype, flat.reshape(shape))
    except ValueError:  # beside an empty axis one may be longer than memory is
        raise _Unfit("shape", _listed(shape), "lengths that memory can hold") from None


def _typed(one: Input, datatype: Datatype, count: int) -> Array:
    """The typed contents of a tensor, shape (count,)."""
    contents, wanted = one.contents, _FIELDS.get(datatype)
    if wanted is None:
        raise _Unfit("contents", "typed contents", f"{datatype.value} in raw_input_contents")
    others = [field.name for field, _ in contents.ListFields() if field.name != wanted]
    if others:
        raise _Unfit("contents", others[0], f"{datatype.value} in {wanted}")
    values = getattr(contents, wanted)
    if len(values) != count:
        raise _Unfit("contents", f"{len(values)} elements", f"{count} elements of {datatype.value}")
    dtype = NUMPY_DTYPES[datatype]
    if datatype is Datatype.BYTES:
        texts = np.empty(count, dtype=object)
        texts[:] = values[:]
        return texts
    found = np.array(values, dtype=_held(dtype))
    if dtype.kind in "iu" and count:
        bounds = np.iinfo(dtype)
        outside = np.flatnonzero((found < bounds.min) | (found > bounds.max))
        if len(outside):
            came = f"{found[outside[0]]} at element {outside[0]}"
            raise _Unfit("contents", came, f"elements of {datatype.value}")
    return found.astype(dtype, copy=False)


def _held(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What holds every value that the field of these elements may have."""
    if dtype.kind not in "iu":
        return dtype
    return np.dtype(np.uint64 if dtype == np.uint64 else np.int64)


def _expected(datatype: Datatype, shape: tuple[int, ...]) -> str:
    return f"the elements of a tensor of shape {_listed(shape)} of {datatype.value}"


def _listed(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape[:10]))}{', ...' if len(shape) > 10 else ''}]"
