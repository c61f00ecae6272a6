"""The scoring of rows: those that fit are answered, the others are faults.

One bad row costs the others of its batch nothing: where a batch is refused, the rows that are named
are left out, and where more are bad than one refusal lists, the batch is halved. So it is where a
row is answered that the output cannot hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from modelway.batch.faults import Fault, ValueProblem
from modelway.batch.ports import ArrowColumn, Columns, Rows, Writer
from modelway.domain.errors import InputRefused, InvalidInput, Problem, SignatureMismatch
from modelway.domain.inference import Outputs
from modelway.domain.tables import Table
from modelway.inference.findings import RowProblem
from modelway.inference.validation import Validator

Answers = Callable[[Outputs, int], Columns]
"""The outputs for so many rows as columns."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Rows with their answers; ``columns`` are those that are kept and the answers."""

    rows: Rows
    columns: Columns


@dataclass(frozen=True)
class Model:
    """What scores: the checks of its signature, how it is asked, and how it answers.

    A row needs a value in the column ``needed``, if one is named, for where it is written.
    """

    validator: Validator
    predict: Callable[[Table], Outputs]
    answers: Answers
    needed: str | None = None

    def scored(self, rows: Rows) -> Iterator[Answered | Fault]:
        """The rows that can be answered with their answers, in order, and a fault for each other.

        Raises:
            SignatureMismatch: no row can fit, as a column is missing.
            InvalidInput: a column that is kept is one of the answers.
            ModelFailed: the model cannot answer rows that fit.
        """
        yield from rows.damaged
        without = self._without(rows)
        if without:
            problem = ValueProblem(str(self.needed), "missing", f"{self.needed}: expected an id")
            for place in without:
                yield msgspec.structs.replace(rows.fault(place), problems=(problem,))
            left_out = frozenset(without)
            rows = rows.picked([k for k in range(len(rows.numbers)) if k not in left_out])
        if len(rows.numbers):
            yield from self._scored(rows)

    def _without(self, rows: Rows) -> Sequence[int]:
        """The places of rows that lack the value that each needs."""
        if self.needed is None or not len(rows.numbers):
            return ()
        values = rows.kept()[self.needed]
        present = values.to_pylist() if isinstance(values, ArrowColumn) else values
        return [k for k, value in enumerate(present) if value is None or value == ""]

    def _scored(self, rows: Rows) -> Iterator[Answered | Fault]:
        n_rows = len(rows.numbers)
        try:
            outputs = self.predict(rows.check(self.validator).table)
        except SignatureMismatch as error:
            by_row = _by_row(error.problems)
            if error.total > len(error.problems) and n_rows > 1:
                yield from self._halves(rows)
                return
            yield from (_faulty(rows, row, found) for row, found in by_row.items())
            good = [row for row in range(n_rows) if row not in by_row]
            if good:
                yield from self._scored(rows.picked(good))
        except InputRefused as error:
            if n_rows > 1:
                yield from self._halves(rows)
            else:
                yield _refused(rows, 0, error)
        else:
            kept, answers = rows.kept(), self.answers(outputs, n_rows)
            # Lines of JSON may each have other keys, so this is known with the rows only.
            refuse_clash(kept, answers)
            yield Answered(rows, {**kept, **answers})

    def _halves(self, rows: Rows) -> Iterator[Answered | Fault]:
        for half in _halved(range(len(rows.numbers))):
            yield from self._scored(rows.picked(half))


def refuse_clash(kept: Iterable[str], answers: Columns) -> None:
    """Do nothing if no column that is kept is one of the answers. Raises InvalidInput."""
    clash = [name for name in kept if name in answers]
    if clash:
        raise InvalidInput(
            f"the input has columns that the answer would replace: {', '.join(clash)}",
            hint="name the columns to keep with --columns, without these",
        )


def _by_row(problems: Sequence[Problem]) -> Mapping[int, list[Problem]]:
    """The problems by the place of their row.

    Raises:
        SignatureMismatch: one is of no row, but of all.
    """
    found: dict[int, list[Problem]] = {}
    for problem in problems:
        if not isinstance(problem, RowProblem):
            raise SignatureMismatch(problems)
        found.setdefault(problem.row, []).append(problem)
    return dict(sorted(found.items()))


def _faulty(rows: Rows, row: int, problems: Sequence[Problem]) -> Fault:
    told = tuple(
        ValueProblem(one.column, one.code, Problem.message.__get__(one)) for one in problems
    )
    return msgspec.structs.replace(rows.fault(row), problems=told)


def _refused(rows: Rows, row: int, error: InvalidInput) -> Fault:
    problem = ValueProblem("", error.code, error.message)
    return msgspec.structs.replace(rows.fault(row), problems=(problem,))


def _halved(places: range) -> tuple[range, range]:
    middle = len(places) // 2
    return places[:middle], places[middle:]


class Score:
    """The rows of a part, scored one after the other; it keeps none of them, only their number."""

    def __init__(self, model: Model, max_errors: int) -> None:
        self.n_rows = 0
        self.n_errors = 0
        self._model = model
        self._max_errors = max_errors

    @property
    def is_exceeded(self) -> bool:
        """Whether more rows cannot be answered than are allowed."""
        return self.n_errors > self._max_errors

    def write(self, rows: Rows, writer: Writer) -> Sequence[Fault]:
        """Score some rows; those that can be answered are written, a fault for each other is given,
        in the order of the rows. Raises as ``Model.scored``.

        Of those that cannot be written no more are looked for once there are too many.
        """
        faults: list[Fault] = []
        for one in self._model.scored(rows):
            if isinstance(one, Fault):
                self._add(one, faults)
            else:
                self._write(one, range(len(one.rows.numbers)), writer, faults)
        return sorted(faults, key=lambda fault: fault.row)

    def _add(self, fault: Fault, faults: list[Fault]) -> None:
        faults.append(fault)
        self.n_errors += 1

    def _write(
        self, answered: Answered, places: range, writer: Writer, faults: list[Fault]
    ) -> None:
        """Write the rows at these places, except those that cannot be written."""
        some = slice(places.start, places.stop)
        try:
            writer.write({name: values[some] for name, values in answered.columns.items()})
        except InvalidInput as error:
            if len(places) == 1:
                self._add(_refused(answered.rows, places.start, error), faults)
                return
            for half in _halved(places):
                if not self.is_exceeded:
                    self._write(answered, half, writer, faults)
        else:
            self.n_rows += len(places)
