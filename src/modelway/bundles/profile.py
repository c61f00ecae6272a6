"""The reference profile: how the training data is distributed, column by column, for drift later.

Sums are exact (``math.fsum``), so the same data has the same profile on every machine.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

import msgspec
import numpy as np

from modelway.bundles.training import TrainingColumn, TrainingData
from modelway.domain.signature import Datatype
from modelway.domain.tables import Array

QUANTILES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
MOST_COUNTED = 100


class Numbers(msgspec.Struct, frozen=True):
    """The finite values of a column; ``quantiles`` are by their share, interpolated linearly.

    ``std`` is the square root of the mean squared distance to the mean.
    """

    minimum: float
    maximum: float
    mean: float
    std: float
    quantiles: Mapping[str, float]


class ColumnProfile(msgspec.Struct, frozen=True):
    """One column. ``counts`` are the most frequent values, ``distinct`` how many there are."""

    count: int
    missing: int
    numbers: Numbers | None = None
    distinct: int | None = None
    counts: Mapping[str, int] | None = None
    earliest: str | None = None
    latest: str | None = None


class Profile(msgspec.Struct, frozen=True):
    """All columns that the model takes."""

    n_rows: int
    columns: Mapping[str, ColumnProfile]


def profile_of(training: TrainingData, names: list[str]) -> Profile:
    """The profile of the named columns."""
    columns = {name: _column(training.columns[name]) for name in names}
    return Profile(training.n_rows, columns)


def _column(column: TrainingColumn) -> ColumnProfile:
    present = column.present
    count, missing = len(present), len(column.values) - len(present)
    if column.datatype is Datatype.DATETIME:
        ends = (str(present.min()), str(present.max())) if count else (None, None)
        return ColumnProfile(count, missing, earliest=ends[0], latest=ends[1])
    if column.datatype is Datatype.FP64:
        finite = np.sort(present[np.isfinite(present)])
        return ColumnProfile(count, missing, numbers=_numbers(finite) if len(finite) else None)
    texts = present.tolist()
    if column.datatype is Datatype.BOOL:
        texts = ["true" if value else "false" for value in texts]
    counted = Counter(texts)
    # By count, then by name: Counter's own order is that of the rows.
    most = sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:MOST_COUNTED]
    return ColumnProfile(count, missing, distinct=len(counted), counts=dict(most))


def _numbers(ordered: Array) -> Numbers:
    values = ordered.tolist()
    n = len(values)
    scale = max(abs(values[0]), abs(values[-1])) or 1.0
    # Scaled, so that neither a sum nor a square is too large for a float64.
    mean = math.fsum(v / scale for v in values) / n
    variance = math.fsum((v / scale - mean) ** 2 for v in values) / n
    return Numbers(
        minimum=values[0],
        maximum=values[-1],
        mean=mean * scale,
        std=math.sqrt(variance) * scale,
        quantiles={str(share): _quantile(values, share) for share in QUANTILES},
    )


def _quantile(ordered: list[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    rest = place - below
    return ordered[below] * (1 - rest) + ordered[above] * rest
