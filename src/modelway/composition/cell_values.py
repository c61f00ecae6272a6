"""The cells of a CSV file as the values that a model's columns take.

What is a number or a Boolean is what the service takes for one in a CSV body, by the same code, so
a file reads alike whoever answers it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from modelway.composition.row_files import Row
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import EXACT_INTEGER
from modelway.inference.cells import ABSENT, CellReader
from modelway.inference.findings import Findings


class CellValues:
    """Gives rows of text their values, by the columns of one signature.

    Text stays where it is no value of its column, for the model to refuse, and where the model has
    no such column. An empty cell is None, and left out where the column needs a value.
    """

    def __init__(self, signature: Signature) -> None:
        self._columns = {key: signature.columns[i] for key, i in signature.positions.items()}

    def of(self, rows: Sequence[Row]) -> list[Row]:
        """The rows with their values; all have the same columns."""
        names = list(rows[0])
        columns = [self._values(name, [row[name] for row in rows]) for name in names]
        return [
            {name: value for name, value in zip(names, values, strict=True) if value is not ABSENT}
            for values in zip(*columns, strict=True)
        ]

    def column(self, name: str, cells: list[str]) -> Sequence[Any]:
        """The values of one column; of a cell that is empty, None."""
        return [None if one is ABSENT else one for one in self._values(name, cells)]

    def _values(self, name: str, cells: list[str]) -> Sequence[Any]:
        column = self._columns.get(name)
        if column is None:
            return cells
        empty = None if column.nullable else ABSENT
        if not column.is_numeric:
            return [cell or empty for cell in cells]
        numbers = _reader(column).texts(cells, Findings([name], lambda row, _: str(row))).tolist()
        return [
            _value(column, cell, number) if cell.strip() else empty
            for cell, number in zip(cells, numbers, strict=True)
        ]


def _reader(column: Column) -> CellReader:
    """Reads text as the column does, and leaves the limits and rounding of its datatype to it."""
    kind = Datatype.BOOL if column.datatype is Datatype.BOOL else Datatype.FP64
    return CellReader(Column(column.name, column.alias, kind, nullable=True), 0, strict=False)


def _value(column: Column, cell: str, number: float) -> object:
    if math.isnan(number):
        return cell
    if column.datatype is Datatype.BOOL:
        return bool(number)
    if column.datatype.is_float or not number.is_integer() or abs(number) > EXACT_INTEGER:
        return number
    return int(number)
