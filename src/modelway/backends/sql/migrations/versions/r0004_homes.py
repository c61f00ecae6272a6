"""The homes that share the store, and where their bundles are."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import MEDIUMTEXT

revision = "0004"
down_revision = "0003"

NAME = sa.String(255)
TEXT = sa.Text().with_variant(MEDIUMTEXT(), "mysql")
WHOLE = sa.BigInteger()


def upgrade() -> None:
    """Create the table unless it is there already: MariaDB commits each statement by itself."""
    connection = op.get_bind()
    homes = sa.Table(
        "modelway_homes",
        sa.MetaData(),
        sa.Column("home", NAME, primary_key=True),
        sa.Column("host", NAME, nullable=False),
        sa.Column("place", NAME, nullable=False),
        sa.Column("shown", TEXT, nullable=False),
        sa.Column("seen_at", WHOLE, nullable=False),
        **_options(connection.dialect),
    )
    homes.create(connection, checkfirst=True)


def _options(dialect: sa.Dialect) -> dict[str, Any]:
    """Names are compared by their code points, as in the tables before."""
    if dialect.name != "mysql":
        return {}
    collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
    return {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": collation}
