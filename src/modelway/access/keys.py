"""Keys: whoever has one may do what its scopes say, on the endpoints that it names.

A key is ``mw_ID_SECRET``. Only the SHA-256 of the secret is stored: it has 256 random bits, so
there is nothing to guess, and a slow hash would cost every request.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Scope(StrEnum):
    """What a key allows; ``admin`` allows everything."""

    PREDICT = "predict"
    LABEL = "label"
    READ = "read"
    DEPLOY = "deploy"
    APPROVE = "approve"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is stored; ``endpoints`` are patterns such as ``loan-*``, none for all.

    ``secret_sha256`` has 32 bytes. ``rate_per_s`` bounds its requests in each worker, 0 for no
    bound.
    """

    id: str
    name: str
    secret_sha256: bytes
    scopes: frozenset[Scope]
    endpoints: tuple[str, ...]
    created_at: datetime
    rate_per_s: float = 0.0
    revoked_at: datetime | None = None
    used_at: datetime | None = None

    @property
    def actor(self) -> str:
        """Who acts with it, as records, the ledger and the audit trail name them: ``NAME:ID``.

        Names may be given twice; the id makes it one key's alone.
        """
        return f"{self.name}:{self.id}"


@dataclass(frozen=True, slots=True)
class Act:
    """One act of administration: who did what to what, and how it ended.

    ``outcome`` is ``done``, or the code of the error that refused it. ``detail`` is JSON.
    """

    actor: str
    act: str
    subject: str
    outcome: str
    detail: str
    at: datetime
