"""Single rows of numbers, side by side as their frame will have them.

What waits for its frame as the objects it came as costs far more than the frame: meanwhile the next
requests are made in memory that no cache holds. So of rows that one call answered together nothing
is kept but their bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelway.domain.inference import Outputs
from modelway.domain.parts import Part, Whole
from modelway.domain.signature import Signature
from modelway.domain.tables import Array, Table
from modelway.records.gathered import Gathered
from modelway.records.identity import Identity
from modelway.records.told import Answered
from modelway.records.values import texts

_MOST_ROW_BYTES = 4096
"""A row that takes more costs its requests so much that the rest does not show."""

_PLAIN = frozenset("biuf")


class SideBySide:
    """Rows of one signature that one version of an endpoint answered; of one layout of outputs.

    ``identity`` is who answered those that are here, as it was when the first of them came.
    """

    __slots__ = (
        *("_arrays", "_at", "_ids", "_layout", "_n", "_principals", "_seconds"),
        *("endpoint", "identity", "n_rows", "row_bytes", "signature"),
    )

    def __init__(self, endpoint: str, identity: Identity, whole: Whole) -> None:
        """``whole`` is a call whose rows can be kept so (``can_be_kept``)."""
        self.endpoint = endpoint
        self.identity = identity
        self.signature: Signature = whole.table.signature
        self.row_bytes = _row_bytes(whole)
        self._layout = [(name, a.dtype, a.shape[1:]) for name, a in whole.outputs.items()]
        self._empty()

    def _empty(self) -> None:
        self.n_rows = 0
        self._arrays: list[list[bytes]] = [[] for _ in range(1 + len(self._layout))]
        self._at: list[int] = []
        self._n: list[int] = []
        self._ids: list[str] = []
        self._principals: list[str | None] = []
        self._seconds: list[float] = []

    def arrays_of(self, whole: Whole) -> list[Array] | None:
        """The arrays of a call to be kept; None where its rows do not lie as those that are."""
        outputs, n = whole.outputs, whole.n_rows
        if len(outputs) != len(self._layout) or whole.table.parameters:
            return None
        arrays = [whole.table.matrix]
        for name, dtype, rest in self._layout:
            its = outputs.get(name)
            if its is None or its.dtype != dtype or its.shape != (n, *rest):
                return None
            arrays.append(its)
        return arrays

    def add(
        self, at: int, answered: Sequence[Answered], run: Part, arrays: Sequence[Array]
    ) -> None:
        """Keep the rows of ``run``, one a request; ``at`` in ns since 1970.

        ``arrays`` are as ``arrays_of`` gives them for the call.
        """
        n = len(answered)
        if n != run.whole.n_rows:
            arrays = [one[run.start : run.end] for one in arrays]
        for kept, one in zip(self._arrays, arrays, strict=True):
            kept.append(one.tobytes())
        # In one loop, as there are few requests a call.
        ids, principals, each_seconds = self._ids, self._principals, self._seconds
        for request, response, seconds in answered:
            ids.append(response.prediction_id)
            principals.append(request.principal)
            each_seconds.append(seconds)
        self._at.append(at)
        self._n.append(n)
        self.n_rows += n

    def taken(self) -> Gathered:
        """All rows; none are here any more, also where it raises."""
        try:
            return self._gathered()
        finally:
            self._empty()

    def _gathered(self) -> Gathered:
        n = self.n_rows
        matrix, *outputs = [b"".join(kept) for kept in self._arrays]
        table = Table(self.signature, n, matrix=np.frombuffer(matrix).reshape(n, -1))
        arrays: Outputs = {
            name: np.frombuffer(its, dtype).reshape(n, *rest)
            for (name, dtype, rest), its in zip(self._layout, outputs, strict=True)
        }
        return Gathered(
            texts(self._ids),
            [Part(Whole(table, arrays), 0, n)],
            self._principals,
            np.array(self._seconds),
            np.repeat(np.array(self._at, np.int64) // 1000, self._n),
        )


def can_be_kept(whole: Whole) -> bool:
    """Whether rows as a call's are numbers, not wide, and have numbers each for an answer."""
    table = whole.table
    return (
        table.signature.is_numeric
        and all(
            isinstance(one, np.ndarray)
            and one.dtype.kind in _PLAIN
            and one.shape[:1] == (whole.n_rows,)
            for one in whole.outputs.values()
        )
        and _row_bytes(whole) <= _MOST_ROW_BYTES
    )


def _row_bytes(whole: Whole) -> int:
    n = max(1, whole.n_rows)
    outputs: Sequence[Array] = list(whole.outputs.values())
    return 8 * len(whole.table.signature.columns) + sum([one.nbytes // n for one in outputs])
