"""Jobs, what was sent and answered, what came of their attempts, and whose turn it is."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import LONGBLOB, MEDIUMTEXT

revision = "0006"
down_revision = "0005"

NAME = sa.String(255)
TEXT = sa.Text().with_variant(MEDIUMTEXT(), "mysql")
BYTES = sa.LargeBinary().with_variant(LONGBLOB(), "mysql")
WHOLE = sa.BigInteger()


def upgrade() -> None:
    """Create what is not there yet: MariaDB commits each statement by itself."""
    connection = op.get_bind()
    metadata = sa.MetaData()
    options = _options(connection.dialect)
    _jobs(metadata, options)
    _beside(metadata, options)
    for table in metadata.sorted_tables:
        table.create(connection, checkfirst=True)
        for index in table.indexes:
            index.create(connection, checkfirst=True)


def _options(dialect: sa.Dialect) -> dict[str, Any]:
    """Names are compared by their code points, as in the tables before."""
    if dialect.name != "mysql":
        return {}
    collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
    return {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": collation}


def _key(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def _jobs(metadata: sa.MetaData, options: dict[str, Any]) -> None:
    due = sa.column("due_at").is_not(None)
    sa.Table(
        "modelway_jobs",
        metadata,
        _key("id", NAME),
        sa.Column("endpoint", NAME, nullable=False),
        sa.Column("version", NAME),
        sa.Column("principal", NAME),
        sa.Column("state", NAME, nullable=False),
        sa.Column("lane", WHOLE, nullable=False),
        sa.Column("priority", WHOLE, nullable=False),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.Column("not_before", WHOLE, nullable=False),
        sa.Column("expires_at", WHOLE, nullable=False),
        sa.Column("lives_us", WHOLE, nullable=False),
        sa.Column("due_at", WHOLE),
        sa.Column("attempt", WHOLE, nullable=False),
        sa.Column("tries", WHOLE, nullable=False),
        sa.Column("worker", NAME),
        sa.Column("leased_at", WHOLE),
        sa.Column("leased_until", WHOLE),
        sa.Column("ended_at", WHOLE),
        sa.Column("error_code", NAME),
        sa.Column("error", TEXT),
        sa.Column("callback", TEXT),
        sa.Column("idempotency_key", TEXT),
        sa.Column("key_sha256", sa.String(64)),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("input_bytes", WHOLE, nullable=False),
        sa.Column("result_type", NAME, nullable=False),
        sa.Index("modelway_jobs_line", "endpoint", "lane", "created_at", "id"),
        sa.Index("modelway_jobs_state", "state", "created_at", "id"),
        sa.Index("modelway_jobs_due", "due_at", sqlite_where=due, postgresql_where=due),
        sa.Index("modelway_jobs_key", "key_sha256", unique=True),
        **options,
    )


def _beside(metadata: sa.MetaData, options: dict[str, Any]) -> None:
    sa.Table(
        "modelway_job_payloads",
        metadata,
        *(_key("job", NAME), _key("part", NAME)),
        sa.Column("media_type", NAME, nullable=False),
        sa.Column("content", BYTES, nullable=False),
        **options,
    )
    sa.Table(
        "modelway_job_attempts",
        metadata,
        *(_key("job", NAME), _key("number", WHOLE)),
        sa.Column("worker", NAME, nullable=False),
        sa.Column("started_at", WHOLE, nullable=False),
        sa.Column("ended_at", WHOLE, nullable=False),
        sa.Column("outcome", NAME, nullable=False),
        sa.Column("error_code", NAME),
        sa.Column("error", TEXT),
        **options,
    )
    sa.Table(
        "modelway_job_turns",
        metadata,
        _key("endpoint", NAME),
        sa.Column("turn", WHOLE, nullable=False),
        **options,
    )
