"""Steps before a tree, folded into its thresholds.

A scaler or a rounding moves the values of a column by a function that never decreases, operation by
operation. A tree that asks ``f(x) <= t`` then asks as well ``x <= s``, where ``s`` is the last
float64 number with ``f(s) <= t``: it is found by bisection over all of them, by the very operations
that the graph would do. No answer differs by a bit, and a graph is spared its nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from modelway.compilers.float_order import BISECTIONS, Floats, Ints, floats, middle, ordered
from modelway.compilers.graph import ROUNDING, Graph

Bools = npt.NDArray[np.bool_]
_Step = Callable[[Floats, Ints], Floats]
"""Values of columns and which column each is of, to the values after the step."""

_OPERATIONS: dict[str, tuple[Callable[[Any, Any], Any], bool]] = {
    "Add": (np.add, False),
    "Sub": (np.subtract, False),
    "Mul": (np.multiply, True),
    "Div": (np.divide, True),
}
"""What may stand before a tree, and whether its constants must be above 0 to keep the order."""


class Steps:
    """What happens to columns before a tree; ``source`` is the value as it was before all of it."""

    def __init__(self, graph: Graph, rows: str) -> None:
        """``rows`` is a double value (n_rows, n_features) of the graph."""
        self.source = rows
        self._steps: list[_Step] = []
        while (found := _step_to(graph, self.source)) is not None:
            self.source, step = found
            self._steps.insert(0, step)

    def thresholds(self, feature: Ints, threshold: Floats, strict: Bools) -> Floats:
        """The thresholds of ``source`` in the place of those of the rows, all of shape (n_nodes,).

        What is asked is ``<`` where ``strict``, else ``<=``; no threshold is NaN.
        """
        if not self._steps or not len(feature):
            return threshold
        asked = np.stack([feature.astype(np.float64), threshold, strict.astype(np.float64)])
        (places, splits, stricts), back = np.unique(asked, axis=1, return_inverse=True)
        found = self._before(places.astype(np.int64), splits, stricts.astype(np.bool_))
        return found[np.ravel(back)]

    def _before(self, feature: Ints, threshold: Floats, strict: Bools) -> Floats:
        def is_left(places: Ints) -> Bools:
            values = floats(places)
            with np.errstate(over="ignore"):
                for step in self._steps:
                    values = step(values, feature)
            return np.where(strict, values < threshold, values <= threshold)

        # The last number that goes left lies at ``low`` or above it, and below ``high``.
        low = ordered(np.full(len(feature), -np.inf))
        high = ordered(np.full(len(feature), np.inf))
        never, always = ~is_left(low), is_left(high)
        for _ in range(BISECTIONS):
            between = middle(low, high)
            left = is_left(between)
            low, high = np.where(left, between, low), np.where(left, high, between)
        found = np.where(strict, floats(high), floats(low))
        return np.where(never, -np.inf, np.where(always, np.inf, found))


def _step_to(graph: Graph, value: str) -> tuple[str, _Step] | None:
    """The value before the last step, and the step; None where the step may not be folded."""
    made = graph.step_to(value)
    if made is None:
        return None
    if made.kind == ROUNDING:
        return made.source, lambda values, _: values.astype(np.float32).astype(np.float64)
    constants = made.constants
    if made.kind not in _OPERATIONS or constants is None or constants.dtype != np.float64:
        return None
    operation, is_factor = _OPERATIONS[made.kind]
    if not np.all(np.isfinite(constants)) or (is_factor and not np.all(constants > 0)):
        return None
    return made.source, lambda values, feature: operation(values, constants[feature])
