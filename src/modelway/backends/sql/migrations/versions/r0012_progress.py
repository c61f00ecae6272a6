"""How many rows the input of a job has, and how many of them its attempt has answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

TABLE = "modelway_jobs"


def upgrade() -> None:
    """Add what is not there yet: MariaDB commits each statement by itself."""
    there = {one["name"] for one in sa.inspect(op.get_bind()).get_columns(TABLE)}
    for column in (
        sa.Column("input_rows", sa.BigInteger),
        sa.Column("rows_done", sa.BigInteger, nullable=False, server_default="0"),
    ):
        if column.name not in there:
            op.add_column(TABLE, column)
