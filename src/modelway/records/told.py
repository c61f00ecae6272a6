"""What was answered, as it waits for its frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from modelway.domain.inference import InferenceRequest, InferenceResponse
from modelway.domain.parts import Part, Whole
from modelway.records.identity import Identity

Answered: TypeAlias = tuple[InferenceRequest, InferenceResponse, float]
"""Who asked, what was answered, and the seconds that it took."""


class Told:
    """Answers of one version as they were told, without the requests and responses themselves.

    Those end with the turn that made them, while they are in the core's cache; what waits for its
    frame is a few lists, and the call that answered. ``at`` is in ns since 1970; ``parts`` and
    ``rows`` are as in ``Gathered``. ``n_bytes`` is what it holds, as whoever keeps it reckons, and
    ``identity`` is who answered, by the same.
    """

    __slots__ = (
        *("at", "endpoint", "identity", "ids", "n_bytes", "parts", "principals", "rows"),
        "seconds",
    )

    def __init__(
        self, at: int, answered: Sequence[Answered], run: Part | None, identity: Identity
    ) -> None:
        """``run`` is what ``run_of`` says of them."""
        self.at = at
        self.n_bytes = 0
        self.endpoint = answered[0][1].endpoint
        self.identity = identity
        self.ids = [response.prediction_id for _, response, _ in answered]
        self.principals = [request.principal for request, _, _ in answered]
        self.seconds = [seconds for _, _, seconds in answered]
        self.rows: list[int] | None = None
        self.parts = [run] if run is not None else [_part(*one) for one in answered]
        if run is None and any(response.n_rows != 1 for _, response, _ in answered):
            self.rows = [response.n_rows for _, response, _ in answered]

    @property
    def n_rows(self) -> int:
        """How many rows the requests have."""
        return len(self.ids) if self.rows is None else sum(self.rows)

    def only(self, place: int) -> Told:
        """One of the answers; there is a part for each."""
        one = object.__new__(Told)
        one.at, one.n_bytes = self.at, 0
        one.endpoint, one.identity = self.endpoint, self.identity
        one.ids, one.principals = [self.ids[place]], [self.principals[place]]
        one.seconds, one.parts = [self.seconds[place]], [self.parts[place]]
        one.rows = None if self.rows is None else [self.rows[place]]
        return one


def run_of(answered: Sequence[Answered]) -> Part | None:
    """All rows, where one call answered them, one a request and next to each other; else None.

    A call that fails is made again in halves, each with neighbours: so where the first and the last
    come from one call, and as many rows lie between them as there are, all the others do too. A
    request may have no row, and its neighbour several.
    """
    if len(answered) == 1:
        is_row = answered[0][1].n_rows == 1 and answered[0][0].table.signature.is_tabular
        return _part(*answered[0]) if is_row else None
    first, last = answered[0][1].outputs, answered[-1][1].outputs
    if type(first) is not Part or type(last) is not Part or first.whole is not last.whole:
        return None
    if last.end - first.start != len(answered) or not first.whole.table.signature.is_tabular:
        return None
    if [response.n_rows for _, response, _ in answered].count(1) != len(answered):
        return None
    return Part(first.whole, first.start, last.end)


def _part(request: InferenceRequest, response: InferenceResponse, _: float) -> Part:
    """The call that answered a request, and what of it is the request's."""
    outputs = response.outputs
    if type(outputs) is Part:
        return outputs
    return Part(Whole(request.table, outputs), 0, response.n_rows)
