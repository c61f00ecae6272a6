"""What is asked of others about past predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from modelway.domain.inference import Outputs
from modelway.domain.tables import Array


@dataclass(frozen=True, slots=True)
class Batched:
    """One request's place in a batch: its rows begin at ``start``."""

    prediction_id: str
    start: int
    n_rows: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What one call of the model was given: ``n_rows`` in all, by the requests that are recorded.

    ``members`` may be in any order, and fewer than there were: what was not kept is missing.
    """

    n_rows: int
    members: Sequence[Batched]


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """A prediction as it was recorded.

    ``inputs`` are all columns, or tensors, of the signature by name: as a table holds them (see
    ``domain.tables``), None for one that was dropped or hashed. ``outputs`` are as the runtime gave
    them (``domain.inference.Outputs``), but classes by their label, as ``prediction``; None for a
    request that was not answered. Text among them is an object array. ``status`` is ``ok`` or the
    error's code. ``batch`` is None for a request that was asked alone, or of a bundle to which that
    is all the same. ``parameters`` is what the caller said to the model beside the rows. ``at`` is
    the event time, in UTC.
    """

    prediction_id: str
    endpoint: str
    model: str | None
    version: str | None
    digest: str | None
    role: str
    at: datetime
    n_rows: int
    inputs: Mapping[str, Array | None]
    outputs: Outputs | None
    status: str = "ok"
    batch: Batch | None = None
    parameters: Mapping[str, object] | None = None


class Predictions(Protocol):
    """Recorded predictions.

    ``find`` gives all rows of a prediction as it was answered, or refused, by the live version or a
    canary; what shadows said of it is not among it. Of an id that was asked again it is the last
    time that it was answered. ``endpoint`` is wanted where several have predictions of that id.
    """

    def find(self, prediction_id: str, endpoint: str | None = None) -> Recorded:
        """A prediction. Raises PredictionNotFound, InvalidInput."""
        ...
