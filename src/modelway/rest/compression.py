"""Compressed request bodies: gzip, deflate and zstd, unpacked up to the largest body that is taken.

The bound holds while unpacking, so a small body that would become a large one costs no memory.

Source: RFC 9110, section 8.4.1; RFC 1950 to 1952; RFC 8878 (Zstandard).
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator

from modelway.domain.errors import MalformedPayload, PayloadTooLarge, UnsupportedMedia

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_PIECE_BYTES = 1024 * 1024
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_ZLIB_METHOD = 8
"""The low half of the first byte of zlib's format; of what is inside of it, never."""


def unpacked(body: bytes, encoding: bytes, largest_bytes: int) -> bytes:
    """The body as it was before its Content-Encoding, which may name one.

    Raises:
        UnsupportedMedia: an encoding that is not read here, or several of them.
        MalformedPayload: it is not what the header says.
        PayloadTooLarge: it holds more than ``largest_bytes``.
    """
    kind = encoding.strip().lower()
    if kind == b"identity":
        return body
    if kind in (b"gzip", b"x-gzip"):
        pieces = _inflated(body, _GZIP_WINDOW)
    elif kind == b"deflate":
        # RFC 9110 says zlib's format; some clients send what is inside of it.
        wrapped = body[:1] and body[0] & 0x0F == _ZLIB_METHOD
        pieces = _inflated(body, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
    elif kind == b"zstd":
        pieces = _unframed(body)
    else:
        raise UnsupportedMedia(
            f"a body in {kind[:40].decode('latin-1')!r} is not read here",
            hint="compress with gzip, deflate or zstd, or send it as it is",
        )
    whole = bytearray()
    try:
        for piece in pieces:
            whole += piece
            if len(whole) > largest_bytes:
                raise PayloadTooLarge(
                    f"the body is larger than the {largest_bytes} bytes taken, once unpacked"
                )
    except (zlib.error, zstd.ZstdError) as error:
        raise MalformedPayload(f"the body is not {kind.decode()}: {error}") from None
    except EOFError:
        raise MalformedPayload(f"the body ends before its {kind.decode()} does") from None
    return bytes(whole)


def _inflated(packed: bytes, window: int) -> Iterator[bytes]:
    """The pieces of all members of a gzip body, or of the one of a deflate body."""
    while packed:
        unpacker = zlib.decompressobj(window)
        while not unpacker.eof:
            # All may be consumed while some is still to come out.
            piece = unpacker.decompress(packed, _PIECE_BYTES)
            if not (packed or piece or unpacker.eof):
                raise EOFError
            yield piece
            packed = unpacker.unconsumed_tail
        packed = unpacker.unused_data


def _unframed(packed: bytes) -> Iterator[bytes]:
    """The pieces of all frames of a zstd body."""
    while packed:
        unpacker = zstd.ZstdDecompressor()
        while not unpacker.eof:
            if not packed and unpacker.needs_input:
                raise EOFError
            yield unpacker.decompress(packed, _PIECE_BYTES)
            packed = b""
        packed = unpacker.unused_data
