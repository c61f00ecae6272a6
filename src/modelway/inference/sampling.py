"""A model whose calls are measured now and then: measuring costs as much as it costs beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from modelway.domain.inference import Outputs
from modelway.domain.tables import Table
from modelway.inference.batching import Predict

_EVERY: Final = 32
"""One in so many calls is measured."""


class Sampled:
    """Asks ``predict``; ``took`` is given the table and the seconds of a call that was measured.

    It says whether the next call is to be measured too.
    """

    def __init__(
        self,
        predict: Predict,
        clock: Callable[[], float],
        took: Callable[[Table, float], bool],
    ) -> None:
        self._predict = predict
        self._clock = clock
        self._took = took
        self._left = _EVERY

    def __call__(self, table: Table) -> Outputs:
        """The answers of the model. Raises what it raises."""
        self._left -= 1
        return self._predict(table) if self._left else self.measured(table)

    def measured(self, table: Table) -> Outputs:
        """The same, measured. Raises what the model raises, and then the next call is measured."""
        self._left = 1
        started = self._clock()
        outputs = self._predict(table)
        again = self._took(table, self._clock() - started)
        self._left = 1 if again else _EVERY
        return outputs
