"""Random pipelines on random data: what is compiled and passes the gate answers as the original.

The seed is fresh in every run and printed with what fails; ``MODELWAY_SEED`` brings it back.
``make soak`` does the same with 500 pipelines.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support.exactness import Outcome, verdict
from support.seeds import SEED

GROUPS = 4
A_GROUP = 10


@pytest.mark.parametrize("group", range(GROUPS))
def test_no_flip_in_anything_compiled(group: int, tmp_path: Path) -> None:
    """Ten pipelines of the seed; at least half of them must be compiled."""
    print(f"MODELWAY_SEED={SEED}")
    compiled = 0
    for number in range(group * A_GROUP, (group + 1) * A_GROUP):
        found = verdict(SEED, number, tmp_path, always_gated=False)
        print(found)
        assert found.outcome is not Outcome.WRONG, f"MODELWAY_SEED={SEED}\n{found}"
        compiled += found.outcome is Outcome.COMPILED
    assert compiled >= A_GROUP / 2, f"only {compiled} of {A_GROUP} compiled, MODELWAY_SEED={SEED}"
