"""A table answered a part at a time, so that its caller can say how far it is and end it between.

Only what a model answers alike row by row is divided; its parts are those rows, in order. A part is
as much as the model is expected to answer in ``PART_S``: what takes less goes whole.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from modelway.domain.inference import Outputs
from modelway.domain.tables import Table
from modelway.inference.batching import Measure
from modelway.inference.execution import Execution

PART_S = 1.0
_FIRST_ROWS = 64
"""A part of which nobody knows yet how long it takes."""


async def run_in_parts(
    execution: Execution, table: Table, deadline: float | None, progress: Callable[[int], object]
) -> Outputs:
    """The model's outputs for a table; ``progress`` is told how many rows are answered.

    Raises:
        ModelwayError: as ``Execution.run``.
    """
    # A part without a gap would be of another type than the whole.
    if not execution.divides or not table.n_rows or any(Measure(table.signature).gaps(table)):
        return await execution.run(table, deadline)
    found: list[Outputs] = []
    start = 0
    while start < table.n_rows:
        cost = execution.cost
        most = max(1, cost.most_units(PART_S)) if cost.is_known else _FIRST_ROWS
        end = min(table.n_rows, start + most)
        if end - start == table.n_rows:
            return await execution.run(table, deadline)
        found.append(await execution.run(table.rows(slice(start, end)), deadline))
        start = end
        progress(start)
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}
