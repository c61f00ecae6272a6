"""What tests put into a control store: promotions, revisions, proposals, keys and labels."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from modelway.access.keys import Key, Scope
from modelway.endpoints.endpoint import Endpoint, Revision
from modelway.records.labels import Label
from modelway.registry.promotions import Kind, Promotion, Proposal

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def move(
    number: int, to: str | None = "7", model: str = "loan", alias: str = "champion", **said: Any
) -> Promotion:
    """A promotion as a test needs it."""
    found = {"from_version": None, "kind": Kind.PROMOTED, "actor": "ann", "why": "", "at": NOON}
    return Promotion(model, alias, number, to_version=to, **(found | said))


def revision(number: int, name: str = "loan", live: str | None = "loan@champion") -> Revision:
    """A revision of an endpoint; without ``live`` one that removes it."""
    endpoint = None if live is None else Endpoint(name, live)
    return Revision(name, number, endpoint, "ann", f"change {number}", NOON)


def proposal(id: str = "p1", *, at: datetime = NOON, model: str = "loan") -> Proposal:
    """An open proposal."""
    return Proposal(
        *(id, model, "champion", "8", "ann", "better", at, at + timedelta(days=1)),
        from_version="6",
    )


def key(id: str = "k1", *, at: datetime = NOON) -> Key:
    """A key that may predict."""
    secret = hashlib.sha256(id.encode()).digest()
    return Key(id, "ci", secret, frozenset({Scope.PREDICT}), (), at)


def label(
    value: int | float | str | bool = 1,
    *,
    id: str = "a",
    row: int = 0,
    source: str = "api",
    at: datetime = NOON,
) -> Label:
    """A label that is received when it is true."""
    return Label(id, row, value, at, at, source)
