"""How much each upload holds, and whose it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

TABLE, COLUMN, INDEX = "modelway_job_uploads", "bytes", "modelway_job_uploads_principal"


def upgrade() -> None:
    """Add what is not there yet: MariaDB commits each statement by itself."""
    connection = op.get_bind()
    there = sa.inspect(connection)
    if COLUMN not in {one["name"] for one in there.get_columns(TABLE)}:
        op.add_column(TABLE, sa.Column(COLUMN, sa.BigInteger()))
    if INDEX not in {one["name"] for one in there.get_indexes(TABLE)}:
        op.create_index(INDEX, TABLE, ["principal"])
    uploads = sa.table(TABLE, sa.column("id"), sa.column(COLUMN))
    payloads = sa.table(
        "modelway_job_payloads", sa.column("job"), sa.column("part"), sa.column("content")
    )
    held = sa.select(sa.func.length(payloads.c.content)).where(
        payloads.c.job == uploads.c.id, payloads.c.part == "upload"
    )
    unknown = uploads.update().where(uploads.c[COLUMN].is_(None))
    connection.execute(unknown.values({COLUMN: held.scalar_subquery()}))
