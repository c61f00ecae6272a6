"""Where Alembic begins: it migrates over the connection that ``migrating.py`` gives it."""

from __future__ import annotations

from alembic import context

from modelway.backends.sql.tables import METADATA, REVISION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=REVISION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
