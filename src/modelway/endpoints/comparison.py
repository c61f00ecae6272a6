"""What is known of two versions of an endpoint, as sums that add across workers, hosts and time.

Nothing here keeps a request: a week of an arm is a few hundred numbers. All of it is plain data
that msgspec encodes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from modelway.domain.errors import InvalidInput
from modelway.endpoints.losses import Loss
from modelway.endpoints.sequential import Floats, Moments

RELATIVE_ERROR = 0.02
"""How far a quantile may be off, of itself."""

SHORTEST_S = 1e-6
LONGEST_S = 1e3

_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GROWTH = math.log(_GROWTH)
BINS = math.ceil(math.log(LONGEST_S / SHORTEST_S) / _LOG_GROWTH)
"""Bins between the shortest and the longest latency, each longer by the same factor."""


def bin_of(log_seconds: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """The bin of a latency, of its natural logarithm; what is out of range counts in the last one.

    Source: Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable quantile sketch with
    relative-error guarantees" (VLDB 2019).
    """
    place = (np.asarray(log_seconds, np.float64) - math.log(SHORTEST_S)) / _LOG_GROWTH
    return np.clip(place, 0, BINS - 1).astype(np.intp)


def quantile_of(counts: npt.NDArray[np.integer], share: float, first: int = 0) -> Floats:
    """The latency that ``share`` of the counted ones do not exceed, in seconds.

    ``counts`` has shape (..., n_bins), its bins following each other from ``first`` on. NaN where
    nothing was counted. Within the range of the bins it is off by ``RELATIVE_ERROR`` at most.
    """
    running = np.cumsum(counts, axis=-1)
    total = running[..., -1:]
    place = np.argmax(running >= np.maximum(np.ceil(share * total), 1), axis=-1) + first
    middle = SHORTEST_S * np.exp(place * _LOG_GROWTH) * 2 * _GROWTH / (1 + _GROWTH)
    return np.where(total[..., 0] > 0, middle, np.nan)


@dataclass(slots=True)
class ArmCounts:
    """The sums of one version in one role.

    ``requests`` were meant for it, ``errors`` of them it did not answer through a fault of its own
    (what the caller did wrong is no error). ``latency`` sums up natural logarithms of seconds, of
    those answered, and ``bins`` counts them by ``bin_of``. ``losses`` are those of the labelled
    rows in the unit of ``loss``, ``targets`` the labels themselves where they are numbers.
    """

    requests: int = 0
    errors: int = 0
    latency: Moments = field(default_factory=Moments)
    bins: dict[int, int] = field(default_factory=dict)
    losses: Moments = field(default_factory=Moments)
    targets: Moments = field(default_factory=Moments)
    loss: Loss | None = None

    def answered(self, seconds: float) -> None:
        """Count a request that was answered after ``seconds``."""
        log_seconds = math.log(min(max(seconds, SHORTEST_S), LONGEST_S))
        self.requests += 1
        self.latency.add(log_seconds)
        place = int(bin_of(log_seconds))
        self.bins[place] = self.bins.get(place, 0) + 1

    def failed(self) -> None:
        """Count a request that could not be answered."""
        self.requests += 1
        self.errors += 1

    def labelled(self, loss: Loss, lost: float, target: float | None = None) -> None:
        """Count a row whose label has come; ``target`` is the label where it is a number.

        Raises:
            InvalidInput: rows counted before have another loss, a loss is no finite number, or a
                loss of numbers comes without its target.
        """
        if not math.isfinite(lost):
            raise InvalidInput(f"expected a loss that is a finite number, got {lost!r}")
        if loss is Loss.ABSOLUTE and target is None:
            raise InvalidInput(f"the loss {loss.value!r} is scaled by the labels; give the label")
        self.loss = _same(self.loss, loss)
        self.losses.add(lost)
        if target is not None:
            self.targets.add(target)

    @property
    def labels(self) -> int:
        """How many rows have a label."""
        return self.losses.n

    @property
    def loss_scale(self) -> float:
        """By what losses are divided to be comparable: 1 for classes, the spread of the labels for
        numbers, 1 where they do not vary.
        """
        if self.loss is Loss.ABSOLUTE:
            return math.sqrt(self.targets.variance) or 1.0
        return 1.0

    def quantile_s(self, share: float) -> float:
        """The latency that ``share`` of the answers do not exceed, in seconds; NaN of none.

        It is off by at most 2 % between 1 µs and 1,000 s.
        """
        counts = np.zeros(BINS, dtype=np.int64)
        for place, count in self.bins.items():
            counts[place] = count
        return float(quantile_of(counts, share))

    def __add__(self, other: ArmCounts) -> ArmCounts:
        """Both together.

        Raises:
            InvalidInput: their losses are of different kinds.
        """
        bins = dict(self.bins)
        for place, count in other.bins.items():
            bins[place] = bins.get(place, 0) + count
        return ArmCounts(
            self.requests + other.requests,
            self.errors + other.errors,
            self.latency + other.latency,
            bins,
            self.losses + other.losses,
            self.targets + other.targets,
            _same(self.loss, other.loss),
        )


@dataclass(slots=True)
class Paired:
    """What two versions answered to the same rows: the live one, and its shadow.

    Of ``rows`` compared, ``disagreements`` got another label, and ``largest`` is how far a
    probability (or, without classes, a number) was apart at most. ``differences`` sums up the
    shadow's loss minus the live one's, of the labelled rows.
    """

    rows: int = 0
    disagreements: int = 0
    largest: float = 0.0
    differences: Moments = field(default_factory=Moments)
    loss: Loss | None = None

    def compared(self, *, agree: bool, apart: float = 0.0) -> None:
        """Count a row that both have answered.

        Raises:
            InvalidInput: ``apart`` is no finite number of at least 0.
        """
        if not (math.isfinite(apart) and apart >= 0):
            raise InvalidInput(f"expected a finite distance of at least 0, got {apart!r}")
        self.rows += 1
        self.disagreements += not agree
        self.largest = max(self.largest, apart)

    def labelled(self, loss: Loss, live: float, shadow: float) -> None:
        """Count a row whose label has come, with what either lost.

        Raises:
            InvalidInput: rows counted before have another loss, or one is no finite number.
        """
        if not (math.isfinite(live) and math.isfinite(shadow)):
            raise InvalidInput(f"expected losses that are finite numbers, got {live!r}, {shadow!r}")
        self.loss = _same(self.loss, loss)
        self.differences.add(shadow - live)

    def __add__(self, other: Paired) -> Paired:
        """Both together.

        Raises:
            InvalidInput: their losses are of different kinds.
        """
        return Paired(
            self.rows + other.rows,
            self.disagreements + other.disagreements,
            max(self.largest, other.largest),
            self.differences + other.differences,
            _same(self.loss, other.loss),
        )


def _same(one: Loss | None, other: Loss | None) -> Loss | None:
    if one is not None and other is not None and one is not other:
        raise InvalidInput(f"losses {one.value!r} and {other.value!r} do not add up; choose one")
    return one or other
