"""Versions that may not answer any more, as the store has it.

Whatever has a version answer looks here in its own transaction, and whatever withdraws one looks in
its own at what answers. Both hold the generation, so of two at once the later sees the earlier.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from modelway.backends.sql.tables import LINKS
from modelway.domain.errors import Conflict

_C = LINKS.c


def check_not_withdrawn(connection: Connection, model: str, version: str) -> None:
    """Raises Conflict where a version was archived or deleted."""
    why = select(_C.reason).where(_C.model == model, _C.version == version, _C.withdrawn.is_(True))
    found = connection.execute(why).one_or_none()
    if found is not None:
        raise Conflict(
            f"{model}:{version} may not answer: {found.reason}",
            hint=f"take another version, or: modelway model archive {model}:{version} --undo",
        )
