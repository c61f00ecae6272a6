"""Homes that share a control store, and where each of them has its bundles.

What one of them bundles is linked in the store for all; so all must find it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Present:
    """A home that was seen on a host: ``place`` tells where its bundles are from other places.

    ``shown`` is that place for people to read.
    """

    home: str
    host: str
    place: str
    shown: str
    seen_at: datetime


class PresentHomes(Protocol):
    """The homes in which a service runs, as they have said themselves.

    ``note`` replaces what was known of the home. ``leave`` of one that is not there changes
    nothing. ``all`` are those noted and not left, the latest seen first.
    """

    def note(self, present: Present) -> None:
        """A home is there."""
        ...

    def leave(self, home: str) -> None:
        """A home is not there any more."""
        ...

    def all(self) -> Sequence[Present]:
        """Every home that is there."""
        ...
