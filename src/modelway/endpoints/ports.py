"""What is asked of the store about endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from modelway.endpoints.endpoint import Revision


class EndpointStore(Protocol):
    """The revisions of every endpoint, added to and never changed.

    ``append`` enters a revision whose number is the next of its name; if it is taken it raises
    EndpointChanged, and nothing has changed.
    ``current`` is the latest revision of each endpoint that was not removed, by name.
    ``find`` is the latest revision of one, None if there never was any.
    """

    def append(self, revision: Revision) -> None:
        """Enter a revision."""
        ...

    def current(self) -> Sequence[Revision]:
        """How every endpoint is now."""
        ...

    def find(self, name: str) -> Revision | None:
        """The latest revision of an endpoint, be it that which removed it."""
        ...

    def history(self, name: str) -> Sequence[Revision]:
        """Every revision of an endpoint, the oldest first."""
        ...


class Generation(Protocol):
    """A number that grows with every change of what answers; whoever follows it polls it."""

    def now(self) -> int:
        """The number of now."""
        ...


class ShadowMeter(Protocol):
    """Who counts what shadows are asked; called on the event loop."""

    def shadowed(self, endpoint: str, requests: int) -> None:
        """So many requests were given to a shadow."""
        ...

    def shadow_shed(self, endpoint: str, requests: int) -> None:
        """So many requests found no room, or no shadow that was open."""
        ...
