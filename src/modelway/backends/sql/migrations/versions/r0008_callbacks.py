"""Who is to be told that a job has ended, and what was sent for jobs to come."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import MEDIUMTEXT

revision = "0008"
down_revision = "0007"

NAME = sa.String(255)
TEXT = sa.Text().with_variant(MEDIUMTEXT(), "mysql")
WHOLE = sa.BigInteger()


def upgrade() -> None:
    """Create what is not there yet: MariaDB commits each statement by itself."""
    connection = op.get_bind()
    metadata = sa.MetaData()
    options = _options(connection.dialect)
    _callbacks(metadata, options)
    _uploads(metadata, options)
    for table in metadata.sorted_tables:
        table.create(connection, checkfirst=True)
        for index in table.indexes:
            index.create(connection, checkfirst=True)


def _uploads(metadata: sa.MetaData, options: dict[str, Any]) -> None:
    sa.Table(
        "modelway_job_uploads",
        metadata,
        sa.Column("id", NAME, primary_key=True),
        sa.Column("principal", NAME),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.Column("expires_at", WHOLE, nullable=False),
        sa.Index("modelway_job_uploads_expires", "expires_at"),
        **options,
    )


def _callbacks(metadata: sa.MetaData, options: dict[str, Any]) -> None:
    due = sa.column("due_at").is_not(None)
    sa.Table(
        "modelway_job_callbacks",
        metadata,
        sa.Column("id", NAME, primary_key=True),
        sa.Column("job", NAME, nullable=False),
        sa.Column("url", TEXT, nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("made_at", WHOLE, nullable=False),
        sa.Column("due_at", WHOLE),
        sa.Column("tries", WHOLE, nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("error", TEXT),
        sa.Index("modelway_job_callbacks_job", "job"),
        sa.Index("modelway_job_callbacks_due", "due_at", sqlite_where=due, postgresql_where=due),
        **options,
    )


def _options(dialect: sa.Dialect) -> dict[str, Any]:
    """Names are compared by their code points, as in the tables before."""
    if dialect.name != "mysql":
        return {}
    collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
    return {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": collation}
