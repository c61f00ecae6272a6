"""Tables that are answered a part at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from modelway.bundles.manifest import FORMAT_VERSION, Manifest, OriginalModel, Task
from modelway.domain.errors import DeadlineExceeded, InputRefused
from modelway.domain.inference import Outputs
from modelway.domain.signature import Column, Datatype, Signature, columns_named
from modelway.domain.tables import Table
from modelway.inference.execution import Execution
from modelway.inference.in_parts import PART_S, run_in_parts
from modelway.settings import InferenceSettings

NUMBERS = Signature(columns_named(["a", "b"]))
GAPS = Signature(
    (Column("a", "a", Datatype.FP64), Column("flag", "flag", Datatype.BOOL, nullable=True))
)
UNIT_S = PART_S / 100


class Doubles:
    """Doubles the first column, in so long as ``sizes`` says; refuses a table with ``no``."""

    def __init__(self, no: float = -1.0) -> None:
        self.sizes: list[int] = []
        self._no = no

    def predict(self, table: Table) -> Outputs:
        """Each row alone."""
        first = table.arrays[0]
        self.sizes.append(table.n_rows)
        if (first == self._no).any():
            raise InputRefused("that one")
        return {
            "prediction": 2 * first,
            "kind": np.array([f"{a:.0f}" for a in first], dtype=object),
        }

    def close(self) -> None:
        """There is nothing to close."""


def execution(model: Doubles, signature: Signature = NUMBERS, **facts: Any) -> Execution:
    """A model of which is known that it takes a hundredth of a part for each row."""
    original = OriginalModel("sklearn", "m", "pickle")
    said = {"row_wise": True, **facts}
    manifest = Manifest(FORMAT_VERSION, Task.REGRESSION, "sklearn", original, "matrix", **said)
    made = Execution("m", model, manifest, signature, InferenceSettings())
    made.cost.learn(100, 100 * UNIT_S)
    return made


def table(n_rows: int, signature: Signature = NUMBERS, gap: bool = False) -> Table:
    """So many rows."""
    matrix = np.column_stack([np.arange(n_rows, dtype=float), np.ones(n_rows)])
    if gap:
        matrix[3, 1] = np.nan
    return Table(signature, n_rows, matrix=matrix)


def answered(made: Execution, rows: Table) -> tuple[Outputs, list[int]]:
    """The outputs, and what was told meanwhile."""
    told: list[int] = []

    async def run() -> Outputs:
        try:
            return await run_in_parts(made, rows, None, told.append)
        finally:
            await made.close()

    return asyncio.run(run()), told


def test_parts_are_as_large_as_is_answered_in_time_and_make_up_the_whole() -> None:
    model, rows = Doubles(), table(250)
    made = execution(model)
    outputs, told = answered(made, rows)
    assert model.sizes[0] == 100
    assert told == list(np.cumsum(model.sizes))
    assert told[-1] == 250
    assert outputs["prediction"].tolist() == [2.0 * k for k in range(250)]
    assert outputs["kind"].tolist() == [str(k) for k in range(250)]


def test_what_is_answered_in_time_goes_whole() -> None:
    model = Doubles()
    outputs, told = answered(execution(model), table(60))
    assert (model.sizes, told, len(outputs["prediction"])) == ([60], [], 60)


@pytest.mark.parametrize("facts", [{"row_wise": False}, {"batch_invariant": False}])
def test_what_depends_on_the_other_rows_goes_whole(facts: dict[str, Any]) -> None:
    model = Doubles()
    outputs, told = answered(execution(model, **facts), table(250))
    assert (model.sizes, told, len(outputs["prediction"])) == ([250], [], 250)


@pytest.mark.parametrize(("gap", "calls"), [(True, 1), (False, 3)])
def test_a_part_would_lack_the_gap_of_the_whole(gap: bool, calls: int) -> None:
    model = Doubles()
    answered(execution(model, GAPS), table(250, GAPS, gap))
    assert (len(model.sizes) > 1) is (calls > 1)


def test_no_rows_are_answered_without_the_model() -> None:
    model = Doubles()
    outputs, told = answered(execution(model), table(0))
    assert (model.sizes, told, outputs["prediction"].shape) == ([], [], (0,))


def test_a_part_that_fails_ends_it() -> None:
    model = Doubles(no=120.0)
    with pytest.raises(InputRefused, match="that one"):
        answered(execution(model), table(100_000))
    assert sum(model.sizes) < 100_000


def test_the_time_of_the_whole_is_that_of_its_parts() -> None:
    model = Doubles()
    made = execution(model)
    with pytest.raises(DeadlineExceeded):
        asyncio.run(_late(made))
    assert model.sizes == []


async def _late(made: Execution) -> None:
    try:
        await run_in_parts(made, table(250), 0.0, print)
    finally:
        await made.close()
