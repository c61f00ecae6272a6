"""An endpoint: one live version, any number of canaries and shadows, each named by a reference.

An endpoint is changed as a whole: every change is a new revision, and the one with the highest
number is how it is now. So its history is all there, and of two who change it at once one finds the
number taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

_REMOTE = re.compile(r"remote:([A-Za-z][A-Za-z0-9._-]{0,99})")


class Role(StrEnum):
    """What a version does for an endpoint."""

    LIVE = "live"
    CANARY = "canary"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True)
class Canary:
    """A version that answers a share of the requests; ``weight`` is within (0, 1)."""

    reference: str
    weight: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a canary may not break; one that does is rolled back by itself.

    ``error_ratio`` is of the canary's requests, ``latency_ratio`` is its median against the live
    one's. ``requests`` are judged at least.
    """

    error_ratio: float = 0.05
    latency_ratio: float = 3.0
    requests: int = 50


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What answers under a name.

    References are ``loan@champion``, which is followed, or ``loan:7``; that of a shadow may also be
    ``remote:NAME``, a service that the settings name. ``split_by`` is what keeps a caller with one
    version: ``header:NAME``, ``field:COLUMN``, or empty for the prediction's id.
    ``salt`` makes the split of one endpoint independent of another's. ``automatic`` has a verdict
    acted on.
    """

    name: str
    live: str
    canaries: tuple[Canary, ...] = ()
    shadows: tuple[str, ...] = ()
    split_by: str = ""
    salt: str = ""
    automatic: bool = False
    bounds: Bounds = Bounds()

    @property
    def references(self) -> tuple[str, ...]:
        """All that it names, the live one first."""
        return (self.live, *(one.reference for one in self.canaries), *self.shadows)

    @property
    def versions(self) -> tuple[str, ...]:
        """Those of its references that must mean a version of a model, the live one first."""
        shadows = [one for one in self.shadows if remote_name(one) is None]
        return (self.live, *(one.reference for one in self.canaries), *shadows)


@dataclass(frozen=True, slots=True)
class Revision:
    """An endpoint as somebody left it; ``endpoint`` is None where it was removed.

    ``number`` counts the revisions of a name from 1.
    """

    name: str
    number: int
    endpoint: Endpoint | None
    actor: str
    why: str
    at: datetime


def remote_name(reference: str) -> str | None:
    """The name of the remote that a shadow's reference means, None for a model's version.

    A remote is also recorded as a version of this text, since nobody here knows its own.
    """
    found = _REMOTE.fullmatch(reference)
    return None if found is None else found[1]
