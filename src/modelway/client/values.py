"""Python, numpy and pandas values as JSON that the service reads as the same values.

Everything that stands for "nothing here" is null. An infinite number is written as one too large
for a float64, so that the service refuses it by its place and does not take it for a missing one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from modelway.domain.errors import InvalidInput

_TOO_LARGE = msgspec.Raw(b"1e999")


def encode(value: Any) -> bytes:
    """``value`` as JSON: dictionaries, sequences and what may stand in them.

    Raises:
        InvalidInput: a value is of a type that no column takes.
    """
    try:
        return _ENCODER.encode(_marked(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"this cannot be sent as JSON: {error}") from error


def plain(value: Any) -> Any:
    """A value that JSON does not know, as one that it knows; called for those only."""
    if isinstance(value, np.generic):
        if isinstance(value, np.datetime64):
            return None if np.isnat(value) else f"{value.astype('datetime64[us]')}Z"
        return _number(value.item())
    if isinstance(value, np.ndarray):
        return _marked(value.tolist())
    if isinstance(value, Mapping):
        return _marked(dict(value))
    if isinstance(value, Iterable):
        return _marked(list(value))
    if type(value).__name__ == "NAType" or value != value:
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    raise _refused(value)


_ENCODER = msgspec.json.Encoder(enc_hook=plain)


def _marked(value: Any) -> Any:
    """``value`` with every infinite float in it marked, for which JSON has no word."""
    if isinstance(value, (float, Decimal)):
        return _number(float(value))
    if isinstance(value, (bytes, bytearray)):
        raise _refused(value)
    if isinstance(value, dict):
        return {key: _marked(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_marked(one) for one in value]
    return value


def _refused(value: object) -> InvalidInput:
    return InvalidInput(
        f"a value of type {type(value).__name__} cannot be sent: {str(value)[:80]}",
        hint="send numbers, text, Booleans, datetimes or None",
    )


def _number(value: Any) -> Any:
    return _TOO_LARGE if isinstance(value, float) and math.isinf(value) else value
