"""Inputs and results, apart from the jobs; each is written once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, func, select, text

from modelway.backends.sql.columns import check, insert_checked
from modelway.backends.sql.jobs.moves import among, portions
from modelway.backends.sql.tables import JOB_PAYLOADS
from modelway.domain.errors import PayloadTooLarge
from modelway.domain.jobs import Payload

INPUT = "input"
RESULT = "result"
UPLOAD = "upload"
"""This one is no job's, though a job may have its id."""

LARGEST_BYTES = 512 * 1024 * 1024
"""PostgreSQL and SQLite take somewhat less than twice as much."""

_P = JOB_PAYLOADS.c
_FOUND = select(_P.job, _P.content, _P.media_type, _P.version).where(
    _P.part == bindparam("part"), among(_P.job)
)
_COLUMNS = ("job", "part", "media_type", "version", "content")
_USUAL_BYTES = 256 * 1024
"""No server is set up to take less in one statement."""

_BESIDE_BYTES = 16 * 1024
_ESCAPED = (b"\x00", b"\n", b"\r", b"\x1a", b"'", b'"', b"\\")
"""What takes two bytes in a statement of MariaDB."""


def check_payload(name: str, payload: Payload) -> None:
    """Refuse what no database holds. Raises PayloadTooLarge."""
    if len(payload.content) > LARGEST_BYTES:
        raise PayloadTooLarge(
            f"{name}: expected at most {LARGEST_BYTES} bytes, got {len(payload.content)}"
        )


def put(connection: Connection, part: str, payloads: Mapping[str, Payload]) -> None:
    """Write the inputs or the results of jobs, by the jobs' ids.

    Raises:
        PayloadTooLarge: one that MariaDB is not set up to take.
        InvalidInput: a media type or a version that the database cannot hold.
    """
    if connection.dialect.name == "mysql":
        _check_packets(connection, part, payloads)
    for media_type, version in {(one.media_type, one.version) for one in payloads.values()}:
        check(JOB_PAYLOADS, {"media_type": media_type, "version": version})
    rows = [(job, part, one.media_type, one.version, one.content) for job, one in payloads.items()]
    insert_checked(connection, JOB_PAYLOADS, _COLUMNS, rows)


def found(
    connection: Connection, part: str, jobs: Sequence[str], most_bytes: int | None = None
) -> dict[str, Payload]:
    """The inputs or results of jobs, by the jobs' ids; none that has more than ``most_bytes``."""
    payloads: dict[str, Payload] = {}
    wanted = _FOUND
    if most_bytes is not None:
        wanted = wanted.where(func.length(_P.content) <= most_bytes)
    for some in portions(jobs):
        rows = connection.execute(wanted, {"ids": some, "part": part})
        payloads |= {
            job: Payload(bytes(content), kind, version) for job, content, kind, version in rows
        }
    return payloads


def _check_packets(connection: Connection, part: str, payloads: Mapping[str, Payload]) -> None:
    large = [one.content for one in payloads.values() if len(one.content) > _USUAL_BYTES]
    if not large:
        return
    packet = int(connection.execute(text("SELECT @@max_allowed_packet")).scalar_one())
    for content in large:
        needed = len(content) + sum(content.count(one) for one in _ESCAPED) + _BESIDE_BYTES
        if needed > packet:
            raise PayloadTooLarge(
                f"{part}: {len(content)} bytes need a statement of {needed} bytes, and the store "
                f"takes at most {packet}",
                hint="raise max_allowed_packet of the database's server",
            )
