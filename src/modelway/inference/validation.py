"""The validator: what was sent, in any of its forms, becomes a table or a list of every problem.

Rows of JSON, columns with data, cells of text, arrays and tensors all end in the same checks
(:mod:`modelway.inference.cells`), so a value is judged alike whatever door it came through.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelway.domain.errors import Problem
from modelway.domain.inference import RowWarning
from modelway.domain.signature import Signature
from modelway.domain.tables import Array, Table
from modelway.inference.cells import ABSENT, CellReader
from modelway.inference.findings import Findings, escaped, shown
from modelway.inference.tensors import read_tensors

_LISTED_NAMES = 10

Read = Callable[[CellReader, Any, Findings], Array]
"""How one column's cells are read: a method of the cell reader."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A table that fits its signature, and what was unusual about it."""

    table: Table
    warnings: Sequence[RowWarning] = ()


class Validator:
    """Checks requests against one signature; it keeps nothing of them and is safe in threads.

    Where ``strict``, unknown columns, unseen categories and values outside the training range are
    problems; else they are warnings.
    """

    def __init__(self, signature: Signature, *, strict: bool) -> None:
        self.signature = signature
        self.strict = strict
        self.readers = tuple(
            CellReader(column, i, strict=strict, binary=True)
            for i, column in enumerate(signature.columns)
        )
        self._names = [column.name for column in signature.columns]
        self._keys = frozenset(signature.positions) if signature.columns else frozenset()

    def row(self, row: Mapping[str, object]) -> Checked:
        """One JSON object, as a table of one row.

        Raises:
            SignatureMismatch: it does not fit; the pointers are ``/column``.
        """
        sent = {self.signature.positions[key]: key for key in row if key in self._keys}
        findings = Findings(
            self._names, lambda _, column: "/" + escaped(sent.get(column, self._names[column]))
        )
        return self._rows([row], findings, lambda _, key: "/" + escaped(key))

    def rows(self, rows: Sequence[object]) -> Checked:
        """JSON objects, one a row.

        Raises:
            SignatureMismatch: something does not fit; the pointers are ``/row/column``.
        """
        numbers = [k for k, row in enumerate(rows) if isinstance(row, dict)]
        objects: list[Mapping[str, object]] = [row for row in rows if isinstance(row, dict)]

        def pointer(row: int, column: int) -> str:
            name, alias = self._names[column], self.signature.columns[column].alias
            sent: Any = rows[row]
            return f"/{row}/{escaped(alias if name not in sent and alias in sent else name)}"

        findings = Findings(self._names, pointer, several=True)
        if len(objects) != len(rows):
            for k, row in enumerate(rows):
                if not isinstance(row, dict):
                    expected = "an object with a value for each column"
                    problem = Problem(f"/{k}", f"row {k}", "wrong-type", shown(row), expected)
                    findings.problem(k, problem)
            findings.only(numbers)
        return self._rows(objects, findings, lambda k, key: f"/{numbers[k]}/{escaped(key)}")

    def frame(self, names: Sequence[object], rows: Sequence[object]) -> Checked:
        """Column names once, and the values of each row in their order.

        Raises:
            SignatureMismatch: something does not fit; the pointers are ``/data/row/position``.
        """
        order = self._order(names)
        findings = Findings(
            self._names, lambda row, column: _at("/data", order, row, column), several=True
        )
        self._check_names(names, order, findings, "/columns")
        whole = _whole(rows, len(names), "/data", ("values", "one a column"), findings)
        return self._by_column(_transposed(whole, len(names)), order, len(whole), findings, _VALUES)

    def text_row(self, cells: Collection[tuple[str, str]]) -> Checked:
        """Text by column name or alias, as in a query or a path; a table of one row.

        Raises:
            SignatureMismatch: something does not fit; the pointers are ``/column``.
        """
        names = [name for name, _ in cells]
        order = self._order(names)
        findings = Findings(
            self._names,
            lambda _, column: "/" + escaped(_sent_name(names, order, column, self._names)),
        )
        self._check_names(names, order, findings, "")
        columns = [[cell] for _, cell in cells]
        return self._by_column(columns, order, 1, findings, _TEXTS)

    def texts(self, names: Sequence[str], rows: Sequence[Sequence[str]]) -> Checked:
        """A header and rows of text, as in CSV.

        Raises:
            SignatureMismatch: something does not fit; the pointers are ``/row/column``.
        """
        order = self._order(names)
        findings = Findings(
            self._names,
            lambda row, column: f"/{row}/" + escaped(_sent_name(names, order, column, self._names)),
            several=True,
        )
        self._check_names(names, order, findings, "")
        whole = _whole(rows, len(names), "", ("cells", "as in the header"), findings)
        return self._by_column(_transposed(whole, len(names)), order, len(whole), findings, _TEXTS)

    def arrays(self, arrays: Mapping[str, Array | Sequence[object]], n_rows: int) -> Checked:
        """One array (or list of Python values) a column, by name or alias, each of ``n_rows``.

        Raises:
            SignatureMismatch: something does not fit; the pointers are ``/row/column``.
        """
        names = list(arrays)
        order = self._order(names)
        findings = Findings(
            self._names,
            lambda row, column: f"/{row}/" + escaped(_sent_name(names, order, column, self._names)),
            several=True,
        )
        self._check_names(names, order, findings, "")
        return self._by_column(list(arrays.values()), order, n_rows, findings, _arrays)

    def tensors(self, inputs: Mapping[str, object]) -> Checked:
        """Nested arrays by tensor name.

        Raises:
            SignatureMismatch: something does not fit; the pointers are ``/inputs/tensor/...``.
        """
        return Checked(read_tensors(self.signature, inputs))

    def seen(self, table: Table) -> Sequence[RowWarning] | None:
        """The warnings for a table whose values fit; None if any of them is to be refused."""
        findings = Findings(self._names, lambda row, column: f"/{row}/{column}")
        for reader, array in zip(self.readers, table.arrays, strict=True):
            reader.check_seen(array, findings)
        return None if findings.n_problems else findings.warnings

    def table(self, arrays: Sequence[Array], n_rows: int) -> Table:
        """The arrays of all columns as a table: one matrix where every column is numeric."""
        if self.signature.is_numeric:
            matrix = np.ascontiguousarray(np.stack(arrays, axis=1), dtype=np.float64)
            return Table(self.signature, n_rows, matrix=matrix)
        return Table(self.signature, n_rows, arrays=arrays)

    def _rows(
        self,
        rows: Sequence[Mapping[str, object]],
        findings: Findings,
        pointer: Callable[[int, str], str],
    ) -> Checked:
        self._check_keys(rows, findings, pointer)
        arrays = []
        for reader in self.readers:
            name, alias = reader.column.name, reader.column.alias
            if name == alias:
                cells = [row.get(name, ABSENT) for row in rows]
            else:
                cells = [row[name] if name in row else row.get(alias, ABSENT) for row in rows]
            if reader.column.nullable and not reader.column.optional:
                for k, cell in enumerate(cells):
                    if cell is ABSENT:
                        findings.fault(k, reader.position, "missing", None, reader.expected_cell)
            arrays.append(reader.values(cells, findings))
            reader.check_seen(arrays[-1], findings)
        findings.check()
        return Checked(self.table(arrays, len(rows)), findings.warnings)

    def _check_keys(
        self,
        rows: Sequence[Mapping[str, object]],
        findings: Findings,
        pointer: Callable[[int, str], str],
    ) -> None:
        """Find unknown keys, and columns that are there by name and by alias."""
        twice = [c for c in self.signature.columns if c.name != c.alias]
        for k, row in enumerate(rows):
            if not self._keys.issuperset(row):
                for key in row:
                    if key not in self._keys:
                        self._unknown(k, key, pointer(k, key), findings)
            if len(row) > 1:
                for column in twice:
                    if column.alias in row and column.name in row:
                        expected = f"the column once, not as {column.name!r} and {column.alias!r}"
                        problem = Problem(
                            pointer(k, column.alias), column.name, "duplicate", "both", expected
                        )
                        findings.problem(k, problem)

    def _unknown(self, row: int, key: str, pointer: str, findings: Findings) -> None:
        some = ", ".join(self._names[:_LISTED_NAMES])
        more = len(self._names) - _LISTED_NAMES
        expected = f"a column of the model ({some}{f' and {more} more' if more > 0 else ''})"
        received = shown(key)
        if self.strict:
            problem = Problem(pointer[:200], key[:80], "unknown-column", received, expected)
            findings.problem(row, problem)
        else:
            findings.warn(row, key[:80], "unknown-column", received, expected)

    def _order(self, names: Sequence[object]) -> list[int | None]:
        """For each column of the signature, which of ``names`` it is; None if none."""
        order: list[int | None] = [None] * len(self._names)
        for place, name in enumerate(names):
            position = self.signature.positions.get(name) if isinstance(name, str) else None
            if position is not None and order[position] is None:
                order[position] = place
        return order

    def _check_names(
        self,
        names: Sequence[object],
        order: Sequence[int | None],
        findings: Findings,
        root: str,
    ) -> None:
        """Find names that are no text, that nobody knows, or that name one column twice."""
        used = {place for place in order if place is not None}
        seen: set[str] = set()
        for place, name in enumerate(names):
            if place in used:
                continue
            pointer = f"{root}/{place}" if root else "/" + escaped(str(name)[:80])
            if not isinstance(name, str):
                column = f"column {place}"
                problem = Problem(pointer, column, "wrong-type", shown(name), "a name as text")
                findings.problem(0, problem)
            elif name in self._keys:
                column = self._names[self.signature.positions[name]]
                problem = Problem(pointer, column, "duplicate", shown(name), "the column once")
                findings.problem(0, problem)
            elif name not in seen:
                seen.add(name)
                self._unknown(0, name, pointer, findings)

    def _by_column(
        self,
        given: Sequence[Any],
        order: Sequence[int | None],
        n_rows: int,
        findings: Findings,
        read: Read,
    ) -> Checked:
        arrays = []
        for reader, place in zip(self.readers, order, strict=True):
            if place is not None:
                array = read(reader, given[place], findings)
                reader.check_seen(array, findings)
            else:
                array = reader.missing(n_rows)
                if not reader.column.optional:
                    findings.absent(reader.position, reader.expected_cell)
            arrays.append(array)
        findings.check()
        return Checked(self.table(arrays, n_rows), findings.warnings)


_VALUES: Read = CellReader.values
_TEXTS: Read = CellReader.texts


def _arrays(reader: CellReader, cells: Array | Sequence[object], findings: Findings) -> Array:
    if isinstance(cells, np.ndarray):
        return reader.array(cells, findings)
    return reader.values(cells, findings)


def _transposed(rows: Sequence[Any], n_columns: int) -> Sequence[Any]:
    """One sequence a column; empty ones where there are no rows."""
    columns: Iterable[Any] = zip(*rows, strict=True) if rows else ([] for _ in range(n_columns))
    return list(columns)


def _whole(
    rows: Sequence[object], n_cells: int, root: str, words: tuple[str, str], findings: Findings
) -> Sequence[Any]:
    """The rows of ``n_cells``; the others are found wrong and left out.

    ``words`` are what a cell is called there, and why there are so many.
    """
    numbers = [
        k for k, row in enumerate(rows) if isinstance(row, (list, tuple)) and len(row) == n_cells
    ]
    if len(numbers) == len(rows):
        return rows
    kept = set(numbers)
    unit, why = words
    expected = f"{n_cells} {unit}, {why}"
    for k, row in enumerate(rows):
        if k not in kept:
            came = f"{len(row)} {unit}" if isinstance(row, (list, tuple)) else shown(row)
            findings.problem(k, Problem(f"{root}/{k}", f"row {k}", "row-length", came, expected))
    findings.only(numbers)
    return [rows[k] for k in numbers]


def _sent_name(
    names: Sequence[str], order: Sequence[int | None], column: int, known: Sequence[str]
) -> str:
    place = order[column]
    return known[column] if place is None else names[place]


def _at(root: str, order: Sequence[int | None], row: int, column: int) -> str:
    place = order[column]
    return "/columns" if place is None else f"{root}/{row}/{place}"
