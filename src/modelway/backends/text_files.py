"""Files of text in parts: their parts one after the other are the whole."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from modelway.batch.ports import ArrowColumn, Values
from modelway.domain.errors import MalformedPayload

LONGEST_BYTES = 16 * 1024 * 1024
"""No record is longer: a file without the ends of lines must not be read whole to find that out."""

_COPIED_BYTES = 1024 * 1024


class TextJoiner:
    """Puts parts one behind the other, byte by byte."""

    def join(self, parts: Sequence[Path], output: Path) -> None:
        """Write ``output`` of all parts."""
        with output.open("wb") as whole:
            for part in parts:
                with part.open("rb") as stream:
                    shutil.copyfileobj(stream, whole, _COPIED_BYTES)


def line_read(stream: IO[bytes], path: Path, begun: bytes = b"") -> bytes:
    """A line, of which ``begun`` was read already; nothing at the end. Raises MalformedPayload."""
    line = begun + stream.readline(LONGEST_BYTES + 1 - len(begun))
    if len(line) > LONGEST_BYTES:
        raise too_long(path, stream.tell() - len(line))
    return line


def too_long(path: Path, at: int) -> MalformedPayload:
    """The error of a record that goes on and on from byte ``at``."""
    return MalformedPayload(
        f"the record at byte {at} of {path} is longer than {LONGEST_BYTES} bytes",
        hint="look whether its lines end, and its quotes are closed",
    )


def lines_of(data: bytes) -> list[bytes]:
    """Text as its lines, each with its end."""
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def listed(values: Values) -> Sequence[Any]:
    """The values as Python has them."""
    if isinstance(values, ArrowColumn):
        return values.to_pylist()
    return values.tolist() if isinstance(values, np.ndarray) else values


def text_of(value: object) -> str:
    """A value that is no text as text: moments as ISO 8601 has them, bytes as base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
