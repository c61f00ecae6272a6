"""Evidence that may be looked at after every request without raising false alarms.

Every function gives the logarithm of an e-value: of a bet against a hypothesis that wins nothing on
average where the hypothesis is true, however often and whenever one looks. So the chance that it
ever reaches ``1 / alpha`` is at most ``alpha``. A bound is what the bet rejects at that level.

Two bets are made:

- on means (latency, loss): a normal mixture around an estimated mean, valid as the central limit
  theorem is, for many values of finite variance;
- on where rare events fall (errors, requests): a mixture of sequential probability ratio tests,
  exact from the first event on. A mean of a handful of errors is not nearly normal, and its
  variance is not known from them.

All take numbers or arrays that broadcast, and give arrays of their shape.

Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and
asymptotic confidence sequences" (arXiv 2103.06476); Robbins, "Statistical methods related to the
law of the iterated logarithm" (1970); Wald, "Sequential analysis" (1947).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SETTLED = 30
"""Of fewer values a mean says nothing: its variance is not known."""

GUARD = 2.0
"""Added to the sum of squares, as two more values would, a whole unit off to either side: what
never varied so far (no wrong answer among 500) is not taken for what cannot vary."""

RATIOS: Floats = 1.0 + np.exp2(np.arange(-6.0, 9.0))
"""The odds ratios bet on, 1.016 to 257, with equal stakes: the best one is at most log(15) ahead of
the mixture, and what lies between two of them is found little later."""

_WIDEST = 30.0
_HALVINGS = 60


class Sums(Protocol):
    """Values, as how many there were, their mean, and the sum of squares about it."""

    @property
    def n(self) -> npt.ArrayLike:
        """How many."""
        ...

    @property
    def mean(self) -> npt.ArrayLike:
        """Their mean."""
        ...

    @property
    def m2(self) -> npt.ArrayLike:
        """Their squared distances from the mean, summed up."""
        ...


@dataclass(slots=True)
class Moments:
    """Sums of values that add up: two halves added are the whole, but for rounding.

    Source: Welford (1962); Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for
    computing sample variances" (1979).
    """

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0

    def add(self, value: float) -> None:
        """Take in one value."""
        self.n += 1
        distance = value - self.mean
        self.mean += distance / self.n
        self.m2 += distance * (value - self.mean)

    def __add__(self, other: Moments) -> Moments:
        n = self.n + other.n
        if not n:
            return Moments()
        distance = other.mean - self.mean
        mean = self.mean + distance * other.n / n
        return Moments(n, mean, self.m2 + other.m2 + distance * distance * self.n * other.n / n)

    @property
    def variance(self) -> float:
        """The variance of the values; 0 of fewer than two."""
        return self.m2 / self.n if self.n > 1 else 0.0


class Estimate(NamedTuple):
    """A mean or a difference of two: ``error`` is its standard error, ``size`` of how many values
    a mean would be known as well. Of fewer than ``SETTLED`` values ``size`` is 0: nothing is known.
    """

    value: Floats
    error: Floats
    size: Floats


def mean_of(values: Sums) -> Estimate:
    """A mean, or a paired difference where the values are differences."""
    n = np.asarray(values.n, dtype=np.float64)
    error = np.sqrt(_variance(values) / np.maximum(n, 1.0))
    return Estimate(np.asarray(values.mean, np.float64), error, np.where(n < SETTLED, 0.0, n))


def difference_of(live: Sums, canary: Sums) -> Estimate:
    """The mean of the canary's values minus that of the live one's.

    Both arms are taken to vary as the one that varies more. Of skewed values a mean that is too
    low comes with a variance that is too small, so an arm of few values must not vouch for itself.

    The estimates of successive looks, each over its squared error, are a Brownian motion in the
    limit, however requests are shared out, which is what a mixture asks for.

    Source: Jennison, Turnbull, "Group sequential methods" (2000), 3.1.
    """
    n_live, n_canary = np.asarray(live.n, np.float64), np.asarray(canary.n, np.float64)
    each = 1.0 / np.maximum(n_live, 1.0) + 1.0 / np.maximum(n_canary, 1.0)
    error = np.sqrt(np.maximum(_variance(live), _variance(canary)) * each)
    settled = np.minimum(n_live, n_canary) >= SETTLED
    value = np.asarray(canary.mean, np.float64) - np.asarray(live.mean, np.float64)
    return Estimate(value, error, np.where(settled, 1.0 / each, 0.0))


def tuned(alpha: float, size: float) -> float:
    """The spread of the mixture (rho) with which a one-sided bound is tightest at this size.

    Source: arXiv 2103.06476, on tuning; one-sided with ``2 * alpha`` for ``alpha``.
    """
    return math.sqrt((-2 * math.log(2 * alpha) + math.log1p(-2 * math.log(2 * alpha))) / size)


def log_evidence_above(estimate: Estimate, null: npt.ArrayLike, rho: float) -> Floats:
    """Against a true value of at most ``null``.

    The mixture over the positive half of a normal distribution is ``2 exp(s²) Φ(√2 s) / √(1+u)``;
    ``Φ(√2 s) ≥ 1 - exp(-s²) / 2`` leaves a little of it and needs no Φ.
    """
    u, s2 = _intrinsic(estimate, null, rho)
    evidence = s2 + np.log(2.0 - np.exp(-s2)) - np.log1p(u) / 2.0
    above = (estimate.value > np.asarray(null)) & (estimate.size > 0)
    return np.where(above, evidence, -np.inf)


def log_evidence_below(estimate: Estimate, null: npt.ArrayLike, rho: float) -> Floats:
    """Against a true value of at least ``null``."""
    return log_evidence_above(_mirrored(estimate), -np.asarray(null, np.float64), rho)


def lower_bound(estimate: Estimate, alpha: float, rho: float) -> Floats:
    """What the true value is at least, at every look at once, but for a chance of ``alpha``.

    It is minus infinity where nothing is known.
    """
    grown = 1.0 + estimate.size * rho**2
    return _bound(estimate, rho, np.log((1.0 + np.sqrt(grown) / alpha) / 2.0))


def upper_bound(estimate: Estimate, alpha: float, rho: float) -> Floats:
    """What the true value is at most; see ``lower_bound``."""
    return -lower_bound(_mirrored(estimate), alpha, rho)


def p_value(log_evidence: npt.ArrayLike) -> Floats:
    """A p-value that is valid at every look: one over the e-value, at most 1."""
    return np.asarray(np.exp(-np.maximum(np.asarray(log_evidence, np.float64), 0.0)))


def log_share_above(events: npt.ArrayLike, of: npt.ArrayLike, share: npt.ArrayLike) -> Floats:
    """Against at most ``share`` of all being ``events``, each independently of those before."""
    return _mixture(events, of, share, RATIOS)


def log_share_below(events: npt.ArrayLike, of: npt.ArrayLike, share: npt.ArrayLike) -> Floats:
    """Against at least ``share`` of all being ``events``."""
    return _mixture(events, of, share, np.reciprocal(RATIOS))


def log_share_apart(events: npt.ArrayLike, of: npt.ArrayLike, share: npt.ArrayLike) -> Floats:
    """Against exactly ``share`` of all being ``events``: the check of a split against its weight.

    Source: after Lindon, Malek, "Anytime-valid inference for multinomial count data"
    (NeurIPS 2022, arXiv 2011.03567).
    """
    return _mixture(events, of, share, np.concatenate((RATIOS, np.reciprocal(RATIOS))))


def share_at(weight: npt.ArrayLike, ratio: npt.ArrayLike) -> Floats:
    """Which share of the events falls on an arm that has ``weight`` of the requests and fails
    ``ratio`` times as often as the other.
    """
    scaled = np.asarray(weight, np.float64) * np.asarray(ratio, np.float64)
    return np.asarray(scaled / (scaled + 1.0 - np.asarray(weight, np.float64)))


def rate_ratio(
    events: int, of: int, weight: float, lower_alpha: float, upper_alpha: float
) -> tuple[float, float]:
    """How many times as often as the other an arm fails: at least, and at most, at every look.

    ``events`` of the failures of both, ``of``, are its own; ``weight`` of the requests are. (0,
    infinity) where nothing is known.
    """

    def below(log_ratio: float) -> bool:
        share = share_at(weight, math.exp(log_ratio))
        return float(log_share_above(events, of, share)) >= -math.log(lower_alpha)

    def not_above(log_ratio: float) -> bool:
        share = share_at(weight, math.exp(log_ratio))
        return float(log_share_below(events, of, share)) < -math.log(upper_alpha)

    lower = _last(below)
    upper = _last(not_above)
    return (
        0.0 if lower == -_WIDEST else math.exp(lower),
        math.inf if upper == _WIDEST else math.exp(upper),
    )


def _variance(values: Sums) -> Floats:
    n = np.maximum(np.asarray(values.n, np.float64), 1.0)
    return np.asarray((np.asarray(values.m2, np.float64) + GUARD) / n)


def _mirrored(estimate: Estimate) -> Estimate:
    return Estimate(-estimate.value, estimate.error, estimate.size)


def _intrinsic(estimate: Estimate, null: npt.ArrayLike, rho: float) -> tuple[Floats, Floats]:
    """Time in units of the mixture's spread, and the exponent of the mixture."""
    u = estimate.size * rho**2
    z = (estimate.value - np.asarray(null, np.float64)) / estimate.error
    return u, u * z * z / (2.0 * (1.0 + u))


def _bound(estimate: Estimate, rho: float, exponent: Floats) -> Floats:
    """Where the mixture's exponent is that large, below the estimate."""
    u = estimate.size * rho**2
    known = u > 0
    wide = np.sqrt(2.0 * exponent * (1.0 + u) / np.where(known, u, 1.0))
    return np.where(known, estimate.value - estimate.error * wide, -np.inf)


def _mixture(
    events: npt.ArrayLike, of: npt.ArrayLike, share: npt.ArrayLike, ratios: Floats
) -> Floats:
    """The mean over odds ratios r of ``r**events / (1 + share * (r - 1))**of``."""
    k, n, q = (np.asarray(one, np.float64) for one in (events, of, share))
    total = np.full(np.broadcast_shapes(k.shape, n.shape, q.shape), -np.inf)
    for ratio in ratios.tolist():
        total = np.logaddexp(total, k * math.log(ratio) - n * np.log1p(q * (ratio - 1.0)))
    return np.asarray(total - math.log(len(ratios)))


def _last(holds: Callable[[float], bool]) -> float:
    """The largest x for which ``holds``, which holds up to some x and not after it."""
    low, high = -_WIDEST, _WIDEST
    if not holds(low):
        return low
    if holds(high):
        return high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
