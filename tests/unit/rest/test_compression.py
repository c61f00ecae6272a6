"""Compressed bodies: unpacked whole, bounded, or refused with what is wrong."""

from __future__ import annotations

import gzip
import sys
import zlib

import pytest

from modelway.domain.errors import MalformedPayload, PayloadTooLarge, UnsupportedMedia
from modelway.rest.compression import unpacked

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BODY = bytes(range(256)) * 20_000 + b"a" * 3_000_000
LARGEST = len(BODY)


def raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


PACKED = {
    "gzip": (b"gzip", gzip.compress(BODY)),
    "x-gzip": (b"X-GZIP", gzip.compress(BODY)),
    "two members": (b"gzip", gzip.compress(BODY[:100]) + gzip.compress(BODY[100:])),
    "deflate": (b"deflate", zlib.compress(BODY)),
    "deflate without zlib": (b"deflate", raw_deflate(BODY)),
    "zstd": (b"zstd", zstd.compress(BODY)),
    "two frames": (b"zstd", zstd.compress(BODY[:100]) + zstd.compress(BODY[100:])),
    "as it is": (b"identity", BODY),
}


@pytest.mark.parametrize("name", PACKED)
def test_a_body_is_unpacked_up_to_the_bound(name: str) -> None:
    encoding, packed = PACKED[name]
    assert unpacked(packed, encoding, LARGEST) == BODY
    if encoding != b"identity":
        with pytest.raises(PayloadTooLarge, match="once unpacked"):
            unpacked(packed, encoding, LARGEST - 1)


@pytest.mark.parametrize("name", [one for one in PACKED if one != "as it is"])
def test_a_body_that_breaks_off_or_is_something_else_is_malformed(name: str) -> None:
    encoding, packed = PACKED[name]
    for wrong in (packed[: len(packed) // 2], b"\x01\x02 not this"):
        with pytest.raises(MalformedPayload):
            unpacked(wrong, encoding, LARGEST)


@pytest.mark.parametrize("encoding", [b"br", b"gzip, gzip", b""])
def test_other_encodings_are_not_read(encoding: bytes) -> None:
    with pytest.raises(UnsupportedMedia):
        unpacked(BODY, encoding, LARGEST)
