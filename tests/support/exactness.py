"""Random pipelines: drawn, fitted, compiled, and asked rows that no gate has seen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from modelway.domain.errors import NotCompilable
from support.pairs import opened, paired
from support.pipelines import draw, unseen_rows


class Outcome(StrEnum):
    """What became of a pipeline; ``WRONG`` is what must never be."""

    COMPILED = "compiled"
    NOT_COMPILABLE = "not-compilable"
    KEPT_BY_GATE = "kept-by-gate"
    WRONG = "wrong"


@dataclass(frozen=True)
class Verdict:
    """The outcome for pipeline ``number`` of a seed, why, and what was drawn."""

    number: int
    outcome: Outcome
    reason: str
    recipe: str


def verdict(seed: int, number: int, folder: Path) -> Verdict:
    """Draw, compile and compare one pipeline with the user's own, as a bundle of it would answer.

    What the native runtime answers is compared whether the pipeline compiles or not. Where the
    compiled model answers an unseen row otherwise, the gate must have kept it from being served: it
    is asked then, with its own rows. Where it does not, what the gate would say is no matter, and
    1,500 single rows are not asked of the original.
    """
    rng = np.random.Generator(np.random.PCG64([seed, number]))
    drawn = draw(rng)
    original = opened(drawn)
    try:
        pair = paired(original, folder)
    except Exception as error:  # noqa: BLE001 - a build goes on natively whatever a compiler raises
        reason = f"compiling failed: {type(error).__name__}: {error}"
        reason = error.message if isinstance(error, NotCompilable) else reason
        fault = original.fault(unseen_rows(rng, drawn, [np.empty(0)] * drawn.rows.shape[1]))
        outcome = Outcome.WRONG if fault else Outcome.NOT_COMPILABLE
        return Verdict(number, outcome, fault or reason, drawn.recipe)
    rows = unseen_rows(rng, drawn, pair.thresholds)
    fault = original.fault(rows)
    if fault:
        return Verdict(number, Outcome.WRONG, fault, drawn.recipe)
    fault = pair.compiled.fault(rows)
    if not fault:
        return Verdict(number, Outcome.COMPILED, "", drawn.recipe)
    report = pair.gate()
    if report.passed:
        return Verdict(number, Outcome.WRONG, fault, drawn.recipe)
    return Verdict(number, Outcome.KEPT_BY_GATE, report.reason or "", drawn.recipe)
