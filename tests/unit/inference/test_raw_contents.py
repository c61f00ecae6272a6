from __future__ import annotations

import struct

import numpy as np
import pytest

from modelway.domain.signature import Datatype
from modelway.domain.tables import NUMPY_DTYPES
from modelway.inference.raw_contents import RAW_DTYPES, array_of, raw_of

NUMBERS = sorted(RAW_DTYPES)


@pytest.mark.parametrize("datatype", NUMBERS)
def test_numbers_come_back_as_they_went(datatype: Datatype) -> None:
    array = np.array([[0, 1, 1], [1, 0, 1]]).astype(NUMPY_DTYPES[datatype])
    raw = raw_of(datatype, array)
    assert len(raw) == 6 * array.itemsize
    assert np.array_equal(array_of(raw, datatype, 6).reshape(2, 3), array)


def test_numbers_are_little_endian_in_row_order() -> None:
    array = np.array([[1, 2], [3, 256]], dtype=">i4").T
    assert raw_of(Datatype.INT32, array) == struct.pack("<4i", 1, 3, 2, 256)


def test_numbers_stay_where_they_came() -> None:
    raw = bytes(800)
    array = array_of(raw, Datatype.FP64, 100)
    assert np.shares_memory(array, np.frombuffer(raw, np.uint8))
    assert not array.flags.writeable


def test_numbers_at_an_address_that_is_not_theirs_are_copied() -> None:
    raw = memoryview(b"x" + np.array([1.5, 2.5]).tobytes())[1:]
    array = array_of(raw, Datatype.FP64, 2)
    assert array.flags.aligned
    assert array.tolist() == [1.5, 2.5]


@pytest.mark.parametrize("datatype", NUMBERS)
@pytest.mark.parametrize("surplus", [-1, 1])
def test_too_few_or_too_many_bytes_are_refused(datatype: Datatype, surplus: int) -> None:
    length = 3 * RAW_DTYPES[datatype].itemsize + surplus
    with pytest.raises(ValueError, match=f"^{length} bytes, not {length - surplus}$"):
        array_of(bytes(length), datatype, 3)


def test_a_boolean_is_0_or_1() -> None:
    assert array_of(b"\x00\x01", Datatype.BOOL, 2).tolist() == [False, True]
    with pytest.raises(ValueError, match="neither 0 nor 1"):
        array_of(b"\x00\x02", Datatype.BOOL, 2)


def test_bytes_come_back_as_they_went() -> None:
    elements = [b"", b"a", b"\x00\xff", "grün".encode(), b"x" * 300]
    array = np.empty(5, dtype=object)
    array[:] = elements
    raw = raw_of(Datatype.BYTES, array)
    assert raw[:9] == b"\x00\x00\x00\x00\x01\x00\x00\x00a"
    assert array_of(raw, Datatype.BYTES, 5).tolist() == elements


def test_text_is_written_in_utf_8() -> None:
    array = np.array(["grün", "b"], dtype=object)
    assert raw_of(Datatype.BYTES, array) == b"\x05\0\0\0gr\xc3\xbcn\x01\0\0\0b"


@pytest.mark.parametrize(
    ("raw", "count", "said"),
    [
        (b"", 1, "0 bytes, too few for 1 lengths"),
        (b"\x01\0\0\0", 1, "an end within element 0"),
        (b"\x01\0\0\0a\xff\xff\xff\xffb", 2, "an end within element 1"),
        (b"\x00\0\0\0a", 1, "1 bytes after the last element"),
        (b"\x00\0\0\0", 10**12, "4 bytes, too few for 1000000000000 lengths"),
        (b"a", 0, "1 bytes after the last element"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(raw: bytes, count: int, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        array_of(raw, Datatype.BYTES, count)
