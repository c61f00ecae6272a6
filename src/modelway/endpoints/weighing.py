"""Whether a canary is worse, no worse, or neither yet: for one look, or for arrays of looks.

The chance of a wrong condemnation is shared out over what can condemn, so that the whole keeps it
(``SHARES``). A bound and the tolerance of one metric bet with one e-value: a bound asks whether the
canary is worse at all, the tolerance whether by more than that, which implies it. A promotion
must be shown by every metric, so each keeps the whole ``alpha``: a canary that is worse than a
margin in any of them is promoted with that chance at most.

Source: intersection-union test, Berger (1982); the mean of e-values is one, Vovk, Wang,
"E-values: calibration, combination and applications" (2021).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from modelway.endpoints.endpoint import Bounds
from modelway.endpoints.sequential import (
    Estimate,
    Floats,
    log_evidence_above,
    log_evidence_below,
    log_share_above,
    log_share_apart,
    log_share_below,
    share_at,
    tuned,
)

Flags = npt.NDArray[np.bool_]
Counts = int | npt.NDArray[Any]

SHARES: Mapping[str, float] = MappingProxyType(
    {"errors": 0.2, "latency": 0.2, "loss": 0.5, "sample ratio": 0.1}
)
"""Of the chance of a wrong condemnation. Loss gets the most: it needs the most rows to tell, and
what is broken shows in errors and latency at once, at any share."""

SIZES: Mapping[str, float] = MappingProxyType({"latency": 500.0, "loss": 5_000.0})
"""The sizes at which bounds on means are the tightest; at a tenth they are a fourteenth wider, at
ten times as much a quarter. 5,000 is two arms of 10,000 labels each, or 5,000 pairs."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is too small to matter, and what is asked of a promotion.

    A canary is worse only by more than a tolerance: a truly tiny difference is found in the end,
    and is no reason to go back. ``error_tolerance`` and ``latency_tolerance`` are times the live
    version's (a canary answers fewer requests, with colder caches); ``error_difference`` is how
    much larger its share of errors must be besides; ``loss_tolerance`` is in the unit of the loss:
    0.002 is one wrong answer more in five hundred.

    It is no worse if it is within a margin: ``error_margin`` times the live version's errors or a
    share of ``error_share`` whatever that one's are, ``latency_margin`` times its latency,
    ``loss_margin`` more loss (one point of accuracy). A promotion needs ``requests`` of the
    canary, and where labels come, ``labels``; and nothing beyond a bound, whatever live does.
    """

    error_tolerance: float = 1.1
    error_difference: float = 0.001
    latency_tolerance: float = 1.25
    loss_tolerance: float = 0.002
    error_margin: float = 1.5
    error_share: float = 0.005
    latency_margin: float = 1.5
    loss_margin: float = 0.01
    requests: int = 1_000
    labels: int = 500


@dataclass(frozen=True, slots=True)
class Rules:
    """What a canary is judged by; ``weight`` is its share of the requests of both."""

    bounds: Bounds
    weight: float
    alpha: float = 0.05
    limits: Limits = Limits()

    def needed(self, metric: str) -> float:
        """The log e-value that condemns by this metric."""
        return -math.log(self.alpha * SHARES[metric])

    def spread(self, metric: str) -> float:
        """The mixture's rho for condemning by this metric."""
        return tuned(self.alpha * SHARES[metric], SIZES[metric])


class Compared(NamedTuple):
    """Both arms at one look, or at many: numbers, or arrays of one shape.

    ``latency`` is the difference of mean log seconds, ``median_ratio`` the canary's median by the
    live one's. ``loss`` is the difference of the losses over ``labels`` of the arm that has fewer;
    ``labelled`` is whether labels come at all.
    """

    live_requests: Counts
    live_errors: Counts
    canary_requests: Counts
    canary_errors: Counts
    latency: Estimate
    median_ratio: npt.ArrayLike
    loss: Estimate
    labels: Counts
    labelled: bool


class Weighed(NamedTuple):
    """What is shown at a look, each a flag; ``enough`` is what a promotion needs of rows."""

    mismatch: Flags
    errors_worse: Flags
    errors_break: Flags
    errors_fine: Flags
    latency_worse: Flags
    latency_break: Flags
    latency_fine: Flags
    loss_worse: Flags
    loss_fine: Flags
    enough: Flags

    @property
    def condemned(self) -> Flags:
        """Whether the canary is to be rolled back.

        Where requests are not split as they should be only a broken bound condemns: to go back
        costs little, and a canary that fails must not stay because it is also given too many.
        """
        breaks = self.errors_break | self.latency_break
        worse = self.errors_worse | self.latency_worse | self.loss_worse
        return breaks | (worse & ~self.mismatch)

    @property
    def promoted(self) -> Flags:
        """Whether the canary may take the live one's place."""
        fine = self.errors_fine & self.latency_fine & self.loss_fine
        return fine & self.enough & ~self.mismatch & ~self.condemned

    def without_latency(self) -> Weighed:
        """The same, latency being no evidence for or against it."""
        none = np.zeros_like(self.latency_worse, dtype=np.bool_)
        return self._replace(latency_worse=none, latency_break=none, latency_fine=~none)


def weigh(compared: Compared, rules: Rules) -> Weighed:
    """What is shown at every look."""
    bounds, limits = rules.bounds, rules.limits
    mismatch = mismatch_evidence(compared, rules) >= rules.needed("sample ratio")
    judged = np.asarray(compared.canary_requests) >= bounds.requests
    n = np.maximum(compared.canary_requests, 1)
    failing = np.asarray(compared.canary_errors) / n
    live_failing = np.asarray(compared.live_errors) / np.maximum(compared.live_requests, 1)
    # The larger of the weight and what was really given: an error is no more likely by chance.
    given = n / np.maximum(np.asarray(compared.live_requests) + n, 1)
    share = np.where(mismatch, np.maximum(given, rules.weight), rules.weight)
    at_all = error_evidence(compared, np.minimum(share, 1 - 1e-9), 1.0)
    beyond = error_evidence(compared, rules.weight, limits.error_tolerance)
    matters = failing - live_failing > limits.error_difference
    slower = latency_evidence(compared, rules, 1.0) >= rules.needed("latency")
    much_slower = latency_evidence(compared, rules, limits.latency_tolerance)
    long = np.asarray(compared.median_ratio) > bounds.latency_ratio
    promotion = -math.log(rules.alpha)
    some = np.asarray(compared.canary_requests) >= limits.requests
    labelled = np.asarray(compared.labels) >= limits.labels
    return Weighed(
        mismatch,
        errors_worse=(beyond >= rules.needed("errors")) & matters,
        errors_break=judged & (failing > bounds.error_ratio) & (at_all >= rules.needed("errors")),
        errors_fine=(error_relief(compared, rules) >= promotion) & (failing <= bounds.error_ratio),
        latency_worse=much_slower >= rules.needed("latency"),
        latency_break=judged & long & slower,
        latency_fine=_relief(
            compared.latency, math.log(limits.latency_margin), SIZES["latency"], rules
        )
        & ~long,
        loss_worse=loss_evidence(compared, rules) >= rules.needed("loss"),
        loss_fine=_relief(compared.loss, limits.loss_margin, SIZES["loss"], rules)
        | (not compared.labelled),
        enough=some & (labelled | (not compared.labelled)),
    )


def mismatch_evidence(compared: Compared, rules: Rules) -> Floats:
    """Log e-value against the requests being split as the weight says."""
    n = np.asarray(compared.canary_requests) + np.asarray(compared.live_requests)
    return log_share_apart(compared.canary_requests, n, rules.weight)


def error_evidence(compared: Compared, weight: npt.ArrayLike, tolerance: float) -> Floats:
    """Log e-value against the canary failing at most ``tolerance`` times as often as live.

    An error falls on the canary with the share of requests that it has if both are alike, however
    often errors come and go, so an outage that hits both condemns neither.

    Source: Lindon, Malek, "Anytime-valid inference for multinomial count data" (NeurIPS 2022).
    """
    errors = np.asarray(compared.canary_errors) + np.asarray(compared.live_errors)
    return log_share_above(compared.canary_errors, errors, share_at(weight, tolerance))


def error_relief(compared: Compared, rules: Rules) -> Floats:
    """Log e-value against the canary failing too often both beside live and by itself.

    Two e-values of which either may tell: a service without errors has nothing to be compared with.
    """
    limits = rules.limits
    errors = np.asarray(compared.canary_errors) + np.asarray(compared.live_errors)
    share = share_at(rules.weight, limits.error_margin)
    beside = log_share_below(compared.canary_errors, errors, share)
    alone = log_share_below(compared.canary_errors, compared.canary_requests, limits.error_share)
    return np.asarray(np.logaddexp(beside, alone) - math.log(2.0))


def latency_evidence(compared: Compared, rules: Rules, tolerance: float) -> Floats:
    """Log e-value against the canary's latency being at most ``tolerance`` times live's."""
    return log_evidence_above(compared.latency, math.log(tolerance), rules.spread("latency"))


def loss_evidence(compared: Compared, rules: Rules) -> Floats:
    """Log e-value against the canary losing no more than is tolerated."""
    return log_evidence_above(compared.loss, rules.limits.loss_tolerance, rules.spread("loss"))


def _relief(estimate: Estimate, margin: float, size: float, rules: Rules) -> Flags:
    """Whether the canary is shown to be within the margin."""
    evidence = log_evidence_below(estimate, margin, tuned(rules.alpha, size))
    return np.asarray(evidence >= -math.log(rules.alpha))
