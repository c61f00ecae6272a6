"""Bodies of JSON with tensors behind it."""

from __future__ import annotations

import numpy as np
import pytest

from modelway.domain.errors import MalformedPayload
from modelway.rest.oip_binary import HEADER, Tail, joined, json_length


def test_the_header_is_a_length_that_the_body_has() -> None:
    assert json_length({}, b"abc") is None
    for told, length in ((b"0", 0), (b"3", 3), (b"02", 2)):
        assert json_length({HEADER: told}, b"abc") == length
    for told in (b"", b"-1", b"+1", b"4", b"1.5", b"abc", b"0x1", b"1 ", b"9" * 400, b"\xff"):
        with pytest.raises(MalformedPayload, match="Inference-Header-Content-Length"):
            json_length({HEADER: told}, b"abc")


def test_tensors_are_taken_in_their_order_to_the_end() -> None:
    tail = Tail(memoryview(b"aabbb"))
    assert tail.take({}, "x") is None
    assert tail.take({"binary_data_size": None}, "x") is None
    first, second = tail.take({"binary_data_size": 2}, "x"), tail.take({"binary_data_size": 3}, "x")
    assert (bytes(first or b""), bytes(second or b"")) == (b"aa", b"bbb")
    assert tail.take({"binary_data_size": 0}, "x") == b""
    tail.end()
    Tail(None).end()


@pytest.mark.parametrize("size", [-1, 6, 2**70, 1.0, True, "2"])
def test_a_length_that_is_none_or_too_long_is_refused(size: int | float | str) -> None:
    with pytest.raises(MalformedPayload, match="binary_data_size"):
        Tail(memoryview(b"aabbb")).take({"binary_data_size": size}, "x")


def test_bytes_without_a_header_or_without_a_tensor_are_refused() -> None:
    with pytest.raises(MalformedPayload, match="no Inference-Header-Content-Length"):
        Tail(None).take({"binary_data_size": 1}, "x")
    tail = Tail(memoryview(b"aabbb"))
    tail.take({"binary_data_size": 2}, "x")
    with pytest.raises(MalformedPayload, match="3 bytes are left"):
        tail.end()


def test_a_response_says_how_long_its_json_is_where_there_is_more() -> None:
    plain = joined(b"{}", [], b"a: b\r\n")
    assert (plain.body, plain.content_type, plain.headers) == (
        *(b"{}", b"application/json"),
        b"a: b\r\n",
    )
    view = np.arange(3, dtype=np.uint8).data
    more = joined(b"{}", [b"aa", view], b"a: b\r\n")
    assert (more.body, more.content_type) == (b"{}aa\x00\x01\x02", b"application/octet-stream")
    assert more.headers == b"a: b\r\n%s: 2\r\n" % HEADER
