"""Random pipelines on random data: what is compiled and passes the gate answers as the original.

The original is the user's own model, asked as its user asks it. The seed is fresh in every run and
printed with what fails; ``MODELWAY_SEED`` brings it back. ``make soak`` does the same with 500
pipelines.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from modelway.composition.frameworks import framework
from support.exactness import Outcome, verdict
from support.pairs import opened
from support.pipelines import Drawn
from support.seeds import SEED

GROUPS = 4
A_GROUP = 10


@pytest.mark.parametrize("group", range(GROUPS))
def test_no_flip_in_anything_compiled(group: int, tmp_path: Path) -> None:
    """Ten pipelines of the seed; at least half of them must be compiled."""
    print(f"MODELWAY_SEED={SEED}")
    compiled = 0
    for number in range(group * A_GROUP, (group + 1) * A_GROUP):
        found = verdict(SEED, number, tmp_path)
        print(found)
        assert found.outcome is not Outcome.WRONG, f"MODELWAY_SEED={SEED}\n{found}"
        compiled += found.outcome is Outcome.COMPILED
    assert compiled >= A_GROUP / 2, f"only {compiled} of {A_GROUP} compiled, MODELWAY_SEED={SEED}"


def test_a_model_described_wrongly_is_found() -> None:
    """Fitted on None and given NaN, the runtime itself answers otherwise than the user's model."""
    kinds = pd.Series([None, "x", "y", "x"] * 10, dtype=object)
    rows = pd.DataFrame({"kind": kinds})
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    drawn = Drawn("", model.fit(rows, kinds.isna()), rows, named=True)
    right = opened(drawn)
    assert right.fault(rows) is None
    manifest = msgspec.structs.replace(right.manifest, missing_text="nan")
    runtime = framework("sklearn").open(model, drawn.signature, manifest)
    assert "[None] gives" in str(replace(right, runtime=runtime, manifest=manifest).fault(rows))
