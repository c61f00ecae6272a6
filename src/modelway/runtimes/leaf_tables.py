"""The sums of small trees from tables of bits (``bundles/leaf_tables.py``).

The leaves of a target are added tree after tree in float64, beginning with the first: the bits are
those of the nodes in the graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from modelway.bundles.leaf_tables import MOST_LEAVES, LeafTables
from modelway.domain.tables import Array

_CACHE_BYTES = 700_000
"""What the bytes, places and leaves of rows that are looked up together may take."""

_EACH_BYTES = 17
"""What a tree takes of it: a byte, the place of its leaf, the leaf."""

_FEWEST_ROWS = 8
"""Fewer rows are answered sooner by the graph: looking up has a price of its own."""

_LOWEST_BIT = bytes([0, *((byte & -byte).bit_length() - 1 for byte in range(1, 256))])
"""The place of the lowest bit of every byte."""


class Session(Protocol):
    """What runs a graph."""

    def run(self, outputs: Sequence[str], feed: Mapping[str, Array], options: None) -> Any:
        """The outputs of these names."""
        ...


class TabledSession:
    """A graph with leaf tables: many rows take them, few take the nodes; the answers are the same.

    ``session`` runs the whole graph, ``rest`` what is left of it behind the sums, which may need
    the rows too.
    """

    def __init__(
        self, session: Session, rest: Session, tables: LeafTables, *, needs_rows: bool
    ) -> None:
        self._session = session
        self._rest = rest
        self._needs_rows = needs_rows
        self._sums = tables.sums
        # NaN sorts behind everything, and finds a state of its own behind this one.
        thresholds = [np.append(np.frombuffer(one, "<f8"), np.nan) for one in tables.thresholds]
        sizes = [len(one) + 1 for one in thresholds]
        firsts = np.cumsum([0, *sizes[:-1]]).tolist()
        self._looked_at = [
            (column, one, first)
            for column, (one, first) in enumerate(zip(thresholds, firsts, strict=True))
            if len(one) > 1
        ]
        self._states = np.frombuffer(tables.states, np.uint8).reshape(sum(sizes), -1)
        self._leaves = np.frombuffer(tables.leaves, "<f8") + 0.0  # a sum that begins with 0
        width = self._states.shape[1]
        self._n_targets = tables.n_targets
        self._n_trees = width // self._n_targets
        self._at_once = max(_FEWEST_ROWS, _CACHE_BYTES // (_EACH_BYTES * width))
        self._places = (np.arange(width, dtype=np.intp) * MOST_LEAVES)[:, None]

    def run(self, outputs: Sequence[str], feed: Mapping[str, Array], options: None) -> Any:
        """The outputs of these names for the rows ``X``."""
        rows = feed["X"]
        if len(rows) < _FEWEST_ROWS:
            return self._session.run(outputs, feed, options)
        sums = self.sums(rows)
        given = dict(feed) if self._needs_rows else {}
        start = 0
        for name, width in self._sums:
            given[name] = np.ascontiguousarray(sums[start : start + width].T)
            start += width
        return self._rest.run(outputs, given, options)

    def sums(self, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The sums of rows (n_rows, n_columns), of which there are several; (n_targets, n_rows)."""
        found = np.empty((self._n_targets, len(rows)))
        start = 0
        while start < len(rows):
            # What is left over is never a row alone, whose leaves numpy would add in pairs.
            end = len(rows) if len(rows) - start <= self._at_once + 1 else start + self._at_once
            found[:, start:end] = self._sums_of(rows[start:end])
            start = end
        return found

    def _sums_of(self, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        n_rows = len(rows)
        left = np.full((n_rows, self._states.shape[1]), 0xFF, np.uint8)
        for column, thresholds, first in self._looked_at:
            reached = thresholds.searchsorted(rows[:, column], "right")
            left &= self._states[reached + first]
        leaf = np.frombuffer(left.T.tobytes().translate(_LOWEST_BIT), np.uint8)
        places = leaf.reshape(-1, n_rows) + self._places
        leaves = self._leaves.take(places).reshape(self._n_trees, -1)
        # Along the first axis numpy adds one after the other.
        sums: npt.NDArray[np.float64] = np.add.reduce(leaves, axis=0)
        return sums.reshape(self._n_targets, n_rows)
