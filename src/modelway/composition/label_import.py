"""Labels from a CSV file, a portion at a time; bad rows are said with their lines."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from modelway.domain.errors import InvalidInput, SourceNotFound
from modelway.records.labelling import Claim, check_claim, portions, value_in

_COLUMNS = ("prediction_id", "row", "value", "at", "source")
_MOST_SAID = 1_000
"""So many bad rows are kept with what is wrong; all of them are counted."""

Send = Callable[[Sequence[Mapping[str, Any]]], object]
"""Stores claims, all of them or none. Raises InvalidInput for those that cannot be stored."""


class BadRow(msgspec.Struct, frozen=True):
    """A row that is no label: the line of the file on which it ends, and what is wrong."""

    line: int
    error: str


@dataclass(slots=True)
class Imported:
    """What came of a file: rows taken, rows that were bad, and the first of these."""

    imported: int = 0
    bad: int = 0
    bad_rows: list[BadRow] = field(default_factory=list)

    def refuse(self, line: int, error: str) -> None:
        """Count a bad row."""
        self.bad += 1
        if len(self.bad_rows) < _MOST_SAID:
            self.bad_rows.append(BadRow(line, error))


def import_labels(
    path: Path, send: Send, *, as_text: bool = False, progress: Callable[[int], object] = int
) -> Imported:
    """Send every row of a file that is a label; ``progress`` is told of the bytes that were read.

    A value is a number or a Boolean where it says one, unless all are taken ``as_text``.

    Raises:
        SourceNotFound: there is no such file.
        InvalidInput: it has no header, or another than it may have.
        ModelwayError: the labels cannot be stored; those of earlier portions are, and the same file
            may be imported again.
    """
    done = Imported()
    try:
        file = path.open("rb")
    except OSError as error:
        raise SourceNotFound(str(path), hint=error.strerror) from error
    with file:
        lines: deque[int] = deque()
        claims = _claims(file, done, lines, as_text=as_text, progress=progress)
        for portion in portions(claims):
            _sent([(lines.popleft(), claim) for claim in portion], send, done)
    return done


def _sent(portion: Sequence[tuple[int, Claim]], send: Send, done: Imported) -> None:
    """Send claims with their lines; where some cannot be stored, store the others."""
    try:
        send([msgspec.to_builtins(claim) for _, claim in portion])
    except InvalidInput as error:
        if len(portion) == 1:
            done.refuse(portion[0][0], error.message)
            return
        half = len(portion) // 2
        _sent(portion[:half], send, done)
        _sent(portion[half:], send, done)
    else:
        done.imported += len(portion)


def _claims(
    file: BinaryIO,
    done: Imported,
    lines: deque[int],
    *,
    as_text: bool,
    progress: Callable[[int], object],
) -> Iterator[Claim]:
    """The rows that are claims; ``lines`` gets the line of each, in the same order."""
    reader = csv.reader(_text(file, progress))
    columns = _header(reader)
    while True:
        try:
            row = next(reader)
            if not row:
                continue
            claim = _claim(columns, row, as_text=as_text)
        except StopIteration:
            return
        except (InvalidInput, csv.Error) as error:
            done.refuse(reader.line_num, str(error))
            continue
        lines.append(reader.line_num)
        yield claim


def _text(file: BinaryIO, progress: Callable[[int], object]) -> Iterator[str]:
    """The lines of a file; bytes that are no UTF-8 become what no label may hold."""
    for number, line in enumerate(file):
        progress(len(line))
        encoding = "utf-8-sig" if number == 0 else "utf-8"
        yield line.decode(encoding, errors="surrogateescape")


def _header(reader: Iterator[list[str]]) -> Sequence[str]:
    columns = [name.strip() for name in next(reader, [])]
    unknown = [name for name in columns if name not in _COLUMNS]
    missing = [name for name in ("prediction_id", "value") if name not in columns]
    if unknown or missing or len(set(columns)) != len(columns):
        raise InvalidInput(
            f"the first line names the columns, and says {', '.join(columns)[:200] or 'nothing'}",
            hint="columns are prediction_id, value and, where they are known, row, at, source",
        )
    return columns


def _claim(columns: Sequence[str], row: Sequence[str], *, as_text: bool) -> Claim:
    """The claim of a row. Raises InvalidInput."""
    if len(row) != len(columns):
        raise InvalidInput(f"expected {len(columns)} cells, got {len(row)}")
    cells = {name: cell for name, cell in zip(columns, row, strict=True) if cell}
    if "value" not in cells:
        raise InvalidInput("value: expected a number, a text or a Boolean, the cell is empty")
    value = cells["value"]
    try:
        claim = Claim(
            cells.get("prediction_id", ""),
            msgspec.convert(cells["row"], int, strict=False) if "row" in cells else None,
            value if as_text else value_in(value),
            at=msgspec.convert(cells["at"], datetime) if "at" in cells else None,
            source=cells.get("source"),
        )
    except msgspec.ValidationError as error:
        wrong = "row" if "int" in str(error) else "at"
        raise InvalidInput(f"{wrong}: {error}, got {cells[wrong][:80]!r}") from None
    check_claim(claim)
    return claim
