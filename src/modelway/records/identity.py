"""Who answered: the model, version and role behind an endpoint when a prediction was made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from modelway.domain.signature import Scalar


@dataclass(frozen=True, slots=True)
class Identity:
    """What a record says of the one that answered.

    ``role`` is ``live``, ``canary`` or ``shadow``. ``classes`` are the labels in the order of
    ``class_index``, None where there are none. Where not ``batch_invariant``, the record keeps the
    batch. None stands for what is not known: nobody knows which version a refused request was for.
    """

    model: str | None = None
    version: str | None = None
    digest: str | None = None
    role: str = "live"
    classes: tuple[Scalar, ...] | None = None
    batch_invariant: bool = True


Identify = Callable[[str, str | None], Identity | None]
"""The identity behind an endpoint and a version of it; of version None, for a request that nobody
answered, what is known of the endpoint. None where nothing is. Called by the flush thread."""
