"""Which migration a store has had, and whether this version may use it.

A migration only adds, so the version before goes on serving while a store is migrated. It does not
open it afresh: what it does not know it would not keep up.
"""

from __future__ import annotations

from sqlalchemy import Connection, String, column, inspect, select, table

from modelway.backends.sql.database import Database
from modelway.backends.sql.tables import REVISION_TABLE
from modelway.domain.errors import HomeTooNew

KNOWN = tuple(f"{n:04}" for n in range(1, 13))
"""Every revision of ``migrations/versions``, the oldest first."""


def revision_of(connection: Connection) -> str | None:
    """The last migration of a store; None for one without tables."""
    if not inspect(connection).has_table(REVISION_TABLE):
        return None
    noted = table(REVISION_TABLE, column("version_num", String))
    return connection.scalar(select(noted.c.version_num))


def is_migrated(database: Database, connection: Connection) -> bool:
    """Whether the store has had every migration.

    Raises:
        HomeTooNew: it has had one that this version does not know.
    """
    found = revision_of(connection)
    if found is not None and found not in KNOWN:
        raise HomeTooNew(
            f"the control store {database.shown} is of revision {found}, "
            f"and this Modelway knows those up to {KNOWN[-1]}",
            hint="use the Modelway that wrote it, or a newer one",
        )
    return found == KNOWN[-1]
