"""The outbox of jobs, and the number by which a broker tells one store from others."""

from __future__ import annotations

import secrets
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

NAME = sa.String(255)
WHOLE = sa.BigInteger()
COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create what is not there yet: MariaDB commits each statement by itself."""
    connection = op.get_bind()
    metadata = sa.MetaData()
    outbox = _outbox(metadata, _options(connection.dialect))
    outbox.create(connection, checkfirst=True)
    for index in outbox.indexes:
        index.create(connection, checkfirst=True)
    counters = sa.table("modelway_counters", sa.column("name", NAME), sa.column("value", WHOLE))
    there = set(connection.scalars(sa.select(counters.c.name)))
    if "identity" not in there:
        values = {"name": "identity", "value": secrets.randbits(62)}
        connection.execute(counters.insert(), values)


def _options(dialect: sa.Dialect) -> dict[str, Any]:
    """Names are compared by their code points, as in the tables before."""
    if dialect.name != "mysql":
        return {}
    collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
    return {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": collation}


def _outbox(metadata: sa.MetaData, options: dict[str, Any]) -> sa.Table:
    return sa.Table(
        "modelway_job_outbox",
        metadata,
        sa.Column("number", COUNTED, primary_key=True),
        sa.Column("job", NAME, nullable=False),
        sa.Column("endpoint", NAME, nullable=False),
        sa.Column("priority", WHOLE, nullable=False),
        sa.Column("tell_at", WHOLE, nullable=False),
        sa.Index("modelway_job_outbox_tell", "tell_at", "number"),
        sa.Index("modelway_job_outbox_job", "job"),
        **options,
    )
