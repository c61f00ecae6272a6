"""Which version has given the answer of a job."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

TABLE, COLUMN = "modelway_job_payloads", "version"


def upgrade() -> None:
    """Add what is not there yet: MariaDB commits each statement by itself."""
    there = sa.inspect(op.get_bind())
    if COLUMN not in {one["name"] for one in there.get_columns(TABLE)}:
        op.add_column(TABLE, sa.Column(COLUMN, sa.String(255)))
