"""CSV as it is written to files: rows end with a newline, and cells with an end of line are quoted.

Python before 3.13 quotes the characters of the end of its own lines only, so that a carriage return
in a cell would be read as the end of a row. So rows are given to it to end with both, and end with
the newline where they are written.

Source: RFC 4180, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

LINE_END = "\r\n"
"""What a ``csv.writer`` of ``NewlineEnds`` is to end its rows with."""


@dataclass(frozen=True, slots=True)
class NewlineEnds:
    """Where a ``csv.writer`` writes its rows to, one at a time."""

    stream: IO[str]

    def write(self, row: str) -> int:
        """A row, with the end that it has in the file."""
        return self.stream.write(row[: -len(LINE_END)] + "\n")
