"""The verdict on a canary or a shadow: keep, promote or roll back, and why.

It may be asked for after every request; see ``sequential`` for why that raises no false alarms, and
``weighing`` for how the chance of one is shared out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from modelway.domain.errors import InvalidInput
from modelway.endpoints.comparison import ArmCounts, Paired
from modelway.endpoints.endpoint import Bounds
from modelway.endpoints.sequential import (
    SETTLED,
    Estimate,
    Floats,
    Moments,
    difference_of,
    lower_bound,
    mean_of,
    p_value,
    rate_ratio,
    tuned,
    upper_bound,
)
from modelway.endpoints.weighing import (
    SHARES,
    SIZES,
    Compared,
    Limits,
    Rules,
    Weighed,
    error_evidence,
    latency_evidence,
    loss_evidence,
    mismatch_evidence,
    weigh,
)


class Decision(StrEnum):
    """What to do with a canary."""

    KEEP = "keep"
    PROMOTE = "promote"
    ROLL_BACK = "roll back"


class Outcome(StrEnum):
    """What a metric says of a canary; ``SHOWN`` is no part of the decision."""

    WORSE = "worse"
    BROKEN = "bound broken"
    FINE = "no worse"
    OPEN = "undecided"
    MISMATCH = "mismatch"
    SHOWN = "shown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one metric shows.

    ``errors`` and ``latency`` are estimated as ratios to live, ``loss`` as a difference, ``sample
    ratio`` as the canary's share of the requests, ``disagreement`` as a share of the rows.
    ``lower`` holds at every look but for the metric's share of alpha, ``upper`` but for alpha; so
    ``lower`` above the tolerance condemns. None is where nothing is known. ``p_value`` is against
    the canary being no worse than is tolerated, and valid at every look. ``n`` is on how many rows
    it rests.
    """

    metric: str
    outcome: Outcome
    estimate: float | None
    lower: float | None
    upper: float | None
    p_value: float | None
    n: int
    meaning: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do, why in one sentence, and the evidence; of equal canaries at most ``alpha`` are
    ever rolled back.
    """

    decision: Decision
    why: str
    evidence: tuple[Finding, ...]
    alpha: float
    weight: float


def judge(
    live: ArmCounts,
    canary: ArmCounts,
    paired: Paired | None,
    bounds: Bounds,
    weight: float,
    alpha: float = 0.05,
    limits: Limits | None = None,
) -> Verdict:
    """What the sums of both arms say of the canary.

    ``weight`` is the canary's share of the requests of both arms, the same since the counts began.
    For a shadow, and for nobody else, ``paired`` is given, ``live`` counts only what the shadow was
    given too, and ``weight`` is 0.5. Losses are compared in pairs where there are enough of them.
    The latency of a shadow is shown: it is asked on a schedule of its own, and not timed as a
    caller's request is.

    Raises:
        InvalidInput: a weight outside (0, 1), an alpha outside (0, 0.5), fewer requests than
            errors, or losses of different kinds.
    """
    _check(live, canary, paired, weight, alpha)
    rules = Rules(bounds, weight, alpha, limits or Limits())
    compared = compare(live, canary, paired)
    weighed = weigh(compared, rules)
    if paired is not None:
        weighed = weighed.without_latency()
    evidence = [_sample_ratio(compared, rules, weighed), _errors(compared, rules, weighed)]
    if paired is None:
        evidence.append(_latency(live, canary, compared, rules, weighed))
    else:
        evidence.append(_latency_shown(live, canary, compared))
    if compared.labelled:
        evidence.append(_loss(compared, rules, weighed))
    if paired is not None and paired.rows:
        evidence.append(_disagreement(paired))
    decision = Decision.KEEP
    if weighed.condemned:
        decision = Decision.ROLL_BACK
    elif weighed.promoted:
        decision = Decision.PROMOTE
    why = _why(decision, evidence, rules, compared)
    return Verdict(decision, why, tuple(evidence), alpha, weight)


def compare(live: ArmCounts, canary: ArmCounts, paired: Paired | None = None) -> Compared:
    """Both arms as ``weigh`` looks at them."""
    scale = live.loss_scale
    if paired is not None and paired.differences.n >= SETTLED:
        loss, labels = mean_of(_scaled(paired.differences, scale)), paired.differences.n
    else:
        loss = difference_of(_scaled(live.losses, scale), _scaled(canary.losses, scale))
        labels = min(live.labels, canary.labels)
    return Compared(
        live.requests,
        live.errors,
        canary.requests,
        canary.errors,
        difference_of(live.latency, canary.latency),
        canary.quantile_s(0.5) / live.quantile_s(0.5),
        loss,
        labels,
        labelled=max(live.labels, canary.labels, labels) > 0,
    )


def _check(
    live: ArmCounts, canary: ArmCounts, paired: Paired | None, weight: float, alpha: float
) -> None:
    if not 0.0 < weight < 1.0:
        raise InvalidInput(f"expected a weight between 0 and 1, got {weight!r}")
    if not 0.0 < alpha < 0.5:
        raise InvalidInput(f"expected an alpha between 0 and 0.5, got {alpha!r}")
    for name, arm in (("live", live), ("canary", canary)):
        if not 0 <= arm.errors <= arm.requests:
            raise InvalidInput(f"{name}: {arm.errors} errors of {arm.requests} requests")
    kinds = {one.loss for one in (live, canary, paired) if one is not None and one.loss is not None}
    if len(kinds) > 1:
        names = " and ".join(sorted(repr(kind.value) for kind in kinds))
        raise InvalidInput(f"losses {names} cannot be compared; choose one")


def _scaled(moments: Moments, scale: float) -> Moments:
    return replace(moments, mean=moments.mean / scale, m2=moments.m2 / (scale * scale))


def _known(value: float | Floats) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _between(estimate: Estimate, metric: str, rules: Rules) -> tuple[Floats, Floats]:
    """The lower bound at the metric's share of alpha, and the upper at alpha."""
    share = rules.alpha * SHARES[metric]
    lower = lower_bound(estimate, share, rules.spread(metric))
    return lower, upper_bound(estimate, rules.alpha, tuned(rules.alpha, SIZES[metric]))


def _sample_ratio(compared: Compared, rules: Rules, weighed: Weighed) -> Finding:
    n = int(compared.live_requests) + int(compared.canary_requests)
    got = int(compared.canary_requests)
    share = got / n if n else None
    fits = "does not fit" if weighed.mismatch else "fits"
    shown = "none yet" if share is None else f"{share:.2%}"
    meaning = (
        f"the canary got {got:,} of {n:,} requests, {shown}, which {fits} its weight of "
        f"{rules.weight:.2%}"
    )
    if weighed.mismatch:
        meaning += ": what else is compared may be of different requests"
    outcome = Outcome.MISMATCH if weighed.mismatch else Outcome.FINE
    evidence = float(p_value(mismatch_evidence(compared, rules)))
    return Finding("sample ratio", outcome, share, None, None, evidence, n, meaning)


def _errors(compared: Compared, rules: Rules, weighed: Weighed) -> Finding:
    live, canary = int(compared.live_errors), int(compared.canary_errors)
    n_live, n_canary = int(compared.live_requests), int(compared.canary_requests)
    share = rules.alpha * SHARES["errors"]
    lower, upper = rate_ratio(canary, live + canary, rules.weight, share, rules.alpha)
    ratio = (canary / n_canary) / (live / n_live) if live and n_canary else None
    outcome = _outcome(weighed.errors_break, weighed.errors_worse, weighed.errors_fine)
    says = {
        Outcome.BROKEN: f"more than live, and than the {rules.bounds.error_ratio:.2%} it may",
        Outcome.WORSE: f"at least {lower:.2f} times as often",
        Outcome.FINE: "which is no worse than the margin",
        Outcome.OPEN: "which does not tell them apart yet",
    }[outcome]
    if outcome is Outcome.OPEN and canary > rules.bounds.error_ratio * n_canary:
        says = (
            f"more than the {rules.bounds.error_ratio:.2%} it may, not shown to be more than live"
        )
    counts = f"{canary:,} of {n_canary:,} requests, live {live:,} of {n_live:,}"
    meaning = f"the canary failed {counts}: {says}"
    evidence = p_value(error_evidence(compared, rules.weight, rules.limits.error_tolerance))
    bounds = (_known(lower), _known(upper))
    return Finding("errors", outcome, ratio, *bounds, float(evidence), n_live + n_canary, meaning)


def _latency(
    live: ArmCounts, canary: ArmCounts, compared: Compared, rules: Rules, weighed: Weighed
) -> Finding:
    n = live.latency.n + canary.latency.n
    outcome = _outcome(weighed.latency_break, weighed.latency_worse, weighed.latency_fine)
    estimate, lower, upper = None, None, None
    meaning = "there are not enough answers of both to compare their latency"
    if compared.latency.size:
        low, high = _between(compared.latency, "latency", rules)
        ratio = math.exp(float(compared.latency.value))
        estimate, lower, upper = ratio, math.exp(float(low)), _exp(float(high))
        says = {
            Outcome.BROKEN: f"more than the {rules.bounds.latency_ratio:g} times it may",
            Outcome.WORSE: f"at least {lower:.2f} times",
            Outcome.FINE: "which is no worse than the margin",
            Outcome.OPEN: "which does not tell them apart yet",
        }[outcome]
        meaning = (
            f"the canary takes {ratio:.2f} times as long (median {_ms(canary, 0.5)}, live "
            f"{_ms(live, 0.5)}; 99 % within {_ms(canary, 0.99)}, live {_ms(live, 0.99)}): {says}"
        )
    tolerance = rules.limits.latency_tolerance
    evidence = float(p_value(latency_evidence(compared, rules, tolerance)))
    return Finding("latency", outcome, estimate, lower, upper, evidence, n, meaning)


def _latency_shown(live: ArmCounts, shadow: ArmCounts, compared: Compared) -> Finding:
    n = live.latency.n + shadow.latency.n
    ratio, meaning = None, "there are not enough answers of both to show their latency"
    if compared.latency.size:
        ratio = math.exp(float(compared.latency.value))
        meaning = (
            f"the shadow was asked for a median of {_ms(shadow, 0.5)} a request, 99 % within "
            f"{_ms(shadow, 0.99)}; live took {_ms(live, 0.5)} and {_ms(live, 0.99)}, waiting "
            "included: not timed alike, so this condemns nobody"
        )
    return Finding("latency", Outcome.SHOWN, ratio, None, None, None, n, meaning)


def _loss(compared: Compared, rules: Rules, weighed: Weighed) -> Finding:
    n = int(compared.labels)
    outcome = _outcome(False, weighed.loss_worse, weighed.loss_fine)
    estimate, lower, upper = None, None, None
    meaning = f"{n:,} labels of either are not enough to compare losses"
    if compared.loss.size:
        low, high = _between(compared.loss, "loss", rules)
        estimate, lower, upper = float(compared.loss.value), _known(low), _known(high)
        says = {
            Outcome.WORSE: f"at least {float(low):.4f} more",
            Outcome.FINE: "which is no worse than the margin",
            Outcome.OPEN: "which does not tell them apart yet",
        }[outcome]
        meaning = (
            f"on {n:,} labels the canary loses {abs(estimate):.4f} "
            f"{'more' if estimate >= 0 else 'less'} than live: {says}"
        )
    evidence = float(p_value(loss_evidence(compared, rules)))
    return Finding("loss", outcome, estimate, lower, upper, evidence, n, meaning)


def _disagreement(paired: Paired) -> Finding:
    share = paired.disagreements / paired.rows
    meaning = (
        f"{paired.disagreements:,} of {paired.rows:,} rows got another answer, {share:.2%}; values "
        f"were apart by {paired.largest:.3g} at most; this condemns nobody"
    )
    return Finding("disagreement", Outcome.SHOWN, share, None, None, None, paired.rows, meaning)


def _outcome(breaks: object, worse: object, fine: object) -> Outcome:
    if breaks:
        return Outcome.BROKEN
    if worse:
        return Outcome.WORSE
    return Outcome.FINE if fine else Outcome.OPEN


def _why(decision: Decision, evidence: list[Finding], rules: Rules, compared: Compared) -> str:
    def of(*outcomes: Outcome) -> list[Finding]:
        return [finding for finding in evidence if finding.outcome in outcomes]

    if decision is Decision.ROLL_BACK:
        return "; ".join(one.meaning for one in of(Outcome.BROKEN) or of(Outcome.WORSE))
    if decision is Decision.PROMOTE:
        return f"no worse in {', '.join(one.metric for one in of(Outcome.FINE)[1:])}"
    if mismatched := of(Outcome.MISMATCH):
        return mismatched[0].meaning
    if undecided := of(Outcome.OPEN):
        return f"not decided yet in {', '.join(one.metric for one in undecided)}"
    limits = rules.limits
    wanted = f"{limits.requests:,} requests"
    got = f"{int(compared.canary_requests):,}"
    if compared.labelled:
        wanted += f" and {limits.labels:,} labels"
        got += f" and {int(compared.labels):,}"
    return f"a promotion needs {wanted} of the canary; there are {got}"


def _exp(value: float) -> float | None:
    return math.exp(value) if value < 700 else None


def _ms(arm: ArmCounts, share: float) -> str:
    return f"{arm.quantile_s(share) * 1e3:.3g} ms"
