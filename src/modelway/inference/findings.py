"""What was found wrong or unusual while a request was checked: everything counted, the first kept.

A request of a million rows may have a million faults; what is kept of them is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelway.domain.errors import Problem, SignatureMismatch
from modelway.domain.inference import RowWarning

LISTED_PROBLEMS = 100
LISTED_WARNINGS = 1000
_SHOWN = 80

Pointer = Callable[[int, int], str]
"""The JSON pointer of a row (from 0) and a column (position in the signature)."""


@dataclass(frozen=True, slots=True)
class RowProblem(Problem):
    """A problem in one of several rows, which are counted from 0."""

    row: int

    @property
    def message(self) -> str:
        """The problem as one sentence."""
        return f"row {self.row}, {Problem.message.__get__(self)}"


class Findings:
    """The problems and warnings of one request.

    ``pointer`` says where in what was sent a value stood. ``names`` are the columns' names. Where
    there may be ``several`` rows, a problem's message names its own.
    """

    __slots__ = (
        *("_names", "_numbers", "_pointer", "_problems", "_several", "_warnings"),
        *("n_problems", "n_warnings"),
    )

    def __init__(self, names: Sequence[str], pointer: Pointer, *, several: bool = False) -> None:
        self._names = names
        self._several = several
        self._numbers: Sequence[int] | None = None
        self._pointer = pointer
        self._problems: list[tuple[int, int, Problem]] = []
        self._warnings: list[RowWarning] = []
        self.n_problems = 0
        self.n_warnings = 0

    def only(self, numbers: Sequence[int]) -> None:
        """From here on a row's number is its place in ``numbers``, which has those of the request.

        For rows of which some are left out, because they are no rows.
        """
        self._numbers = numbers

    def fault(self, row: int, column: int, code: str, received: str | None, expected: str) -> None:
        """A value that cannot be answered."""
        self.n_problems += 1
        if len(self._problems) < LISTED_PROBLEMS:
            row = self._number(row)
            about = (self._pointer(row, column), self._names[column], code, received, expected)
            problem = RowProblem(*about, row) if self._several else Problem(*about)
            self._problems.append((row, column, problem))

    def absent(self, column: int, expected: str) -> None:
        """A column that no row has."""
        self.n_problems += 1
        about = (self._pointer(0, column), self._names[column], "missing", None, expected)
        self._problems.append((0, column, Problem(*about)))

    def problem(self, row: int, problem: Problem) -> None:
        """Something wrong that is no value of a column."""
        self.n_problems += 1
        if len(self._problems) < LISTED_PROBLEMS:
            self._problems.append((self._number(row), len(self._names), problem))

    def warn(self, row: int, column: str, code: str, received: str, expected: str) -> None:
        """Something unusual that is answered all the same."""
        self.n_warnings += 1
        if len(self._warnings) < LISTED_WARNINGS:
            self._warnings.append(RowWarning(row, column, code, received, expected))

    @property
    def warnings(self) -> Sequence[RowWarning]:
        """The warnings; where there were too many, the last one says how many are not listed."""
        more = self.n_warnings - len(self._warnings)
        if not more:
            return self._warnings
        rest = RowWarning(
            0, "(request)", "more-warnings", f"{more} more", f"at most {LISTED_WARNINGS} warnings"
        )
        return [*self._warnings, rest]

    def check(self) -> None:
        """Do nothing if there is no problem.

        Raises:
            SignatureMismatch: there is one; it carries those kept, by row and column.
        """
        if self.n_problems:
            ordered = sorted(self._problems, key=lambda found: found[:2])[:LISTED_PROBLEMS]
            raise SignatureMismatch([p for _, _, p in ordered], total=self.n_problems)

    def _number(self, row: int) -> int:
        return row if self._numbers is None else self._numbers[row]


def escaped(key: str) -> str:
    """``key`` as one segment of a JSON pointer. Source: RFC 6901, section 3."""
    return key.replace("~", "~0").replace("/", "~1")


def shown(value: object) -> str:
    """``value``, as it came in JSON, in at most 80 characters."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return _short(repr(value[:_SHOWN]), len(value) > _SHOWN)
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "a number too large"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "an array"
    return _short(repr(value))


def number_text(value: float) -> str:
    """``value`` as a person writes it: whole numbers without a point."""
    value = float(value)  # a whole number passes for a float in Python, and has other methods
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _short(text: str, cut: bool = False) -> str:
    if len(text) > _SHOWN:
        return text[: _SHOWN - 1] + "…"
    return text[:-1] + "…" if cut and len(text) == _SHOWN else text
