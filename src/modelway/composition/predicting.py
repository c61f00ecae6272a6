"""The rows of a file, answered by a running service or by a bundle in this process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelway.composition.asking import Asked, asked
from modelway.composition.cell_values import CellValues
from modelway.composition.row_files import (
    Row,
    Types,
    columns_of,
    flat_names,
    format_of,
    read_batches,
    row_writer,
)
from modelway.domain.errors import InvalidInput, SignatureMismatch
from modelway.domain.signature import Column, Datatype
from modelway.settings import Settings

_ABOUT = frozenset(("endpoint", "version", "prediction_id", "warnings"))
_PREDICTION = "prediction"
_UNKNOWN = "unknown-column"
_NOT_LISTED = "more-warnings"

Answered = tuple[list[Row], list[Row]]
"""Rows as they are written, and what the model says of each."""


@dataclass
class Unusual:
    """One code of warning of one column: in how many rows, and what the first says.

    ``first_row`` is counted from 1.
    """

    column: str
    code: str
    first_row: int
    message: str
    n_rows: int = 0


@dataclass
class Predicted:
    """What became of a file.

    ``unknown`` are its columns that the model does not know. ``n_unusual`` rows had a warning of
    another kind; where not ``all_listed``, more had, as one request lists no more than so many.
    """

    n_rows: int = 0
    n_unusual: int = 0
    all_listed: bool = True
    unknown: list[str] = field(default_factory=list)
    unusual: dict[tuple[str, str], Unusual] = field(default_factory=dict)


def predict_file(
    model: str,
    source: Path,
    output: Path | None,
    *,
    endpoint: str | None = None,
    batch_rows: int,
    settings: Settings,
    say: Callable[[str], object],
) -> Predicted:
    """Write the rows of ``source`` with what ``model`` says of each; gives what was unusual.

    ``model`` is the address of a service, of which ``endpoint`` or the default one answers, or the
    folder of a bundle, or a reference to a version; ``say`` is given lines while that is bundled.
    ``output`` None is standard output, in the form of the input, or CSV for
    Parquet; a file is there when all rows are answered, and stays as it was where one is not.

    Raises:
        SignatureMismatch: values do not fit; the problems name the rows, counted from 1.
        InvalidInput: ``output`` is ``source``, or has columns of the names that answers have.
        ModelwayError: the file cannot be read or written, or the model cannot be asked.
    """
    form = format_of(source)
    written = format_of(output) if output else "csv" if form == "parquet" else form
    if output is not None and output.exists() and source.exists() and output.samefile(source):
        raise InvalidInput(
            f"{output} is the input itself", hint="give --output the name of another file"
        )
    header = columns_of(source)
    found = Predicted()
    with asked(model, endpoint, settings, say) as answering:
        asking = _Asking(answering, source, form, found)
        batches = asking.answered(batch_rows, typed=written != "csv")
        first = next(batches, ([], []))
        inputs, words = asking.columns(header, first)
        with row_writer(output, written, {**inputs, **words}) as write:
            for rows, said in itertools.chain([first], batches):
                write(asking.joined(rows, said, words))
    return found


class _Asking:
    """One file and the model that is asked about it; counts in ``found`` what comes back."""

    def __init__(self, asked: Asked, source: Path, form: str, found: Predicted) -> None:
        self._asked = asked
        self._source = source
        self._form = form
        self._found = found
        self._told: set[str] = set()

    def answered(self, batch_rows: int, *, typed: bool) -> Iterator[Answered]:
        """The batches of the file and their answers; ``typed`` where text is to have its values."""
        cells = CellValues(self._asked.signature) if self._form == "csv" else None
        for rows in read_batches(self._source, batch_rows):
            values = cells.of(rows) if cells else rows
            try:
                answers = self._asked.predict([self._sent(row) for row in values])
            except SignatureMismatch as error:
                raise _with_row_numbers(error, self._found.n_rows) from error
            self._count(answers)
            said = [{k: v for k, v in one.items() if k not in _ABOUT} for one in answers]
            yield (values if typed else rows), said

    def columns(self, header: Types, first: Answered) -> tuple[Types, Types]:
        """The columns of the file and those of the answers, as the first batch has them.

        Raises:
            InvalidInput: they have names in common.
        """
        rows, said = first
        names = dict.fromkeys(name for row in rows for name in flat_names(row)) if rows else header
        inputs = {name: self._type_of(name, header) for name in names}
        classes = self._asked.classes
        known: dict[str, Any] = {}
        if classes is not None:
            if any(str(label) in self._asked.signature.label_names for label in classes):
                known["label"] = str
            if self._asked.probabilities:
                known |= {f"probability_{label}": float for label in classes}
        words: dict[str, Any] = {_PREDICTION: type(classes[0]) if classes else float}
        if said:
            words = dict.fromkeys(name for name in flat_names(said[0]) if name not in known)
        words |= known
        self._refuse_clash(inputs, words)
        return inputs, words

    def joined(self, rows: Sequence[Row], said: Sequence[Row], words: Types) -> list[Row]:
        """The rows with what is said of each.

        Raises:
            InvalidInput: a row has a column of the name of an answer's.
        """
        for row in rows:
            self._refuse_clash(flat_names(row), words)
        return [{**row, **answer} for row, answer in zip(rows, said, strict=True)]

    def _refuse_clash(self, inputs: Iterable[str], words: Types) -> None:
        clash = [name for name in inputs if name in words]
        if clash:
            raise InvalidInput(
                f"{self._source} already has columns that the answer would replace: "
                + ", ".join(clash),
                hint="rename them in the file; where the model itself takes a column "
                f"{_PREDICTION!r}, ask a service started with --output-name",
            )

    def _sent(self, row: Row) -> Row:
        """The row, without the values of columns that the model does not know.

        The name of such a column is sent once: enough for the model to warn of it, or to refuse it
        where it is strict.
        """
        known = self._asked.signature.positions
        strange = [name for name in row if name not in known and name not in self._told]
        self._told.update(strange)
        return {k: v for k, v in row.items() if k in known} | dict.fromkeys(strange)

    def _count(self, answers: Sequence[Row]) -> None:
        found = self._found
        for answer in answers:
            found.n_rows += 1
            codes = set()
            for warning in answer.get("warnings", ()):
                code, column = warning["code"], warning["column"]
                if code == _UNKNOWN:
                    found.unknown.append(column)
                elif code == _NOT_LISTED:
                    found.all_listed = False
                else:
                    codes.add((column, code))
                    first = Unusual(column, code, found.n_rows, warning["message"])
                    found.unusual.setdefault((column, code), first)
            for key in codes:
                found.unusual[key].n_rows += 1
            found.n_unusual += bool(codes)

    def _type_of(self, name: str, header: Types) -> Any:
        """The type of a column of the file."""
        position = self._asked.signature.positions.get(name)
        if position is None or self._form == "parquet":
            return header.get(name)
        return _type(self._asked.signature.columns[position])


def _type(column: Column) -> type:
    if not column.is_numeric:
        return str
    if column.datatype is Datatype.BOOL:
        return bool
    return float if column.datatype.is_float else int


def _with_row_numbers(error: SignatureMismatch, before: int) -> SignatureMismatch:
    """The error with the rows of the file, counted from 1, in place of those of the batch."""
    problems = []
    for problem in error.problems:
        place = problem.pointer.split("/")[1:]
        numbers = [int(part) for part in place if part.isdecimal()]
        row = f"row {numbers[0] + before + 1}, " if numbers else ""
        problems.append(replace(problem, column=row + problem.column))
    return SignatureMismatch(problems, total=error.total)
