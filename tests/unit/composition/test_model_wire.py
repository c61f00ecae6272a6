"""What travels between a worker and the process of a model arrives as it was, or is refused."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from modelway.composition import model_wire
from modelway.composition.model_wire import (
    Answered,
    BadMessage,
    Failed,
    Opening,
    WireArray,
    answer_of,
    heard,
    outputs_of,
    packed,
    question_of,
    said,
    send,
    table_of,
    unpacked,
)
from modelway.domain.signature import Signature, columns_named
from modelway.domain.tables import Array, Table
from support.running import assert_same_outputs
from support.tables import array_of, assert_same, rows_of, signatures

Pair = tuple[socket.socket, socket.socket]
DTYPES = ("bool", "i1", "u2", "i4", "i8", "u8", "f2", "f4", "f8", "c16", "M8[us]", "m8[s]", ">f4")


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def crossed(array: Array) -> Array:
    """The array, after it went over the wire."""
    raw = msgspec.msgpack.encode(packed(array))
    return unpacked(msgspec.msgpack.decode(raw, type=WireArray))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(DTYPES).flatmap(
        lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=0, min_side=0))
    )
)
def test_numbers_arrive_bit_for_bit_and_can_be_written_to(array: Array) -> None:
    found = crossed(array)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == array.tobytes()
    assert found.flags.writeable
    assert found.flags.aligned


def test_an_array_that_does_not_lie_in_one_piece_arrives() -> None:
    array = np.arange(24.0).reshape(4, 6)[::2, ::-2]
    assert crossed(array).tolist() == array.tolist()


@pytest.mark.parametrize(
    "values",
    [
        [],
        ["a", None, "ß\x00🙂", ""],
        [1, 2**70, 1.5, True, None],
        [{"kind": "big", "n": 1}, [1, [2.5]], "x"],
    ],
)
def test_objects_arrive_as_json_has_them(values: list[Any]) -> None:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    found = crossed(array)
    assert found.dtype == object
    assert [(type(v), v) for v in found.tolist()] == [(type(v), v) for v in values]


def test_numpys_own_values_in_an_object_array_arrive_as_pythons() -> None:
    array = np.empty(2, dtype=object)
    array[:] = [np.float64(1.5), {"n": np.int64(3), "v": np.arange(2)}]
    assert crossed(array).tolist() == [1.5, {"n": 3, "v": [0, 1]}]


@pytest.mark.parametrize("array", [np.array(["ab", "ß", ""]), np.array([b"ab", b"\xff"])])
def test_text_arrays_arrive(array: Array) -> None:
    found = crossed(array)
    assert found.dtype == array.dtype
    assert found.tolist() == array.tolist()


def test_what_has_no_form_in_json_does_not_travel() -> None:
    array = np.empty(1, dtype=object)
    array[0] = object()
    with pytest.raises(TypeError, match="no form in JSON"):
        packed(array)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_table_arrives_as_it_was(data: st.DataObject) -> None:
    signature: Signature = data.draw(signatures())
    rows = data.draw(st.lists(rows_of(signature), min_size=1, max_size=5))
    columns = [array_of(c, [row[c.name] for row in rows]) for c in signature.columns]
    if signature.is_numeric:
        table = Table(signature, len(rows), matrix=np.stack(columns, axis=1))
    else:
        table = Table(signature, len(rows), arrays=columns)
    assert_same(table_of(question_of(table), signature), table)


def test_outputs_arrive_in_order() -> None:
    outputs = {"class_index": np.array([0, 2]), "probabilities": np.ones((2, 3), np.float32)}
    assert_same_outputs(outputs_of(answer_of(outputs)), outputs)


RAW = np.zeros(4).tobytes()
HOSTILE = [
    WireArray("<f8", (5,), RAW),
    WireArray("<f8", (-1, -4), RAW),
    WireArray("<f8", (2**40, 2**40), b""),
    WireArray("<f8", (1,) * 64, RAW[:8]),
    WireArray("O8", (1,), RAW),
    WireArray("|O", (4,), RAW),
    WireArray("V8", (4,), RAW),
    WireArray("<f8,<i4", (1,), RAW),
    WireArray("<U99999999", (1,), b'["a"]'),
    WireArray("U", (1,), b"[1]"),
    WireArray("U", (2,), b'["a"]'),
    WireArray("O", (2**31,), b"[1]"),
    WireArray("O", (1,), b"[1"),
    WireArray("O", (1,), b"[" * 10_000 + b"]" * 10_000),
    WireArray("S", (1,), '["€"]'.encode()),
    WireArray("M8[parsec]", (4,), RAW),
]


@pytest.mark.parametrize("wire", HOSTILE, ids=lambda wire: f"{wire.dtype}{wire.shape}"[:30])
def test_arrays_that_contradict_themselves_are_refused(wire: WireArray) -> None:
    with pytest.raises(BadMessage):
        unpacked(wire)


def test_one_long_text_does_not_make_all_of_them_long() -> None:
    values = [""] * 10_000 + ["x" * 100_000]
    with pytest.raises(BadMessage):
        unpacked(WireArray("U", (len(values),), msgspec.json.encode(values)))


def test_a_boolean_is_true_or_false_whatever_its_byte() -> None:
    found = unpacked(WireArray("|b1", (3,), b"\x00\x01\x07"))
    assert found.tobytes() == b"\x00\x01\x01"


@pytest.mark.parametrize("n_bytes", [10, 200_000])
def test_messages_go_both_ways_whole(pair: Pair, n_bytes: int) -> None:
    one, other = pair
    sending = threading.Thread(target=send, args=(one, Opening("x" * n_bytes, True)))
    sending.start()
    assert heard(other) == Opening("x" * n_bytes, True)
    sending.join()
    send(other, Failed(None, "no"))
    assert said(one) == Failed(None, "no")
    other.close()
    assert said(one) is None


@pytest.mark.parametrize(
    "cut", [lambda raw: raw[:3], lambda raw: raw[:-1]], ids=["in the length", "in the body"]
)
def test_a_message_that_ends_too_early_is_none(pair: Pair, cut: Callable[[bytes], bytes]) -> None:
    one, other = pair
    body = msgspec.msgpack.encode(Failed(None, "no"))
    other.sendall(cut(len(body).to_bytes(8, "big") + body))
    other.close()
    assert said(one) is None


@pytest.mark.parametrize(
    "raw",
    [
        (2**63).to_bytes(8, "big"),
        (3).to_bytes(8, "big") + b"\xc1\xc1\xc1",
        (1).to_bytes(8, "big") + b"\xc0",
    ],
)
def test_what_is_no_message_is_refused(pair: Pair, raw: bytes) -> None:
    one, other = pair
    other.sendall(raw)
    with pytest.raises(BadMessage):
        said(one)


def test_what_the_other_side_says_is_not_heard_as_ones_own(pair: Pair) -> None:
    one, other = pair
    send(other, Answered({}))
    with pytest.raises(BadMessage):
        heard(one)


def test_a_claimed_length_takes_no_memory_before_the_bytes_come(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = pair
    asked: list[int] = []

    class Noting:
        """A socket that notes what it is asked for."""

        def recv(self, n_bytes: int) -> bytes:
            asked.append(n_bytes)
            return one.recv(n_bytes)

    other.sendall((model_wire.LONGEST_BYTES).to_bytes(8, "big") + b"x")
    other.close()
    assert said(Noting()) is None  # type: ignore[arg-type] # all that it needs of a socket
    assert max(asked) <= 1 << 20


def test_bytes_arrive_as_bytes() -> None:
    array = np.array([b"\x00a\xff", None, b""], dtype=object)
    found = crossed(array)
    assert found.dtype == object
    assert found.tolist() == array.tolist()


def test_what_a_caller_says_beside_the_rows_arrives() -> None:
    signature = Signature(columns_named(["a"]))
    table = Table(signature, 1, matrix=np.ones((1, 1)))
    table.parameters = {"top": 3, "words": ["a", None], "deep": {"b": 0.5}}
    found = table_of(question_of(table), signature)
    assert found.parameters == table.parameters
    broken = msgspec.structs.replace(question_of(table), parameters=b"[1]")
    with pytest.raises(BadMessage, match="parameters"):
        table_of(broken, signature)
