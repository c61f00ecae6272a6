"""Where an alias was when its promotion was proposed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TABLE, COLUMN = "modelway_proposals", "from_version"


def upgrade() -> None:
    """Add the column, if it is not there yet: MariaDB commits each statement by itself."""
    there = {one["name"] for one in sa.inspect(op.get_bind()).get_columns(TABLE)}
    if COLUMN not in there:
        op.add_column(TABLE, sa.Column(COLUMN, sa.String(255)))
