"""JSON bytes to Python values, with a cap on nesting that holds before anything recurses.

Source: RFC 8259; ``NaN`` and ``Infinity`` are no JSON and are refused.
"""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import numpy as np

from modelway.domain.errors import MalformedPayload, PayloadTooLarge

_CHUNK_BYTES = 1 << 20
_KEPT = b'"[]{}'
_DROPPED = bytes(b for b in range(256) if b not in _KEPT)
_LONGEST_INTEGER = 400

_decode = msgspec.json.Decoder().decode


def parse_json(body: bytes, max_depth: int) -> Any:
    """The value of a JSON text; a number that no float64 holds is infinite.

    Raises:
        MalformedPayload: it is no JSON, or not UTF-8.
        PayloadTooLarge: it is nested deeper than ``max_depth``.
    """
    if not body.strip():
        raise MalformedPayload("the body is empty", hint='send JSON such as {"column": 1.5}')
    if nesting(body, max_depth) > max_depth:
        raise PayloadTooLarge(f"the JSON is nested deeper than {max_depth} levels")
    try:
        return _decode(body)
    except msgspec.ValidationError:
        return _parse_with_large_numbers(body)
    except RecursionError:
        raise PayloadTooLarge("the JSON is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise MalformedPayload(f"the body is not UTF-8: {error.reason}") from None
    except msgspec.DecodeError as error:
        raise MalformedPayload(f"the body cannot be read: {error}") from None


def nesting(body: bytes, enough: int) -> int:
    """How deep arrays and objects are nested; counting stops above ``enough``."""
    if body.count(b"[") + body.count(b"{") <= enough:
        return enough  # it cannot be deeper, and that is all that is asked
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _DROPPED)
    depth, deepest, in_text = 0, 0, False
    for start in range(0, len(plain), _CHUNK_BYTES):
        marks = np.frombuffer(plain, np.uint8, min(_CHUNK_BYTES, len(plain) - start), start)
        inside = np.logical_xor.accumulate(marks == ord('"')) ^ in_text
        steps = np.isin(marks, (ord("["), ord("{"))).astype(np.int8)
        steps -= np.isin(marks, (ord("]"), ord("}")))
        steps[inside] = 0
        depths = depth + np.cumsum(steps, dtype=np.int64)
        deepest = max(deepest, int(depths.max()))
        if deepest > enough:
            break
        depth, in_text = int(depths[-1]), bool(inside[-1])
    return deepest


def _parse_with_large_numbers(body: bytes) -> Any:
    """The value of a JSON text in which some number is too large for msgspec."""
    try:
        value = json.loads(
            body.decode(), parse_int=_integer, parse_float=float, parse_constant=_constant
        )
        msgspec.json.encode(value)  # finds half surrogates, which json lets through
    except RecursionError:
        raise PayloadTooLarge("the JSON is nested too deeply") from None
    except ValueError as error:
        raise MalformedPayload(f"the body cannot be read: {error}") from None
    return value


def _integer(text: str) -> int | float:
    if len(text) > _LONGEST_INTEGER:
        return -math.inf if text.startswith("-") else math.inf
    return int(text)


def _constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")
