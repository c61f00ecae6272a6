"""Who answered: the model, version and role behind an endpoint when a prediction was made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from modelway.domain.errors import ModelwayError
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


Identify = Callable[[str, str | None, bool], Identity | None]
"""The identity behind an endpoint and a version of it, which was asked as a shadow or not; of
version None, for a request that nobody answered, what is known of the endpoint. None where nothing
is. Called by the event loop, when an answer is told."""


class Identities:
    """Who answered, as it was when this was asked first; ``forget`` has it asked anew."""

    def __init__(self, identify: Identify) -> None:
        self._identify = identify
        self._known: dict[tuple[str, str | None, bool], Identity] = {}

    def of(self, endpoint: str, version: str | None, *, is_shadow: bool) -> Identity:
        """The identity of a version, or as much of it as anybody knows."""
        key = endpoint, version, is_shadow
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._asked(*key)
        return found

    def forget(self) -> None:
        """Ask again from now on: what answers under a name may change."""
        self._known.clear()

    def _asked(self, endpoint: str, version: str | None, is_shadow: bool) -> Identity:
        try:
            found = self._identify(endpoint, version, is_shadow)
        except ModelwayError:
            found = None
        role = "shadow" if is_shadow else "live"
        return Identity(version=version, role=role) if found is None else found
