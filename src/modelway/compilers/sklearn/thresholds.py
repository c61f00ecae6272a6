"""Where a model may jump: the split thresholds of its trees, brought back to its input columns.

A split is known in the features that the tree sees. Which column drives a feature is found by
moving one column at a time; then the model's own transforms are bisected over the float64 numbers
of that column, all thresholds at once, to the last float before the split. Features that several
columns drive have no threshold of their own in any one of them and are left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modelway.compilers.float_order import BISECTIONS, Floats, floats, middle, ordered
from modelway.compilers.jumps import MOST, evenly, kept, thinned
from modelway.compilers.sklearn.splits import Route, splits_of
from modelway.domain.signature import Datatype, Signature
from modelway.domain.tables import Table

_AT_ONCE = 4096


@dataclass(frozen=True)
class _Column:
    """A numeric column that may be moved: an ordinary value, and far to either side of it."""

    index: int
    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class _Target:
    """One threshold to bring back: of ``feature``, in the column at ``place`` of the columns."""

    place: int
    feature: int
    threshold: float


def input_thresholds(model: object, signature: Signature, rows: Table) -> Sequence[Floats]:
    """For each column, the values at which some tree of the model splits, at most 64 a column.

    ``rows`` are ordinary rows to work from. Empty where no tree splits on the column alone, and for
    text. Whole-number columns get the whole numbers on both sides of a split.
    """
    found: list[list[Floats]] = [[] for _ in signature.columns]
    columns = _movable(signature, rows)
    if columns and rows.n_rows:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Far values may overflow inside a transform; such a threshold is simply not found.
            warnings.simplefilter("ignore")
            for route, splits in splits_of(model):
                probe = _Probe(model, signature, rows, columns, route)
                for place, values in probe.brought_back(splits):
                    found[columns[place].index].append(values)
    return [kept(parts, c) for parts, c in zip(found, signature.columns, strict=True)]


def _movable(signature: Signature, rows: Table) -> list[_Column]:
    columns = []
    for i, column in enumerate(signature.columns):
        if not column.is_numeric or column.datatype is Datatype.BOOL:
            continue
        values = np.asarray(rows.arrays[i], dtype=np.float64)
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        low, high = float(values.min()), float(values.max())
        reach = 10.0 * (high - low) + 1.0
        columns.append(_Column(i, float(values[0]), low - reach, high + reach))
    return columns


class _Probe:
    """One route of a model, asked with one ordinary row of which single columns are moved."""

    def __init__(
        self,
        model: Any,
        signature: Signature,
        rows: Table,
        columns: Sequence[_Column],
        route: Route,
    ) -> None:
        self._signature = signature
        self._columns = columns
        self._route = route
        self._framed = hasattr(model, "feature_names_in_") or not signature.is_numeric
        self._base = [array[:1] for array in rows.arrays]
        for column in columns:
            self._base[column.index] = np.array([column.middle])

    def brought_back(self, splits: dict[int, Floats]) -> list[tuple[int, Floats]]:
        """Thresholds of the features in ``splits`` as values of the columns, by their place."""
        wanted = sorted(splits)
        try:
            drivers = self._drivers(wanted)
        except (ValueError, TypeError):
            # The transforms refuse a row that was made up; then there is nothing to work from.
            return []
        targets = [
            _Target(place, i, float(t))
            for i, feature in enumerate(wanted)
            if (place := drivers.get(i)) is not None
            for t in thinned(splits[feature], MOST)
        ]
        targets = [targets[i] for i in evenly(len(targets), _AT_ONCE)]
        if not targets:
            return []
        found: list[tuple[int, Floats]] = []
        for rounded in (False, True):
            found += self._bisected(targets, wanted, rounded=rounded)
        return found

    def _features(self, places: Any, values: Floats, wanted: Sequence[int]) -> Floats:
        """What the trees see, one row a pair of column and value, of the features wanted."""
        n_rows = len(values)
        arrays = [np.repeat(base, n_rows) for base in self._base]
        for place in np.unique(places):
            moved = places == place
            arrays[self._columns[int(place)].index][moved] = values[moved]
        if self._framed:
            import pandas as pd

            names = [c.name for c in self._signature.columns]
            frame: Any = pd.DataFrame(dict(zip(names, arrays, strict=True)))
            frame = frame.fillna(np.nan) if frame.isna().to_numpy().any() else frame
        else:
            frame = np.stack(arrays, axis=1)
        seen = self._route.features(frame)
        seen = seen.to_numpy() if hasattr(seen, "to_numpy") else seen
        if hasattr(seen, "tocsc"):
            return np.asarray(seen.tocsc()[:, list(wanted)].toarray(), dtype=np.float64)
        return np.asarray(seen[:, list(wanted)], dtype=np.float64)

    def _drivers(self, wanted: Sequence[int]) -> dict[int, int]:
        """The one column that moves a feature, by the feature's place in ``wanted``."""
        n = len(self._columns)
        places = np.concatenate([np.arange(n), np.arange(n), [0]])
        values = [c.low for c in self._columns] + [c.high for c in self._columns]
        values.append(self._columns[0].middle)
        seen = self._features(places, np.array(values), wanted)
        moved = (seen[:n] != seen[-1]) | (seen[n:-1] != seen[-1])
        alone = np.flatnonzero(moved.sum(axis=0) == 1)
        return {int(i): int(np.flatnonzero(moved[:, i])[0]) for i in alone}

    def _bisected(
        self, targets: Sequence[_Target], wanted: Sequence[int], *, rounded: bool
    ) -> list[tuple[int, Floats]]:
        """The last float64 of the column before its feature, ``rounded`` to float32, crosses."""
        places = np.array([t.place for t in targets])
        features = np.array([t.feature for t in targets])
        thresholds = np.array([t.threshold for t in targets])

        def is_left(bits: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
            seen = self._features(places, floats(bits), wanted)[np.arange(len(bits)), features]
            seen = seen.astype(np.float32).astype(np.float64) if rounded else seen
            return np.asarray(seen <= thresholds)

        low = ordered(np.array([self._columns[p].low for p in places]))
        high = ordered(np.array([self._columns[p].high for p in places]))
        at_low = is_left(low)
        crosses = at_low != is_left(high)
        for _ in range(BISECTIONS):
            between = middle(low, high)
            same = is_left(between) == at_low
            low, high = np.where(same, between, low), np.where(same, high, between)
            if np.all(high - low <= 1):
                break
        values = floats(low)
        return [
            (int(p), np.unique(values[crosses & (places == p)])) for p in np.unique(places[crosses])
        ]
