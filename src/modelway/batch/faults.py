"""Rows that could not be answered, and why: the lines of the error file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec


class ValueProblem(msgspec.Struct, frozen=True):
    """One thing wrong with one value; ``column`` is empty where it is the row itself."""

    column: str
    code: str
    message: str


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row that could not be answered.

    ``row`` is its number in the file and ``line`` that of the line where it begins, both counted
    from 1. ``values`` are as they came; of a row that cannot be read, the text under ``line``.
    """

    row: int
    line: int | None = None
    file: str = ""
    id: Any = None
    problems: tuple[ValueProblem, ...] = ()
    values: dict[str, Any] = {}

    @property
    def message(self) -> str:
        """What is wrong first, and where, as one sentence."""
        line = "" if self.line is None else f" (line {self.line})"
        first = self.problems[0].message if self.problems else "it cannot be answered"
        return f"{self.file}, row {self.row}{line}: {first}"


def damaged(row: int, line: int, code: str, message: str, text: bytes) -> Fault:
    """The fault of a row of text that cannot be read."""
    shown = text.decode("utf-8", "replace").rstrip("\r\n")[:_SHOWN]
    return Fault(row, line, problems=(ValueProblem("", code, message),), values={"line": shown})


def lines_of(faults: Iterable[Fault]) -> bytes:
    """The faults as lines of JSON."""
    return b"".join(_encode(fault) + b"\n" for fault in faults)


_SHOWN = 10_000
_encode = msgspec.json.Encoder(enc_hook=str).encode
