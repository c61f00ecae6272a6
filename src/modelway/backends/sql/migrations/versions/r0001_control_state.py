"""The first tables: promotions, proposals, bundle links, endpoints, keys, acts and labels."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import MEDIUMTEXT

revision = "0001"
down_revision = None

NAME = sa.String(255)
TEXT = sa.Text().with_variant(MEDIUMTEXT(), "mysql")
WHOLE = sa.BigInteger()
COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table that is not there yet.

    MariaDB commits each statement by itself: what a process that died here has left is taken up.
    """
    connection = op.get_bind()
    metadata = sa.MetaData()
    options = _options(connection.dialect)
    counters = _counters(metadata, options)
    for make in (_registry, _endpoints, _access, _labels):
        make(metadata, options)
    for table in metadata.sorted_tables:
        table.create(connection, checkfirst=True)
        for index in table.indexes:
            index.create(connection, checkfirst=True)
    there = set(connection.scalars(sa.select(counters.c.name)))
    for name in sorted({"generation", "labels"} - there):
        connection.execute(counters.insert(), {"name": name, "value": 0})


def _options(dialect: sa.Dialect) -> dict[str, Any]:
    """Names are compared by their code points, spaces at their ends too, as elsewhere."""
    if dialect.name != "mysql":
        return {}
    collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
    return {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": collation}


def _key(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def _counters(metadata: sa.MetaData, options: dict[str, Any]) -> sa.Table:
    return sa.Table(
        "modelway_counters",
        metadata,
        _key("name", NAME),
        sa.Column("value", WHOLE, nullable=False),
        **options,
    )


def _registry(metadata: sa.MetaData, options: dict[str, Any]) -> None:
    sa.Table(
        "modelway_promotions",
        metadata,
        *(_key("model", NAME), _key("alias", NAME), _key("number", WHOLE)),
        sa.Column("from_version", NAME),
        sa.Column("to_version", NAME),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("why", TEXT, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.Column("gate_report", NAME),
        sa.Column("entered", WHOLE, nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        **options,
    )
    sa.Table(
        "modelway_proposals",
        metadata,
        _key("id", NAME),
        sa.Column("model", NAME, nullable=False),
        sa.Column("alias", NAME, nullable=False),
        sa.Column("version", NAME, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("why", TEXT, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.Column("expires_at", WHOLE, nullable=False),
        sa.Column("decision", NAME, nullable=False),
        sa.Column("decided_by", TEXT),
        sa.Column("decided_at", WHOLE),
        **options,
    )
    sa.Table(
        "modelway_bundle_links",
        metadata,
        *(_key("model", NAME), _key("version", NAME)),
        sa.Column("digest", NAME),
        sa.Column("reason", TEXT),
        sa.Index("modelway_bundle_links_digest", "digest"),
        **options,
    )


def _endpoints(metadata: sa.MetaData, options: dict[str, Any]) -> None:
    sa.Table(
        "modelway_endpoint_revisions",
        metadata,
        *(_key("name", NAME), _key("number", WHOLE)),
        sa.Column("endpoint", TEXT),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("why", TEXT, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        **options,
    )


def _access(metadata: sa.MetaData, options: dict[str, Any]) -> None:
    sa.Table(
        "modelway_keys",
        metadata,
        _key("id", NAME),
        sa.Column("name", NAME, nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", TEXT, nullable=False),
        sa.Column("endpoints", TEXT, nullable=False),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.Column("rate_per_s", sa.Double(), nullable=False),
        sa.Column("revoked_at", WHOLE),
        sa.Column("used_at", WHOLE),
        **options,
    )
    sa.Table(
        "modelway_acts",
        metadata,
        sa.Column("number", COUNTED, primary_key=True),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("act", NAME, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("outcome", NAME, nullable=False),
        sa.Column("detail", TEXT, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.Index("modelway_acts_at", "at", "number"),
        **options,
    )


def _labels(metadata: sa.MetaData, options: dict[str, Any]) -> None:
    sa.Table(
        "modelway_labels",
        metadata,
        *(_key("prediction_id", NAME), _key("row_index", WHOLE), _key("revision", WHOLE)),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.Column("received_at", WHOLE, nullable=False),
        sa.Column("source", NAME, nullable=False),
        sa.Column("entered", WHOLE, nullable=False),
        sa.Index("modelway_labels_received", "received_at", "entered"),
        **options,
    )
