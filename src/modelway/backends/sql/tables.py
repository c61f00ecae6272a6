"""Every table of the store, as the newest migration leaves it.

Each name begins with ``modelway_``: a team's database may hold other products' tables too.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
)

from modelway.backends.sql.columns import Moment, name_type, text_type

REVISION_TABLE = "modelway_revision"
"""Where Alembic notes which migration came last; MLflow's own is ``alembic_version``."""

METADATA = MetaData()

COUNTERS = Table(
    "modelway_counters",
    METADATA,
    Column("name", name_type(), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

PROMOTIONS = Table(
    "modelway_promotions",
    METADATA,
    Column("model", name_type(), primary_key=True),
    Column("alias", name_type(), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("from_version", name_type()),
    Column("to_version", name_type()),
    Column("kind", name_type(), nullable=False),
    Column("actor", text_type(), nullable=False),
    Column("why", text_type(), nullable=False),
    Column("at", Moment, nullable=False),
    Column("gate_report", name_type()),
    # The generation that it made: the order of the moves, whatever the clocks of their hosts.
    Column("entered", BigInteger, nullable=False),
    Column("confirmed", Boolean, nullable=False),
)

PROPOSALS = Table(
    "modelway_proposals",
    METADATA,
    Column("id", name_type(), primary_key=True),
    Column("model", name_type(), nullable=False),
    Column("alias", name_type(), nullable=False),
    Column("version", name_type(), nullable=False),
    Column("actor", text_type(), nullable=False),
    Column("why", text_type(), nullable=False),
    Column("at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("decision", name_type(), nullable=False),
    Column("decided_by", text_type()),
    Column("decided_at", Moment),
)

LINKS = Table(
    "modelway_bundle_links",
    METADATA,
    Column("model", name_type(), primary_key=True),
    Column("version", name_type(), primary_key=True),
    Column("digest", name_type()),
    Column("reason", text_type()),
    Index("modelway_bundle_links_digest", "digest"),
)

REVISIONS = Table(
    "modelway_endpoint_revisions",
    METADATA,
    Column("name", name_type(), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("endpoint", text_type()),
    Column("actor", text_type(), nullable=False),
    Column("why", text_type(), nullable=False),
    Column("at", Moment, nullable=False),
)

KEYS = Table(
    "modelway_keys",
    METADATA,
    Column("id", name_type(), primary_key=True),
    Column("name", name_type(), nullable=False),
    Column("secret_sha256", LargeBinary, nullable=False),
    Column("scopes", text_type(), nullable=False),
    Column("endpoints", text_type(), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("rate_per_s", Double, nullable=False),
    Column("revoked_at", Moment),
    Column("used_at", Moment),
)

ACTS = Table(
    "modelway_acts",
    METADATA,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("actor", text_type(), nullable=False),
    Column("act", name_type(), nullable=False),
    Column("subject", text_type(), nullable=False),
    Column("outcome", name_type(), nullable=False),
    Column("detail", text_type(), nullable=False),
    Column("at", Moment, nullable=False),
    Index("modelway_acts_at", "at", "number"),
)

LABELS = Table(
    "modelway_labels",
    METADATA,
    Column("prediction_id", name_type(), primary_key=True),
    Column("row_index", BigInteger, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("value", text_type(), nullable=False),
    Column("at", Moment, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("source", name_type(), nullable=False),
    # Counts all labels in the order in which they were stored.
    Column("entered", BigInteger, nullable=False),
    Index("modelway_labels_received", "received_at", "entered"),
)

ARMS = Table(
    "modelway_arms",
    METADATA,
    Column("trial", name_type(), primary_key=True),
    Column("source", name_type(), primary_key=True),
    Column("tallies", text_type(), nullable=False),
    Column("at", Moment, nullable=False),
)

VERDICTS = Table(
    "modelway_verdicts",
    METADATA,
    Column("endpoint", name_type(), primary_key=True),
    Column("reference", name_type(), primary_key=True),
    Column("trial", name_type(), nullable=False),
    Column("acted", name_type(), nullable=False),
    Column("judged", text_type(), nullable=False),
)
