"""Which versions were archived or deleted, beside why they have no bundle."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

TABLE, COLUMN = "modelway_bundle_links", "withdrawn"


def upgrade() -> None:
    """Add the column, if it is not there yet: MariaDB commits each statement by itself."""
    there = {one["name"] for one in sa.inspect(op.get_bind()).get_columns(TABLE)}
    if COLUMN not in there:
        op.add_column(TABLE, sa.Column(COLUMN, sa.Boolean()))
