"""Random pipelines on random data: what is compiled and passes the gate answers as the original.

Every pipeline is fitted, compiled, and asked rows that no gate has seen. Where the compiled model
answers otherwise, the gate must have kept it from being served: it is then asked, with its own
rows. (In the soak it is asked always; it costs the original 1,500 single rows.) The seed is
printed with what fails; ``MODELWAY_SEED`` brings it back.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from modelway.domain.errors import NotCompilable
from support.pairs import paired
from support.pipelines import draw, unseen_rows
from support.seeds import SEED

A_GROUP = 10

is_soak = os.environ.get("MODELWAY_SOAK") == "1"
in_soak = pytest.mark.skipif(not is_soak, reason="too long for a check: MODELWAY_SOAK=1")


@pytest.mark.parametrize("group", range(4))
def test_no_flip_in_anything_compiled(group: int, tmp_path: Path) -> None:
    _check(group, tmp_path, gated=False)


@in_soak
@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("group", range(4, 54))
def test_no_flip_in_anything_compiled_in_the_soak(group: int, tmp_path: Path) -> None:
    _check(group, tmp_path, gated=True)


def _check(group: int, folder: Path, *, gated: bool) -> None:
    """Ten pipelines of the seed; at least half of them must be compiled."""
    print(f"MODELWAY_SEED={SEED}")
    wrong, compiled = [], 0
    for number in range(group * A_GROUP, (group + 1) * A_GROUP):
        rng = np.random.Generator(np.random.PCG64([SEED, number]))
        drawn = draw(rng)
        print(f"{number}: {drawn.recipe}")
        try:
            pair = paired(drawn, folder)
        except NotCompilable as reason:
            print(f"{number}: native, {reason}")
            continue
        fault = pair.fault(unseen_rows(rng, drawn, pair.thresholds))
        report = pair.gate() if gated or fault else None
        if report is not None and not report.passed:
            print(f"{number}: native, {report.reason}")
        elif fault:
            wrong.append(f"{number}: {fault}\n    {drawn.recipe}")
        else:
            compiled += 1
    assert not wrong, f"MODELWAY_SEED={SEED}\n" + "\n".join(wrong)
    assert compiled >= A_GROUP / 2, f"only {compiled} of {A_GROUP} compiled, MODELWAY_SEED={SEED}"
