"""What was counted of canaries and shadows, and the latest verdicts on them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import MEDIUMTEXT

revision = "0002"
down_revision = "0001"

NAME = sa.String(255)
TEXT = sa.Text().with_variant(MEDIUMTEXT(), "mysql")
WHOLE = sa.BigInteger()


def upgrade() -> None:
    """Create the tables that are not there yet: MariaDB commits each statement by itself."""
    connection = op.get_bind()
    metadata = sa.MetaData()
    options = _options(connection.dialect)
    sa.Table(
        "modelway_arms",
        metadata,
        *(_key("trial"), _key("source")),
        sa.Column("tallies", TEXT, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        **options,
    )
    sa.Table(
        "modelway_verdicts",
        metadata,
        *(_key("endpoint"), _key("reference")),
        sa.Column("trial", NAME, nullable=False),
        sa.Column("acted", NAME, nullable=False),
        sa.Column("judged", TEXT, nullable=False),
        **options,
    )
    for table in metadata.sorted_tables:
        table.create(connection, checkfirst=True)


def _options(dialect: sa.Dialect) -> dict[str, Any]:
    """Names are compared by their code points, as in the tables before."""
    if dialect.name != "mysql":
        return {}
    collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
    return {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": collation}


def _key(name: str) -> sa.Column[Any]:
    return sa.Column(name, NAME, primary_key=True, autoincrement=False)
