"""Promotions: which version an alias was pointed to, by whom, when and why.

The registry keeps no history of its aliases and the last writer wins. So every move is entered in
the ledger first, under the next number of its model and alias: whoever comes second finds the
number taken and is told. The registry's alias follows, and a move that was made in the registry
itself is entered once it is noticed. The ledger is only ever added to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """How an alias came to be moved; one that was refused stayed where it was."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"
    NOTICED = "noticed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Promotion:
    """One move of an alias; ``number`` counts the moves of a model's alias from 1.

    ``from_version`` is None for an alias that was not set; ``to_version`` is None where it was
    removed. ``gate_report`` is the SHA-256 of the report that allowed it, if there was a gate.
    """

    model: str
    alias: str
    number: int
    from_version: str | None
    to_version: str | None
    kind: Kind
    actor: str
    why: str
    at: datetime
    gate_report: str | None = None


class Decision(StrEnum):
    """What became of a proposal."""

    OPEN = "open"
    APPROVED = "approved"
    DECLINED = "declined"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A promotion to a protected alias that waits until another may approve it.

    ``from_version`` is where the alias was when it was proposed, None if it was not set: a move
    from there is what is approved, and no other.
    """

    id: str
    model: str
    alias: str
    version: str
    actor: str
    why: str
    at: datetime
    expires_at: datetime
    decision: Decision = Decision.OPEN
    decided_by: str | None = None
    decided_at: datetime | None = None
    from_version: str | None = None
