"""Requests of the Open Inference Protocol in JSON: the envelope, and data of every form."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest

from modelway.domain.errors import MalformedPayload, PayloadTooLarge, SignatureMismatch
from modelway.domain.signature import Datatype
from modelway.domain.tables import NUMPY_DTYPES
from modelway.rest import oip_json
from modelway.rest.oip_json import has_data, read_data, read_envelope

DEPTH = 100
ONE = b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": %s}]}'
WHOLE = [Datatype(f"{sign}INT{bits}") for sign in ("", "U") for bits in (8, 16, 32, 64)]


def data_of(text: str | bytes) -> Any:
    """Data as it stands in a request: text, or values where the text is no strict JSON."""
    text = text.encode() if isinstance(text, str) else text
    return read_envelope(ONE % text, DEPTH).inputs[0].data


def read(text: str, datatype: Datatype, *shape: int) -> np.ndarray[Any, Any]:
    return read_data(data_of(text), "x", datatype, shape, DEPTH)


def refused(text: str, datatype: Datatype, *shape: int) -> list[str]:
    with pytest.raises(SignatureMismatch) as found:
        read(text, datatype, *shape)
    assert all(one.pointer.startswith("/inputs/x/data") for one in found.value.problems)
    return [one.message for one in found.value.problems]


def test_a_request_has_inputs_and_may_have_more() -> None:
    body = {
        "id": "7",
        "parameters": {"a": 1, "b": 0.5, "c": True, "d": "x", "e": None},
        "inputs": [{"name": "x", "shape": [2], "datatype": "INT8", "data": [1, 2], "more": {}}],
        "outputs": [{"name": "y", "parameters": {"binary_data": True}}, {"name": "z"}],
        "further": [[]],
    }
    for found in (json.dumps(body), json.dumps(body).replace("[1, 2]", "[NaN]")):
        envelope = read_envelope(found.encode(), DEPTH)
        assert envelope.id == "7"
        assert envelope.parameters == body["parameters"]
        assert [(one.name, one.datatype, one.shape) for one in envelope.inputs] == [
            ("x", "INT8", [2])
        ]
        assert envelope.outputs is not None
        assert [one.parameters for one in envelope.outputs] == [{"binary_data": True}, None]
    empty = read_envelope(b'{"inputs":[],"id":null,"parameters":null,"outputs":null}', DEPTH)
    assert (empty.inputs, empty.id, empty.parameters, empty.outputs) == ([], None, None, None)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "empty"),
        (b"{", "truncated"),
        (b"[]", "object"),
        (b"{}", "inputs"),
        (b'{"inputs": {}}', "inputs"),
        (b'{"inputs": [1]}', "inputs"),
        (b'{"inputs": [{"shape": [1], "datatype": "FP64"}]}', "name"),
        (b'{"inputs": [{"name": 1, "shape": [1], "datatype": "FP64"}]}', "name"),
        (b'{"inputs": [{"name": "x", "shape": 1, "datatype": "FP64"}]}', "shape"),
        (b'{"inputs": [{"name": "x", "shape": [1.5], "datatype": "FP64"}]}', "shape"),
        (b'{"inputs": [{"name": "x", "shape": [true], "datatype": "FP64"}]}', "shape"),
        (b'{"inputs": [], "id": 7}', "id"),
        (b'{"inputs": [], "parameters": {"a": []}}', "parameters"),
        (b'{"inputs": [], "outputs": ["a"]}', "outputs"),
        (b'{"inputs": [], "id": "\xff"}', "UTF-8"),
        (b'{"inputs": [], "id": NaN}', "id"),
        (b'{"inputs": [NaN', "read"),
        (b'{"inputs": [], "id": "\\ud800"}', "read"),
    ],
)
def test_what_is_no_request_is_told_why(body: bytes, word: str) -> None:
    with pytest.raises(MalformedPayload, match=word):
        read_envelope(body, DEPTH)


@pytest.mark.parametrize("depth", [101, 5000, 100_000])
def test_what_is_nested_too_deeply_is_refused(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    with pytest.raises(PayloadTooLarge):
        read_envelope(deep, DEPTH)
    with pytest.raises(PayloadTooLarge):
        read_data(data_of(deep), "x", Datatype.FP64, (1,), DEPTH)
    with pytest.raises((PayloadTooLarge, MalformedPayload)):
        read_envelope(b'{"inputs": [], "parameters": {"a": ' + deep + b"}}", DEPTH)


def test_data_that_is_null_or_absent_is_none() -> None:
    assert has_data(data_of("[]"))
    assert not has_data(data_of("null"))
    bare = read_envelope(b'{"inputs": [{"name": "x", "shape": [], "datatype": "BOOL"}]}', DEPTH)
    assert not has_data(bare.inputs[0].data)
    assert has_data([])
    assert not has_data(None)


@pytest.mark.parametrize("datatype", WHOLE)
def test_whole_numbers_are_exact_to_the_ends_of_their_range(datatype: Datatype) -> None:
    bounds = np.iinfo(NUMPY_DTYPES[datatype])
    ends = [int(bounds.min), int(bounds.max)]
    found = read(json.dumps(ends), datatype, 2)
    assert (found.tolist(), found.dtype) == (ends, NUMPY_DTYPES[datatype])
    assert read("[1.0, 2e0]", datatype, 2).tolist() == [1, 2]
    for beyond in (ends[0] - 1, ends[1] + 1, 10**30, 0.5):
        (said,) = refused(json.dumps([1, beyond]), datatype, 2)
        assert said.startswith("row 1, x: expected a whole number")


@pytest.mark.parametrize("datatype", [Datatype.FP64, Datatype.FP32])
def test_floating_point_numbers_have_the_precision_of_their_datatype(datatype: Datatype) -> None:
    found = read("[0.1, 1, -2.5e-3, 12345678901234567890]", datatype, 4)
    dtype = NUMPY_DTYPES[datatype]
    expected = np.array([0.1, 1, -2.5e-3, 12345678901234567890], dtype=dtype)
    assert (found.dtype, found.tolist()) == (dtype, expected.tolist())
    for beyond in ("1e400", "-1e400", "1e39" if datatype is Datatype.FP32 else "Infinity"):
        (said,) = refused(f"[1, {beyond}]", datatype, 2)
        assert said.startswith("row 1, x: expected a number")
    assert np.isnan(read("[1.5, NaN]", datatype, 2)).tolist() == [False, True]


def test_flags_and_texts_are_of_their_own_type() -> None:
    assert read("[true, false]", Datatype.BOOL, 2).tolist() == [True, False]
    found = read('["a", "", "é\\u0000"]', Datatype.BYTES, 3, 1)
    assert (found.dtype, found.tolist()) == (np.dtype(object), [["a"], [""], ["é\0"]])
    assert len(refused('[1, "true", "a"]', Datatype.BOOL, 3)) == 3
    assert len(refused("[1, true, 0.5]", Datatype.BYTES, 3)) == 3
    assert len(refused('["1", true, "a"]', Datatype.FP64, 3)) == 3
    assert len(refused('["\U0010ffff"]', Datatype.BYTES, 1)) == 1


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("[1, 2, 3, 4, 5, 6]", (2, 3)),
        ("[[1, 2, 3], [4, 5, 6]]", (2, 3)),
        (" [ [1, 2, 3], [4, 5, 6]]", (2, 3)),
        ("[1, 2, 3, 4, 5, 6]", (1, 2, 3)),
        ("[[[1, 2, 3], [4, 5, 6]]]", (1, 2, 3)),
        ("[[[1], [2], [3]], [[4], [5], [6.0]]]", (2, 3, 1)),
    ],
)
@pytest.mark.parametrize("datatype", [Datatype.FP64, Datatype.INT32])
def test_data_is_flat_or_nested_as_the_shape_is(
    text: str, shape: tuple[int, ...], datatype: Datatype
) -> None:
    found = read(text, datatype, *shape)
    assert found.shape == shape
    assert found.ravel().tolist() == [1, 2, 3, 4, 5, 6]
    assert found.dtype == NUMPY_DTYPES[datatype]


def test_shapes_without_elements_or_axes() -> None:
    assert read("[]", Datatype.FP64, 0).shape == (0,)
    assert read("[]", Datatype.FP64, 0, 4).shape == (0, 4)
    assert read("[[], []]", Datatype.FP64, 2, 0).shape == (2, 0)
    assert read("[7]", Datatype.INT8).shape == ()


def test_many_axes_are_read_too() -> None:
    shape = (1,) * 12
    deep = "[" * 12 + "5" + "]" * 12
    assert read(deep, Datatype.FP64, *shape).shape == shape


@pytest.mark.parametrize(
    ("text", "shape", "words"),
    [
        ("[1, 2, 3]", (2, 2), "length 4"),
        ("[1, 2, 3, 4, 5]", (2, 2), "length 5"),
        ("[[1, 2], [3]]", (2, 2), "arrays of 2"),
        ("[[1, 2], [3, 4]]", (4,), "one of 2"),
        ("[[1, 2], [3, 4]]", (1, 4), "one of 2"),
        ("[[1, 2, 3, 4]]", (2, 2), "one of 1"),
        ("[[1, 2], 3]", (2, 2), "got 3"),
        ("[[[1], [2]], [[3], [4]]]", (2, 2), "an array"),
        ("5", (1,), "expected an array, got 5"),
        ('"5"', (1,), "expected an array"),
        ("{}", (1,), "an object"),
        ("[1]", (2**40,), "length 1"),
        ("[]", (1,), "length 0"),
    ],
)
def test_data_of_another_shape_is_refused_before_anything_is_allocated(
    text: str, shape: tuple[int, ...], words: str
) -> None:
    for datatype in (Datatype.FP64, Datatype.INT8):
        assert words in " ".join(refused(text, datatype, *shape))


@pytest.mark.parametrize(
    ("text", "datatype"),
    [
        ("[null, 9007199254740991]", Datatype.INT64),
        ("[[null], [0.5]]", Datatype.FP32),
        ('["a", null]', Datatype.BYTES),
        ("[true, null]", Datatype.BOOL),
    ],
)
def test_a_null_is_kept_and_the_values_beside_it_as_they_came(
    text: str, datatype: Datatype
) -> None:
    found = read(text, datatype, 2, 1)
    assert (found.dtype, found.shape) == (np.dtype(object), (2, 1))
    assert found.ravel().tolist() == np.array(json.loads(text), object).ravel().tolist()


def test_every_wrong_element_is_said_with_its_row() -> None:
    said = refused('[[1, "a"], [null, true], [{}, [1]]]', Datatype.FP64, 3, 2)
    assert [one.partition(",")[0] for one in said] == ["row 0", "row 1", "row 2", "row 2"]
    with pytest.raises(SignatureMismatch) as found:
        read(json.dumps(["a"] * 1000), Datatype.FP64, 1000)
    assert (len(found.value.problems), found.value.total) == (100, 1000)


def test_usual_data_is_not_looked_at_element_by_element() -> None:
    rows = np.random.default_rng(3).normal(size=(1000, 4))
    for text in (msgspec.json.encode(rows.tolist()), msgspec.json.encode(rows.ravel().tolist())):
        found = read(text.decode(), Datatype.FP64, 1000, 4)
        assert found.tobytes() == rows.tobytes()


def test_numbers_are_counted_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the numbers were read")

    monkeypatch.setattr(oip_json, "_quickly", never)
    data = msgspec.Raw(b"[" + b"0," * 100_000 + b"0]")
    with pytest.raises(SignatureMismatch) as found:
        oip_json.read_data(data, "X", Datatype.FP32, (1, 2), 100)
    (problem,) = found.value.problems
    assert (problem.code, problem.received) == ("wrong-shape", "length 100001")


def test_as_many_numbers_as_the_shape_says_are_read_however_they_are_nested() -> None:
    for text in (b"[" + b"1.5, " * 2999 + b"2]", b"[[" + b"1.5,1.5,2],[" * 999 + b"1.5,1.5,2]]"):
        array = oip_json.read_data(msgspec.Raw(text), "X", Datatype.FP64, (1000, 3), 100)
        assert array.shape == (1000, 3)
        assert array[-1, -1] == 2.0
