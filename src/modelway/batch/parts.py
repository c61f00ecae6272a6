"""Parts: the pieces of the input that are read, scored and written as one.

A part is some row groups of a Parquet file, some bytes of a file of text, or the rows of a table
from one id to another; whoever scores it needs to read nothing before it. How an input is divided
depends on the input alone, never on how many score it, and so the output has the same bytes whoever
does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class PartSize:
    """A part ends where it has so many rows, or so many bytes: some seconds of work at most."""

    rows: int = 131_072
    bytes: int = 16 * 1024 * 1024

    def is_reached(self, n_rows: int, n_bytes: int) -> bool:
        """Whether so much is enough."""
        return n_rows >= self.rows or n_bytes >= self.bytes


USUAL = PartSize()

Id = int | str
"""What tells the rows of a table apart, as JSON has it."""


class Span(msgspec.Struct, frozen=True):
    """A piece of one file, from ``start`` to before ``end``: row groups, or bytes of text.

    Of a table it has the ``ids`` of its first and of its last row instead.

    ``first_row`` is the number of its first row in the input, ``first_line`` that of the line where
    this stands, both counted from 1; lines are 0 where the format has none.
    """

    start: int
    end: int
    first_row: int
    n_rows: int
    first_line: int = 0
    ids: tuple[Id, Id] | None = None


class Part(msgspec.Struct, frozen=True):
    """The span of the input at position ``file``; ``number`` is its place in all."""

    number: int
    file: int
    span: Span


class Done(msgspec.Struct, frozen=True):
    """What became of a part: rows that are answered, and rows that could not be."""

    n_rows: int
    n_errors: int


def planned(files: Iterable[Iterable[Span]]) -> Iterator[Part]:
    """The parts of all files, in the order of the output; at least one, which may have no rows."""
    number = 0
    for file, spans in enumerate(files):
        for span in spans:
            yield Part(number, file, span)
            number += 1
    if not number:
        yield Part(0, 0, Span(0, 0, 1, 0))
