"""Labels: what turned out to be true of a prediction, which may come late and be corrected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Label:
    """What was true of row ``row`` of a prediction, from ``at`` on.

    ``value`` is a number, a text or a Boolean, of the type of the model's own labels. ``source`` is
    who says so. ``revision`` counts the labels of one row from 1; the highest holds.
    """

    prediction_id: str
    row: int
    value: int | float | str | bool
    at: datetime
    received_at: datetime
    source: str
    revision: int = 1
