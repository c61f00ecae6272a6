"""JSON bodies in all their shapes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from modelway.domain.errors import MalformedPayload, PayloadTooLarge, SignatureMismatch
from modelway.domain.signature import Column, Datatype, Signature, TensorSpec
from modelway.inference.decoded import Decoded
from modelway.inference.decoding import JsonDecoder, Limits
from modelway.inference.json_text import nesting, parse_json
from modelway.inference.validation import Validator

NUMBERS = Signature(
    columns=(
        Column("sepal length (cm)", "sepal_length", Datatype.FP64, minimum=4.0, maximum=8.0),
        Column("n", "n", Datatype.INT32, nullable=True, optional=True),
    )
)
MIXED = Signature(
    columns=(
        Column("color", "color", Datatype.CATEGORICAL, categories=("red", "blue"), closed=True),
        Column("grade", "grade", Datatype.CATEGORICAL, categories=(1, 2)),
        Column("when", "when", Datatype.DATETIME, nullable=True, optional=True),
        Column("paid", "paid", Datatype.BOOL, nullable=True, optional=True),
        Column("size", "size", Datatype.FP32, nullable=True, optional=True),
    )
)
FRAME_NAMES = Signature(
    columns=(Column("columns", "columns", Datatype.FP64), Column("data", "data", Datatype.FP64))
)
TENSORS = Signature(
    tensors=(TensorSpec("x", Datatype.INT64, (-1, 2)), TensorSpec("y", Datatype.STRING, (-1,)))
)
ONE_TENSOR = Signature(tensors=(TensorSpec("inputs", Datatype.FP32, (-1,)),))


def decode(
    content: object, signature: Signature = NUMBERS, *, strict: bool = False, **limits: int
) -> Decoded:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    decoder = JsonDecoder(signature, Validator(signature, strict=strict))
    return decoder.decode(body, Limits(**limits))


@pytest.mark.parametrize(
    ("content", "single", "matrix"),
    [
        ({"sepal_length": 5, "n": 2}, True, [[5, 2]]),
        ({"sepal length (cm)": 5.5}, True, [[5.5, None]]),
        ({"n": None, "sepal_length": 5}, True, [[5, None]]),
        ([{"sepal_length": 5}, {"sepal length (cm)": 6, "n": 1}], False, [[5, None], [6, 1]]),
        ({"columns": ["n", "sepal_length"], "data": [[1, 5], [2, 6]]}, False, [[5, 1], [6, 2]]),
        (
            {"columns": ["sepal_length", "n"], "data": [[5, 1]], "index": [7]},
            False,
            [[5, 1]],
        ),
        ({"columns": ["sepal_length"], "data": [[5]]}, False, [[5, None]]),
        (b' \n{"sepal_length":5e0}\n', True, [[5, None]]),
    ],
)
def test_every_shape_gives_the_table(
    content: object, single: bool, matrix: list[list[float]]
) -> None:
    decoded = decode(content)
    assert decoded.single is single
    np.testing.assert_array_equal(decoded.table.matrix, np.array(matrix, dtype=np.float64))
    assert decoded.warnings == () or list(decoded.warnings) == []


@pytest.mark.parametrize("content", [[], {"columns": ["sepal_length", "n"], "data": []}])
def test_no_rows_are_a_table_without_rows(content: object) -> None:
    decoded = decode(content)
    assert (decoded.table.n_rows, decoded.single) == (0, False)
    assert decoded.table.matrix.shape == (0, 2)


def test_columns_may_be_called_columns_and_data() -> None:
    decoded = decode({"columns": 1, "data": 2}, FRAME_NAMES)
    assert decoded.table.matrix.tolist() == [[1, 2]]


def test_values_lie_as_the_table_says() -> None:
    row = {"color": "red", "grade": 2, "when": "2024-05-17T14:30:00+02:00", "paid": True}
    color, grade, when, paid, size = decode({**row, "size": 0.1}, MIXED).table.arrays
    assert (color.dtype, color.tolist()) == (np.dtype(object), ["red"])
    assert (grade.dtype, grade.tolist()) == (np.dtype(np.float64), [2.0])
    assert when.tolist() == np.array(["2024-05-17T12:30"], "datetime64[us]").tolist()
    assert (paid.dtype, paid.tolist()) == (np.dtype(np.float64), [1.0])
    assert size.tolist() == [float(np.float32(0.1))]


@pytest.mark.parametrize(
    ("content", "signature", "found"),
    [
        ({"sepal_length": "5"}, NUMBERS, {("/sepal_length", "wrong-type", "'5'")}),
        ({"sepal_length": True}, NUMBERS, {("/sepal_length", "wrong-type", "true")}),
        ({"sepal_length": None}, NUMBERS, {("/sepal_length", "missing", "null")}),
        ({}, NUMBERS, {("/sepal length (cm)", "missing", None)}),
        ({"sepal_length": 5, "n": 1.5}, NUMBERS, {("/n", "wrong-value", "1.5")}),
        ({"sepal_length": 5, "n": 2**31}, NUMBERS, {("/n", "wrong-value", "2147483648")}),
        (
            b'{"sepal_length":1e999}',
            NUMBERS,
            {("/sepal_length", "wrong-value", "a number too large")},
        ),
        ([{"sepal_length": 5}, 7], NUMBERS, {("/1", "wrong-type", "7")}),
        (
            {"columns": ["sepal_length"], "data": [[5], [5, 6], "x"]},
            NUMBERS,
            {("/data/1", "row-length", "2 values"), ("/data/2", "row-length", "'x'")},
        ),
        (
            {"sepal_length": 5, "sepal length (cm)": 5},
            NUMBERS,
            {("/sepal_length", "duplicate", "both")},
        ),
        (
            {"color": "green", "grade": "x", "when": "soon", "paid": 1, "size": 1e39},
            MIXED,
            {
                ("/color", "unseen-category", "'green'"),
                ("/grade", "wrong-type", "'x'"),
                ("/when", "wrong-type", "'soon'"),
                ("/paid", "wrong-type", "1"),
                ("/size", "wrong-value", "1e+39"),
            },
        ),
    ],
)
def test_every_problem_is_named_at_once(
    content: object, signature: Signature, found: set[tuple[str, str, str | None]]
) -> None:
    with pytest.raises(SignatureMismatch) as caught:
        decode(content, signature)
    assert {(p.pointer, p.code, p.received) for p in caught.value.problems} == found
    assert caught.value.total == len(found)


def test_what_was_not_seen_in_training_is_a_warning_or_where_strict_a_problem() -> None:
    row = {"sepal_length": 9, "extra": 1}
    codes = {(w.column, w.code) for w in decode(row).warnings}
    assert codes == {("sepal length (cm)", "out-of-range"), ("extra", "unknown-column")}
    with pytest.raises(SignatureMismatch) as caught:
        decode(row, strict=True)
    assert {p.code for p in caught.value.problems} == {"out-of-range", "unknown-column"}
    grade = decode({"color": "red", "grade": 3}, MIXED).warnings
    assert [w.code for w in grade] == ["unseen-category"]


def test_a_million_faults_are_counted_and_a_hundred_listed() -> None:
    with pytest.raises(SignatureMismatch) as caught:
        decode([{"sepal_length": "x"}] * 3000)
    assert (len(caught.value.problems), caught.value.total) == (100, 3000)


@pytest.mark.parametrize(
    "body",
    [b"", b"  ", b"{", b"nul", b"\xff", b'{"a":1} x', b'{"a":NaN}', b'"text"', b"5", b"null"],
)
def test_what_is_no_request_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedPayload):
        decode(body)


def test_depth_and_rows_are_limited() -> None:
    with pytest.raises(PayloadTooLarge):
        decode(b"[" * 200_000)
    with pytest.raises(PayloadTooLarge):
        decode({"sepal_length": [[[[[]]]]]}, max_json_depth=4)
    for content in (
        [{"sepal_length": 5}] * 3,
        {"columns": ["sepal_length", "n"], "data": [[5, 1]] * 3},
        [{"sepal_length": 5, "x": 1}] * 3,
    ):
        with pytest.raises(PayloadTooLarge, match="3 rows"):
            decode(content, max_rows=2)


def test_a_key_twice_counts_as_its_last_value() -> None:
    assert decode(b'{"sepal_length":5,"sepal_length":6}').table.matrix[0, 0] == 6


def test_brackets_inside_text_are_no_nesting() -> None:
    assert nesting(b'{"a":"' + b"[" * 50 + b'"}', 10) == 1
    assert nesting(rb'["\"[", "\\", [[]]]', 2) == 3
    assert parse_json(b'["[[[[[[[[[[[["]', 4) == ["[[[[[[[[[[[["]


@pytest.mark.parametrize(
    "content",
    [
        {"x": [[1, 2], [3, 4]], "y": ["a", "b"]},
        {"inputs": {"x": [[1, 2], [3, 4]], "y": ["a", "b"]}},
    ],
)
def test_tensors_by_name(content: object) -> None:
    table = decode(content, TENSORS).table
    assert table.n_rows == 2
    x, y = table.arrays
    assert (x.dtype, x.tolist()) == (np.dtype(np.int64), [[1, 2], [3, 4]])
    assert y.tolist() == ["a", "b"]


@pytest.mark.parametrize("content", [[1, 2.5], {"inputs": [1, 2.5]}])
def test_a_single_tensor_needs_no_name(content: object) -> None:
    (x,) = decode(content, ONE_TENSOR).table.arrays
    assert (x.dtype, x.tolist()) == (np.dtype(np.float32), [1.0, 2.5])


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"x": [[1, 2]]}, "missing"),
        ({"x": [[1, 2]], "y": ["a", "b"]}, "wrong-shape"),
        ({"x": [[1, 2, 3]], "y": ["a"]}, "wrong-shape"),
        ({"x": [[1, 2], [3]], "y": ["a", "b"]}, "ragged"),
        ({"x": [[1, "b"]], "y": ["a"]}, "wrong-type"),
        ({"x": [[1, 2**63]], "y": ["a"]}, "wrong-value"),
        ({"x": [[1, 2]], "y": ["a"], "z": 1}, "unknown-tensor"),
    ],
)
def test_tensors_that_do_not_fit(content: object, code: str) -> None:
    with pytest.raises(SignatureMismatch) as caught:
        decode(content, TENSORS)
    assert code in {p.code for p in caught.value.problems}


def test_the_rows_of_tensors_are_limited_too() -> None:
    with pytest.raises(PayloadTooLarge):
        decode([1, 2, 3], ONE_TENSOR, max_rows=2)
