"""Rows that tell a model from one that is nearly equal: ordinary rows, and rows where copies break.

The same signature, reference rows and thresholds give the same rows on every machine. Every row is
one that a request could bring: numbers fit their datatype, a column that may not be missing is
there, and a closed column has one of its categories.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from modelway.bundles.ordinary import Ordinary, Rows, fitted
from modelway.domain.signature import Datatype, Signature
from modelway.domain.tables import Array, Table

Floats = npt.NDArray[np.float64]

MOST_ROWS = 1500

_SEED = 20_260_117
_MOST_OF_A_KIND = {
    "reference": 300,
    "random": 300,
    "tie": 120,
    "missing": 120,
    "unseen": 120,
    "extreme": 140,
}

_LARGEST_SINGLE = float(np.finfo(np.float32).max)
_MAGNITUDES = (0.0, 1e-300, 5e-324, 1e6, 1e30, _LARGEST_SINGLE)
_EXTREMES = np.array([sign * value for value in _MAGNITUDES for sign in (1.0, -1.0)])
_LEVELS = (0.0, 1.0, -1.0, 0.5, 2.0, 10.0, 100.0)
_ABSENT = {"f": np.nan, "O": None, "M": np.datetime64("NaT")}
_ODD_TEXTS = (
    *("", " ", "\t", "nan", "NaN", "None", "null", "missing_value", "0", "-1", "1.0"),
    *("never seen", "İstanbul ß ﬁ", "e\u0301", "\u00e9", "漢字", "🙂", "a\x00b", "x" * 2000),
)
_MOST_VARIED = 8


class Kind(StrEnum):
    """Why a row is asked."""

    REFERENCE = "reference"
    RANDOM = "random"
    THRESHOLD = "threshold"
    TIE = "tie"
    MISSING = "missing"
    UNSEEN = "unseen"
    EXTREME = "extreme"


@dataclass(frozen=True)
class Probes:
    """The rows and, row by row, of what kind each is."""

    table: Table
    kinds: tuple[Kind, ...]


def probe_rows(
    signature: Signature, reference: Table | None, thresholds: Sequence[Floats]
) -> Probes:
    """At most ``MOST_ROWS`` rows for a signature of columns.

    ``thresholds`` has the values near which to look, one array a column. Without reference rows,
    ordinary ones are made from the signature's ranges and categories, else around the thresholds.
    """
    rng = np.random.Generator(np.random.PCG64(_SEED))
    ordinary = Ordinary(signature, reference, thresholds, rng)
    most = _MOST_OF_A_KIND
    parts = {
        Kind.REFERENCE: None if reference is None else ordinary.evenly(most["reference"]),
        Kind.RANDOM: ordinary.random(most["random"]),
        Kind.TIE: _ties(ordinary, most["tie"]),
        Kind.MISSING: _missing(ordinary, most["missing"]),
        Kind.UNSEEN: _unseen(ordinary, most["unseen"]),
        Kind.EXTREME: _extreme(ordinary, most["extreme"]),
    }
    asked = sum(len(rows[0]) for rows in parts.values() if rows is not None)
    parts[Kind.THRESHOLD] = _on_thresholds(ordinary, thresholds, MOST_ROWS - asked)
    found = {kind: rows for kind, rows in parts.items() if rows is not None}
    arrays = [np.concatenate(column) for column in zip(*found.values(), strict=True)]
    kinds = tuple(kind for kind, rows in found.items() for _ in rows[0])
    return Probes(_table(signature, arrays), kinds)


def _table(signature: Signature, arrays: Rows) -> Table:
    if signature.is_numeric:
        return Table(signature, len(arrays[0]), matrix=np.stack(arrays, axis=1))
    return Table(signature, len(arrays[0]), arrays=arrays)


def _placed(ordinary: Ordinary, cells: Sequence[tuple[Sequence[int], object]], most: int) -> Rows:
    """Ordinary rows, in each of which some columns have another value.

    ``cells`` are (columns, value) by row; too many are thinned out at random.
    """
    if len(cells) > most:
        chosen = np.sort(ordinary.rng.choice(len(cells), most, replace=False))
        cells = [cells[i] for i in chosen]
    rows = ordinary.drawn(len(cells))
    for row, (columns, value) in enumerate(cells):
        for i in columns:
            rows[i][row] = value
    return [
        fitted(column, array) if column.is_numeric else array
        for column, array in zip(ordinary.columns, rows, strict=True)
    ]


def _ties(ordinary: Ordinary, most: int) -> Rows | None:
    """Rows of equal, rounded and middle values: where two answers may weigh the same."""
    numeric = ordinary.numeric
    if not numeric:
        return None
    centres = _centres(ordinary)
    levels = [_placed(ordinary, [(numeric, level)] * 2, most) for level in _LEVELS]
    third = (most - len(centres[0]) - 2 * len(_LEVELS)) // 3
    one, other = ordinary.drawn(third), ordinary.drawn(third)
    same = ordinary.repeated(third)
    blunt = ordinary.drawn(third)
    for i in numeric:
        one[i] = fitted(ordinary.columns[i], one[i] / 2 + other[i] / 2)
        digits = np.arange(third) % 3
        rounded = np.choose(digits, [np.round(blunt[i], d) for d in range(3)])
        blunt[i] = fitted(ordinary.columns[i], rounded)
    parts = [centres, *levels, one, blunt, same]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _centres(ordinary: Ordinary) -> Rows:
    """Rows of the columns' means, medians, ends and middles, as they are and rounded."""
    rows = ordinary.drawn(15)
    for i in ordinary.numeric:
        values = ordinary.finite(i)
        low, high = values.min(), values.max()
        centres = np.array(
            [values.mean(), np.median(values), low, high, low / 2 + high / 2], dtype=np.float64
        )
        parts = (centres, np.round(centres), np.round(centres, 1))
        rows[i] = fitted(ordinary.columns[i], np.concatenate(parts))
    return rows


def _missing(ordinary: Ordinary, most: int) -> Rows | None:
    """Each column that may be missing alone, in pairs, and all of them."""
    nullable = [i for i, c in enumerate(ordinary.columns) if c.nullable]
    if not nullable:
        return None
    alone = [(i,) for i in nullable]
    pairs = [(a, b) for k, a in enumerate(nullable) for b in nullable[k + 1 :]]
    groups = [*alone, *pairs, *alone, *([tuple(nullable)] * 3)]
    if len(groups) > most:
        groups = [*groups[-most // 2 :], *groups[: most // 2]]
    rows = ordinary.drawn(len(groups))
    for row, group in enumerate(groups):
        for i in group:
            rows[i][row] = _ABSENT[rows[i].dtype.kind]
    return rows


def _unseen(ordinary: Ordinary, most: int) -> Rows | None:
    """Texts and categories that training did not have, in one column and in all."""
    open_columns = [
        i
        for i, c in enumerate(ordinary.columns)
        if not c.closed and (c.is_text or c.datatype is Datatype.CATEGORICAL)
    ]
    cells: list[tuple[Sequence[int], object]] = []
    for i in open_columns:
        if ordinary.columns[i].is_text:
            cells += [((i,), text) for text in (*_ODD_TEXTS, *_variants(ordinary.pool(i)))]
        else:
            known = ordinary.finite(i)
            cells += [((i,), v) for v in (known.min() - 1, known.max() + 1, 0.0, 1e6)]
    text = [i for i in open_columns if ordinary.columns[i].is_text]
    if len(text) > 1:
        cells += [(text, odd) for odd in _ODD_TEXTS]
    return _placed(ordinary, cells, most) if cells else None


def _variants(pool: Array) -> list[str]:
    """Texts that a reader takes for known ones, and a comparison does not.

    The known ones are evenly spread over all in their order, for alphabets differ in what a change
    of case does.
    """
    texts = sorted({text for text in pool if text})
    known = texts[:: -(-len(texts) // _MOST_VARIED)] if texts else []
    found = {
        text
        for one in known
        for text in (one.upper(), one.lower(), f" {one}", f"{one} ", one[:-1], f"{one}\x00")
    }
    return sorted(found.difference(known))


def _extreme(ordinary: Ordinary, most: int) -> Rows | None:
    """Zeros of both signs, values far too small and far too large, in one column and in all."""
    movable = [i for i in ordinary.numeric if not ordinary.is_chosen(i)]
    if not movable:
        return None
    together: list[tuple[Sequence[int], object]] = [(movable, float(v)) for v in _EXTREMES]
    alone: list[tuple[Sequence[int], object]] = [
        ((i,), float(v)) for i in movable for v in _EXTREMES
    ]
    parts = (
        _placed(ordinary, together, most),
        _placed(ordinary, alone, most - len(together)),
    )
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _on_thresholds(ordinary: Ordinary, thresholds: Sequence[Floats], most: int) -> Rows | None:
    """Values on a threshold and next to it: in half of the rows one column's, in half all columns'.

    Every column goes through its own values in an order of its own.
    """
    near = {
        i: ordinary.rng.permutation(np.unique(fitted(ordinary.columns[i], neighbours(values))))
        for i in ordinary.numeric
        if len(values := thresholds[i])
    }
    if not near:
        return None
    half = most // 2
    each = ordinary.drawn(half)
    focus = list(near)
    for row in range(half):
        i = focus[row % len(focus)]
        each[i][row] = near[i][row // len(focus) % len(near[i])]
    every = ordinary.drawn(most - half)
    for i, values in near.items():
        every[i] = np.resize(values[::-1], most - half)
    return [np.concatenate(column) for column in zip(each, every, strict=True)]


def neighbours(values: Floats) -> Floats:
    """The values, the float64 on either side, their float32 and the float32 on either side."""
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    parts = (
        values,
        np.nextafter(values, np.inf),
        np.nextafter(values, -np.inf),
        single,
        np.nextafter(single, np.float32(np.inf)),
        np.nextafter(single, np.float32(-np.inf)),
    )
    found = np.unique(np.concatenate([part.astype(np.float64) for part in parts]))
    return np.asarray(found[np.isfinite(found)])
