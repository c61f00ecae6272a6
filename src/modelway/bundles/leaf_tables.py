"""Small trees as tables of bits, which answer many rows in a quarter of the time of their nodes.

A tree of at most eight leaves is a byte, one bit a leaf, in the order in which the leaves stand.
What a value excludes depends only on which thresholds of its column it has reached: for each such
state there is a row with one byte a tree, in which the leaves are 0 that no row with this value
comes to. The bytes of all columns, put together by AND, have the leaf of each tree as their lowest
bit. There is nothing to branch on, so there is nothing to guess wrong, which is what most of the
time of a walk through nodes goes to.

The tables travel in the metadata of the ONNX graph that they belong to, with the rest of the graph:
what it makes of the sums of the trees. Readers that do not know them read the graph alone.

Source: Lucchese et al., "QuickScorer: A Fast Algorithm to Rank Documents with Additive Ensembles of
Regression Trees", SIGIR 2015, section 3.
"""

from __future__ import annotations

import base64

import msgspec

KEY = "modelway.leaf_tables"
"""Where they stand in the metadata of a graph."""

MOST_LEAVES = 8


class LeafTables(msgspec.Struct, frozen=True, array_like=True):
    """The trees of a graph that takes a matrix of columns.

    - ``thresholds``: for each column, float64 in ascending order without repeats. A node lets a
      value pass to the left that is below its threshold.
    - ``states``: uint8 (n_states, n_trees * n_targets). The rows of a column are behind those of
      the column before it: one for each number of thresholds that a value has reached, from none
      to all, and one for a missing value. A target that has fewer trees than another has trees of
      nothing but 0 at its end.
    - ``leaves``: float64 (n_trees * n_targets, 8), the value of each leaf.
    - ``sums``: the outputs of the tree nodes in the graph, each with its number of targets.
    - ``rest``: an ONNX graph from ``sums`` (and its inputs) to the outputs.

    Arrays are little-endian bytes in C order; a column stands for tree ``t`` and target ``k`` at
    ``t * n_targets + k``.
    """

    thresholds: list[bytes]
    states: bytes
    leaves: bytes
    sums: list[tuple[str, int]]
    rest: bytes

    @property
    def n_targets(self) -> int:
        """How many sums there are for a row."""
        return sum(width for _, width in self.sums)


def packed(tables: LeafTables) -> str:
    """Tables as the text that stands in the metadata."""
    return base64.b64encode(msgspec.msgpack.encode(tables)).decode()


def unpacked(text: str) -> LeafTables:
    """The tables of a text. Raises ValueError (of which msgspec's errors are) for any other."""
    return msgspec.msgpack.decode(base64.b64decode(text, validate=True), type=LeafTables)
