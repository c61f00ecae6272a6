"""Columns, picked: a request that the live version has read, as a shadow takes it.

A shadow need not take all that the live version does, nor in its order: a rule that looks at two
columns of ten takes those two. A value is never another for it: it stays of the datatype that the
live version has read.
"""

from __future__ import annotations

from dataclasses import replace

from modelway.domain.errors import InvalidInput
from modelway.domain.signature import Column, Signature
from modelway.domain.tables import Table


class Picked:
    """The columns of ``read`` that a model of the signature ``wanted`` takes, in its order.

    Raises:
        InvalidInput: there is no such column, its values are of another kind (text, numbers,
            times), or tensors are not the same.
    """

    def __init__(self, read: Signature, wanted: Signature) -> None:
        self.read = read
        self._places: tuple[int, ...] | None = None
        self._signature = read
        if not (read.is_tabular and wanted.is_tabular):
            _check_tensors(read, wanted)
            return
        places = tuple(_place(read, column) for column in wanted.columns)
        columns = tuple(
            replace(read.columns[place], name=column.name, alias=column.alias)
            for place, column in zip(places, wanted.columns, strict=True)
        )
        if columns != read.columns:
            self._places, self._signature = places, Signature(columns=columns)

    def of(self, table: Table) -> Table:
        """The rows of a table that ``read`` has read; the table itself where all is taken."""
        if self._places is None:
            return table
        if self.read.is_numeric:
            matrix = table.matrix.take(self._places, axis=1)
            picked = Table(self._signature, table.n_rows, matrix=matrix)
        else:
            arrays = [table.arrays[place] for place in self._places]
            picked = Table(self._signature, table.n_rows, arrays=arrays)
        picked.parameters = table.parameters
        return picked


def _place(read: Signature, column: Column) -> int:
    place = read.positions.get(column.name, read.positions.get(column.alias))
    if place is None:
        known = ", ".join(one.alias for one in read.columns)
        raise InvalidInput(
            f"it takes a column {column.alias!r}, which the live version does not have",
            hint=f"the live version has: {known}",
        )
    ours, theirs = _kind(read.columns[place]), _kind(column)
    if ours != theirs:
        raise InvalidInput(
            f"it takes {theirs} as {column.alias!r}, where the live version has {ours}"
        )
    return place


def _kind(column: Column) -> str:
    """How values lie in a table."""
    if column.is_numeric:
        return "numbers"
    return "text" if column.is_text else "times"


def _check_tensors(read: Signature, wanted: Signature) -> None:
    ours, theirs = (
        [f"{one.name} ({one.datatype} {list(one.shape)})" for one in signature.tensors]
        for signature in (read, wanted)
    )
    if ours != theirs:
        raise InvalidInput(
            f"it takes {', '.join(theirs) or 'columns'}, where the live version takes "
            f"{', '.join(ours) or 'columns'}"
        )
