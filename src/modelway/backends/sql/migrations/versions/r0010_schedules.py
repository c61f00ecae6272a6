"""Schedules, and what became of their runs."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import MEDIUMTEXT

revision = "0010"
down_revision = "0009"

NAME = sa.String(255)
TEXT = sa.Text().with_variant(MEDIUMTEXT(), "mysql")
WHOLE = sa.BigInteger()


def upgrade() -> None:
    """Create what is not there yet: MariaDB commits each statement by itself."""
    connection = op.get_bind()
    metadata = sa.MetaData()
    options = _options(connection.dialect)
    _schedules(metadata, options)
    _runs(metadata, options)
    for table in metadata.sorted_tables:
        table.create(connection, checkfirst=True)
        for index in table.indexes:
            index.create(connection, checkfirst=True)


def _schedules(metadata: sa.MetaData, options: dict[str, Any]) -> None:
    sa.Table(
        "modelway_schedules",
        metadata,
        sa.Column("name", NAME, primary_key=True),
        sa.Column("cron", TEXT, nullable=False),
        sa.Column("zone", NAME, nullable=False),
        sa.Column("arguments", TEXT, nullable=False),
        sa.Column("folder", TEXT, nullable=False),
        sa.Column("home", NAME, nullable=False),
        sa.Column("host", NAME, nullable=False),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.Column("created_by", TEXT, nullable=False),
        sa.Column("next_due", WHOLE, nullable=False),
        sa.Index("modelway_schedules_due", "home", "next_due"),
        **options,
    )


def _runs(metadata: sa.MetaData, options: dict[str, Any]) -> None:
    sa.Table(
        "modelway_schedule_runs",
        metadata,
        sa.Column("schedule", NAME, primary_key=True),
        sa.Column("due_at", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("attempt", WHOLE, nullable=False),
        sa.Column("tries", WHOLE, nullable=False),
        sa.Column("host", NAME, nullable=False),
        sa.Column("started_at", WHOLE, nullable=False),
        sa.Column("until", WHOLE),
        sa.Column("ended_at", WHOLE),
        sa.Column("exit_code", WHOLE),
        sa.Column("detail", TEXT, nullable=False),
        sa.Column("dues", WHOLE, nullable=False),
        sa.Index("modelway_schedule_runs_state", "state"),
        **options,
    )


def _options(dialect: sa.Dialect) -> dict[str, Any]:
    """Names are compared by their code points, as in the tables before."""
    if dialect.name != "mysql":
        return {}
    collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
    return {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": collation}
