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
    String,
    Table,
    column,
)

from modelway.backends.sql.columns import Moment, bytes_type, name_type, text_type

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
    Column("from_version", name_type()),
)

LINKS = Table(
    "modelway_bundle_links",
    METADATA,
    Column("model", name_type(), primary_key=True),
    Column("version", name_type(), primary_key=True),
    Column("digest", name_type()),
    Column("reason", text_type()),
    Column("withdrawn", Boolean),
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

HOMES = Table(
    "modelway_homes",
    METADATA,
    Column("home", name_type(), primary_key=True),
    Column("host", name_type(), nullable=False),
    Column("place", name_type(), nullable=False),
    Column("shown", text_type(), nullable=False),
    Column("seen_at", Moment, nullable=False),
)

_IS_DUE_ONCE = column("due_at").is_not(None)

JOBS = Table(
    "modelway_jobs",
    METADATA,
    Column("id", name_type(), primary_key=True),
    Column("endpoint", name_type(), nullable=False),
    Column("version", name_type()),
    Column("principal", name_type()),
    Column("state", name_type(), nullable=False),
    # Where it stands in the line of its endpoint: see ``jobs/moves.py``.
    Column("lane", BigInteger, nullable=False),
    Column("priority", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("not_before", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    # How long after it was handed in, or queued again by hand, that is.
    Column("lives_us", BigInteger, nullable=False),
    # When something happens to it by itself; nothing ever does once it is done.
    Column("due_at", Moment),
    Column("attempt", BigInteger, nullable=False),
    # The attempts since it was handed in, or queued again by hand.
    Column("tries", BigInteger, nullable=False),
    # The attempt under way; one that ended is among the attempts.
    Column("worker", name_type()),
    Column("leased_at", Moment),
    Column("leased_until", Moment),
    Column("ended_at", Moment),
    Column("error_code", name_type()),
    Column("error", text_type()),
    Column("callback", text_type()),
    Column("idempotency_key", text_type()),
    # Of the principal and the key, which is too long to be looked up by.
    Column("key_sha256", String(64)),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("input_bytes", BigInteger, nullable=False),
    Column("result_type", name_type(), nullable=False),
    # Null where it is not known how many its input has.
    Column("input_rows", BigInteger),
    Column("rows_done", BigInteger, nullable=False, server_default="0"),
    Index("modelway_jobs_line", "endpoint", "lane", "created_at", "id"),
    Index("modelway_jobs_state", "state", "created_at", "id"),
    Index("modelway_jobs_due", "due_at", sqlite_where=_IS_DUE_ONCE, postgresql_where=_IS_DUE_ONCE),
    Index("modelway_jobs_key", "key_sha256", unique=True),
)

# Apart from the jobs, whose rows are looked through.
JOB_PAYLOADS = Table(
    "modelway_job_payloads",
    METADATA,
    Column("job", name_type(), primary_key=True),
    Column("part", name_type(), primary_key=True),
    Column("media_type", name_type(), nullable=False),
    Column("version", name_type()),
    Column("content", bytes_type(), nullable=False),
)

JOB_ATTEMPTS = Table(
    "modelway_job_attempts",
    METADATA,
    Column("job", name_type(), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("worker", name_type(), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment, nullable=False),
    Column("outcome", name_type(), nullable=False),
    Column("error_code", name_type()),
    Column("error", text_type()),
)

# What a broker is to be told: rows of the transaction that makes a job one to be leased.
JOB_OUTBOX = Table(
    "modelway_job_outbox",
    METADATA,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("job", name_type(), nullable=False),
    Column("endpoint", name_type(), nullable=False),
    Column("priority", BigInteger, nullable=False),
    # Nobody tells it before: somebody else may be about to.
    Column("tell_at", Moment, nullable=False),
    Index("modelway_job_outbox_tell", "tell_at", "number"),
    Index("modelway_job_outbox_job", "job"),
)

JOB_TURNS = Table(
    "modelway_job_turns",
    METADATA,
    Column("endpoint", name_type(), primary_key=True),
    Column("turn", BigInteger, nullable=False),
)

# What is owed to those who asked to be told; it is due until they were, or it was given up.
JOB_CALLBACKS = Table(
    "modelway_job_callbacks",
    METADATA,
    Column("id", name_type(), primary_key=True),
    Column("job", name_type(), nullable=False),
    Column("url", text_type(), nullable=False),
    Column("state", name_type(), nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("due_at", Moment),
    Column("tries", BigInteger, nullable=False),
    Column("told", Boolean, nullable=False),
    Column("error", text_type()),
    Index("modelway_job_callbacks_job", "job"),
    Index(
        "modelway_job_callbacks_due",
        "due_at",
        sqlite_where=_IS_DUE_ONCE,
        postgresql_where=_IS_DUE_ONCE,
    ),
)

# Their bytes are among the payloads.
JOB_UPLOADS = Table(
    "modelway_job_uploads",
    METADATA,
    Column("id", name_type(), primary_key=True),
    Column("principal", name_type()),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("bytes", BigInteger),
    Index("modelway_job_uploads_expires", "expires_at"),
    Index("modelway_job_uploads_principal", "principal"),
)

SCHEDULES = Table(
    "modelway_schedules",
    METADATA,
    Column("name", name_type(), primary_key=True),
    Column("cron", text_type(), nullable=False),
    Column("zone", name_type(), nullable=False),
    Column("arguments", text_type(), nullable=False),
    Column("folder", text_type(), nullable=False),
    Column("home", name_type(), nullable=False),
    Column("host", name_type(), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", text_type(), nullable=False),
    Column("next_due", Moment, nullable=False),
    Index("modelway_schedules_due", "home", "next_due"),
)

SCHEDULE_RUNS = Table(
    "modelway_schedule_runs",
    METADATA,
    Column("schedule", name_type(), primary_key=True),
    Column("due_at", Moment, primary_key=True, autoincrement=False),
    Column("state", name_type(), nullable=False),
    Column("attempt", BigInteger, nullable=False),
    # The attempts with this one, but for those that were given back.
    Column("tries", BigInteger, nullable=False),
    Column("host", name_type(), nullable=False),
    Column("started_at", Moment, nullable=False),
    # Whoever runs it has it until then at least; nobody does once it has ended.
    Column("until", Moment),
    Column("ended_at", Moment),
    Column("exit_code", BigInteger),
    Column("detail", text_type(), nullable=False),
    Column("dues", BigInteger, nullable=False),
    Index("modelway_schedule_runs_state", "state"),
)
