"""What is asked of the store about keys and acts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from modelway.access.keys import Act, Key


class KeyStore(Protocol):
    """The keys.

    ``all`` has revoked ones too, the oldest first.
    ``revoke`` raises KeyNotFound; a key that was revoked before stays so since then.
    ``used`` never sets a time back.
    """

    def add(self, key: Key) -> None:
        """Store a new key."""
        ...

    def all(self) -> Sequence[Key]:
        """Every key."""
        ...

    def revoke(self, id: str, at: datetime) -> None:
        """Allow nothing with a key any more."""
        ...

    def used(self, at: Mapping[str, datetime]) -> None:
        """When keys were used last, by their ids."""
        ...


class AuditTrail(Protocol):
    """Acts of administration, added to and never changed; ``acts`` are the newest first."""

    def append(self, act: Act) -> None:
        """Enter an act."""
        ...

    def acts(self, limit: int, before: datetime | None = None) -> Sequence[Act]:
        """The newest acts, or those before a time."""
        ...
