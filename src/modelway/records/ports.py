"""What is asked of the store about labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from modelway.records.labels import Label


class LabelStore(Protocol):
    """Labels, added to and never changed.

    ``add`` gives each its revision: the next of its prediction's row. Nothing is asked about the
    prediction, which may be recorded later. The same value from the same source again adds nothing.
    ``of`` are all revisions for some predictions, ``since`` the newest revision of every row that
    was received from a time on, in the order in which they were received.
    """

    def add(self, labels: Sequence[Label]) -> Sequence[Label]:
        """Store labels; gives them with their revisions."""
        ...

    def of(self, prediction_ids: Sequence[str]) -> Sequence[Label]:
        """Every label of some predictions."""
        ...

    def since(self, received_at: datetime) -> Iterator[Label]:
        """What was received from a time on."""
        ...

    def erase(self, prediction_ids: Sequence[str]) -> int:
        """Remove the labels of some predictions for good; gives how many there were."""
        ...
