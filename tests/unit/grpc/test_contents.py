from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from modelway.domain.errors import MalformedPayload, PayloadTooLarge, SignatureMismatch
from modelway.domain.signature import Datatype
from modelway.grpc.contents import add_outputs, parameters_in, tensors_in
from modelway.grpc.messages import InferParameter, ModelInferRequest, ModelInferResponse
from modelway.inference.named_tensors import NamedTensor
from modelway.inference.raw_contents import RAW_DTYPES, raw_of

FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
WHOLE = sorted(one for one in FIELDS if "INT" in one)
MOST_ROWS = 1000


def _typed(datatype: str, shape: Sequence[int], **contents: Sequence[Any]) -> ModelInferRequest:
    request = ModelInferRequest()
    one = request.inputs.add(name="x", datatype=datatype, shape=shape)
    for field, values in contents.items():
        getattr(one.contents, field).extend(values)
    return request


def _raw(datatype: str, shape: Sequence[int], *raws: bytes) -> ModelInferRequest:
    request = ModelInferRequest(raw_input_contents=raws)
    request.inputs.add(name="x", datatype=datatype, shape=shape)
    return request


def _refused(request: ModelInferRequest) -> str:
    with pytest.raises(SignatureMismatch) as refused:
        tensors_in(request, MOST_ROWS)
    (problem,) = refused.value.problems
    assert problem.pointer.startswith("/inputs/0/")
    return problem.message


@pytest.mark.parametrize("datatype", FIELDS)
def test_typed_contents_are_those_of_the_datatype(datatype: str) -> None:
    values: list[Any] = [b"a", b""] if datatype == "BYTES" else [1, 0]
    (tensor,) = tensors_in(_typed(datatype, [2, 1], **{FIELDS[datatype]: values}), MOST_ROWS)
    assert (tensor.name, tensor.datatype) == ("x", Datatype(datatype))
    assert tensor.array.tolist() == [[values[0]], [values[1]]]
    if datatype != "BYTES":
        assert tensor.array.dtype == RAW_DTYPES[Datatype(datatype)]


@pytest.mark.parametrize("datatype", WHOLE)
def test_the_ends_of_whole_numbers_are_exact_and_beyond_is_refused(datatype: str) -> None:
    bounds = np.iinfo(RAW_DTYPES[Datatype(datatype)])
    ends = [int(bounds.min), int(bounds.max)]
    (tensor,) = tensors_in(_typed(datatype, [2], **{FIELDS[datatype]: ends}), MOST_ROWS)
    assert tensor.array.tolist() == ends
    if datatype in ("INT8", "INT16", "UINT8", "UINT16"):
        message = _refused(_typed(datatype, [2], **{FIELDS[datatype]: [0, ends[1] + 1]}))
        assert message == f"x: expected elements of {datatype}, got {ends[1] + 1} at element 1"


def test_numbers_that_are_not_finite_pass() -> None:
    values = [float("nan"), float("inf"), float("-inf")]
    (tensor,) = tensors_in(_typed("FP32", [3], fp32_contents=values), MOST_ROWS)
    assert np.array_equal(tensor.array, np.array(values), equal_nan=True)


@pytest.mark.parametrize("datatype", sorted(RAW_DTYPES))
def test_raw_contents_are_those_of_the_datatype(datatype: Datatype) -> None:
    array = np.array([[1, 0, 1]]).astype(RAW_DTYPES[datatype])
    request = _raw(datatype.value, [1, 3], bytes(raw_of(datatype, array)))
    (tensor,) = tensors_in(request, MOST_ROWS)
    assert np.array_equal(tensor.array, array)
    assert tensor.array.dtype == RAW_DTYPES[datatype]


def test_a_scalar_and_an_empty_tensor_are_tensors() -> None:
    assert tensors_in(_raw("FP64", [], bytes(8)), MOST_ROWS)[0].array.shape == ()
    assert tensors_in(_raw("FP64", [0, 4], b""), MOST_ROWS)[0].array.shape == (0, 4)
    assert tensors_in(_typed("FP64", [0, 4]), MOST_ROWS)[0].array.shape == (0, 4)
    assert tensors_in(_typed("BYTES", [0]), MOST_ROWS)[0].array.shape == (0,)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (_typed("FP64", [2], fp64_contents=[1.0]), "2 elements of FP64, got 1 elements"),
        (_typed("FP64", [2], fp64_contents=[1.0] * 3), "2 elements of FP64, got 3 elements"),
        (_typed("FP64", [1]), "1 elements of FP64, got 0 elements"),
        (_typed("FP64", [10**3, 10**15]), "1000000000000000000 elements"),
        (_typed("FP64", [1], fp32_contents=[1.0]), "FP64 in fp64_contents, got fp32_contents"),
        (
            _typed("FP64", [1], fp64_contents=[1.0], int_contents=[1]),
            "FP64 in fp64_contents, got int_contents",
        ),
        (_typed("FP16", [1], fp32_contents=[1.0]), "FP16 in raw_input_contents"),
        (_typed("BF16", [1], fp32_contents=[1.0]), "one of BOOL, "),
        (_typed("STRING", [1], bytes_contents=[b"a"]), "one of BOOL, "),
        (_typed("", [1]), "one of BOOL, "),
        (_typed("FP64", [-1], fp64_contents=[1.0]), "lengths of 0 or more, got [-1]"),
        (_typed("FP64", [1] * 33, fp64_contents=[1.0]), "up to 32 lengths"),
        (_typed("FP64", [0, 2**62, 2**62]), "lengths that memory can hold"),
        (_raw("FP64", [2], bytes(15)), "shape [2] of FP64, got 15 bytes, not 16"),
        (_raw("BOOL", [2], b"\0\2"), "a byte that is neither 0 nor 1"),
        (_raw("BYTES", [1], b"\5\0\0\0abc"), "an end within element 0"),
        (_raw("BYTES", [9] * 30, b"\5\0\0\0abc"), "7 bytes, too few"),
    ],
)
def test_what_does_not_fit_is_said(sent: ModelInferRequest, said: str) -> None:
    assert said in _refused(sent)


def test_every_tensor_that_is_wrong_is_named() -> None:
    request = ModelInferRequest(raw_input_contents=[bytes(7), bytes(8), bytes(9)])
    for name in ("a", "b", ""):
        request.inputs.add(name=name, datatype="FP64", shape=[1])
    with pytest.raises(SignatureMismatch) as refused:
        tensors_in(request, MOST_ROWS)
    found = [(one.pointer, one.column) for one in refused.value.problems]
    assert found == [("/inputs/0/contents", "a"), ("/inputs/2/contents", "input 2")]


def test_there_is_one_raw_for_each_input() -> None:
    for raws in ([bytes(8)] * 2, [bytes(8)] * 3):
        request = _raw("FP64", [1], *raws)
        with pytest.raises(MalformedPayload, match=f"has {len(raws)} entries for 1 inputs"):
            tensors_in(request, MOST_ROWS)


def test_raw_and_typed_contents_are_not_mixed() -> None:
    request = _raw("FP64", [1], bytes(8))
    request.inputs[0].contents.SetInParent()
    assert len(tensors_in(request, MOST_ROWS)) == 1  # as some clients send it: set, and empty
    request.inputs[0].contents.fp64_contents.append(1.0)
    with pytest.raises(MalformedPayload, match="mixed"):
        tensors_in(request, MOST_ROWS)


def test_rows_are_bounded_before_anything_is_read() -> None:
    with pytest.raises(PayloadTooLarge, match="1001 rows"):
        tensors_in(_raw("FP64", [MOST_ROWS + 1, 0], b""), MOST_ROWS)


def test_outputs_are_raw_and_in_order() -> None:
    texts = np.array(["grün", "rot"], dtype=object)
    response = ModelInferResponse()
    add_outputs(
        response,
        [
            NamedTensor("chance", Datatype.FP64, np.array([[0.25, 0.75]])),
            NamedTensor("label", Datatype.BYTES, texts),
        ],
    )
    described = [(one.name, one.datatype, list(one.shape)) for one in response.outputs]
    assert described == [("chance", "FP64", [1, 2]), ("label", "BYTES", [2])]
    assert not any(one.HasField("contents") for one in response.outputs)
    assert np.frombuffer(response.raw_output_contents[0], "<f8").tolist() == [0.25, 0.75]
    assert response.raw_output_contents[1] == b"\5\0\0\0gr\xc3\xbcn\3\0\0\0rot"


def test_parameters_have_their_own_types() -> None:
    sent = {
        "a": InferParameter(bool_param=False),
        "b": InferParameter(int64_param=-5),
        "c": InferParameter(string_param="x"),
        "d": InferParameter(double_param=0.5),
        "e": InferParameter(uint64_param=2**64 - 1),
        "f": InferParameter(),
    }
    found = parameters_in(sent)
    assert found == {"a": False, "b": -5, "c": "x", "d": 0.5, "e": 2**64 - 1}


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("UINT64", [2**64 - 1, 0]),
        ("UINT64", [2**63 + 1, 1]),
        ("INT64", [-(2**63), 2**63 - 1]),
        ("UINT32", [2**32 - 1, 0]),
    ],
)
def test_whole_numbers_of_any_size_arrive_as_they_are(datatype: str, values: list[int]) -> None:
    (tensor,) = tensors_in(_typed(datatype, [2], **{FIELDS[datatype]: values}), MOST_ROWS)
    assert tensor.array.tolist() == values
