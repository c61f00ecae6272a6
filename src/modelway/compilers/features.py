"""What flows between the steps of a compiled pipeline: columns, in blocks of one element type.

scikit-learn passes matrices and DataFrames; a graph needs to know which columns are numbers
(double, missing as NaN) and which are text (string, missing as ``MISSING_TEXT``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from modelway.bundles.manifest import Layout
from modelway.compilers.graph import Graph
from modelway.domain.errors import NotCompilable
from modelway.domain.signature import Datatype, Signature

Kind = Literal["double", "string"]


@dataclass(frozen=True, slots=True)
class Block:
    """Columns side by side in one value of shape (n_rows, width)."""

    value: str
    width: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Features:
    """Columns in order, in blocks; ``names`` are the columns' names where they are still known.

    ``sparse``: scikit-learn hands them on as a sparse matrix. That changes no value, but XGBoost
    takes what a sparse matrix does not store, a zero, for missing.
    """

    blocks: tuple[Block, ...]
    names: tuple[str, ...] | None = None
    sparse: bool = False

    @property
    def width(self) -> int:
        """How many columns there are."""
        return sum(b.width for b in self.blocks)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kind of every column."""
        return tuple(b.kind for b in self.blocks for _ in range(b.width))

    def matrix(self, graph: Graph) -> str:
        """All columns as one double value (n_rows, width).

        Raises:
            NotCompilable: a column is text.
        """
        return self._joined(graph, "double", "numbers")

    def text(self, graph: Graph) -> str:
        """All columns as one string value (n_rows, width).

        Raises:
            NotCompilable: a column is a number.
        """
        return self._joined(graph, "string", "text")

    def _joined(self, graph: Graph, kind: Kind, said: str) -> str:
        if not self.blocks or any(b.kind != kind for b in self.blocks):
            raise NotCompilable(f"a step that takes {said} is given other columns, or none")
        return graph.concatenate([b.value for b in self.blocks])

    def select(self, graph: Graph, index: Sequence[int]) -> Features:
        """The columns at the positions ``index``, in its order; runs of one block stay together."""
        places = [(b, i) for b in self.blocks for i in range(b.width)]
        blocks: list[Block] = []
        start = 0
        while start < len(index):
            block = places[index[start]][0]
            stop = start
            while stop < len(index) and places[index[stop]][0] is block:
                stop += 1
            inside = [places[i][1] for i in index[start:stop]]
            whole = inside == list(range(block.width))
            value = block.value if whole else graph.columns(block.value, inside)
            blocks.append(Block(value, len(inside), block.kind))
            start = stop
        names = None if self.names is None else tuple(self.names[i] for i in index)
        return Features(tuple(blocks), names, self.sparse)


def numbers(value: str, width: int, *, sparse: bool = False) -> Features:
    """A double matrix as features."""
    return Features((Block(value, width, "double"),), sparse=sparse)


def joined(parts: Sequence[Features], *, sparse: bool | None = None) -> Features:
    """The columns of all parts side by side; an empty part adds nothing.

    They are ``sparse`` if any part is, where nothing else is said.
    """
    if sparse is None:
        sparse = any(p.sparse for p in parts)
    return Features(tuple(b for p in parts for b in p.blocks), sparse=sparse)


def graph_inputs(graph: Graph, signature: Signature) -> tuple[Features, Layout]:
    """Declare the graph's inputs for a signature, and say in which layout they are fed.

    Raises:
        NotCompilable: the signature has tensors or a datetime column.
    """
    names = tuple(c.name for c in signature.columns)
    if not names:
        raise NotCompilable("the signature has tensors, not columns")
    if signature.is_numeric:
        value = graph.input("X", "double", len(names))
        return Features((Block(value, len(names), "double"),), names), "matrix"
    blocks = []
    for i, column in enumerate(signature.columns):
        if column.datatype is Datatype.DATETIME:
            raise NotCompilable(f"column {column.name!r} holds dates")
        kind: Kind = "string" if column.is_text else "double"
        blocks.append(Block(graph.input(f"c{i}", kind, 1), 1, kind))
    return Features(tuple(blocks), names), "columns"
