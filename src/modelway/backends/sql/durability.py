"""Whether a database server keeps what it has committed when the power fails.

Source: PostgreSQL, "Write Ahead Log" (fsync, synchronous_commit); MariaDB, "InnoDB System
Variables" (innodb_flush_log_at_trx_commit).
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, text

from modelway.domain.errors import BadValue

_LOSING: Mapping[str, Mapping[str, tuple[str, frozenset[str]]]] = {
    "postgresql": {
        "fsync": ("SHOW fsync", frozenset({"off"})),
        "synchronous_commit": ("SHOW synchronous_commit", frozenset({"off"})),
    },
    "mysql": {
        "innodb_flush_log_at_trx_commit": (
            "SELECT @@innodb_flush_log_at_trx_commit",
            frozenset({"0", "2"}),
        ),
    },
}
"""By dialect: the settings that decide, how they are asked for, and what does not do."""


def check_durable(connection: Connection, shown: str) -> None:
    """Do nothing if commits are on the disk when they are done; SQLite's are as it was opened.

    Raises:
        BadValue: the server is set up otherwise.
    """
    for name, (asked, losing) in _LOSING.get(connection.dialect.name, {}).items():
        value = str(connection.scalar(text(asked))).lower()
        if value in losing:
            raise BadValue(
                f"jobs.durability is power, and {shown} has {name} = {value}, "
                "by which a loss of power loses what was committed",
                hint=f"change {name} of the server, or jobs.durability to process",
            )
