"""One call of a model, and the part of it that one of its requests is.

Cutting every array for every request would cost more than the few rows of it: a part is cut when it
is looked at, and who writes single rows reads them from lists that are made once a call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelway.domain.inference import Outputs
from modelway.domain.tables import Array, Table


class Whole:
    """What one call was given, and all that it gave."""

    __slots__ = ("__weakref__", "_lists", "n_rows", "outputs", "table")

    def __init__(self, table: Table, outputs: Outputs) -> None:
        self.table = table
        self.outputs = outputs
        self.n_rows = table.n_rows
        self._lists: Mapping[str, list[Any]] | None = None

    @property
    def lists(self) -> Mapping[str, list[Any]]:
        """The outputs as Python's own values, a row an element."""
        if self._lists is None:
            self._lists = _lists(self.outputs)
        return self._lists


class Part(Mapping[str, Array]):
    """The rows from ``start`` to ``end`` of every output."""

    __slots__ = ("end", "start", "whole")

    def __init__(self, whole: Whole, start: int, end: int) -> None:
        self.whole = whole
        self.start = start
        self.end = end

    def __getitem__(self, name: str) -> Array:
        """The part's rows of one output."""
        return self.whole.outputs[name][self.start : self.end]

    def __iter__(self) -> Iterator[str]:
        """The names of the outputs."""
        return iter(self.whole.outputs)

    def __len__(self) -> int:
        """How many outputs there are."""
        return len(self.whole.outputs)


def single_row(outputs: Outputs) -> tuple[Mapping[str, list[Any]], int]:
    """Lists, and the place in each at which the only row of the outputs is."""
    if type(outputs) is Part and outputs.whole.n_rows <= _MOST_LISTED:
        return outputs.whole.lists, outputs.start
    return _lists(outputs), 0


def _lists(outputs: Outputs) -> Mapping[str, list[Any]]:
    return {name: array.tolist() for name, array in outputs.items()}


_MOST_LISTED = 512
"""Of more rows not all are made into lists for the sake of one."""
