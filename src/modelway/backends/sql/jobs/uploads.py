"""Uploads on an SQL database: their bytes lie beside those of jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, delete, func, select

from modelway.backends.sql.columns import insert
from modelway.backends.sql.database import Database
from modelway.backends.sql.jobs import payloads
from modelway.backends.sql.tables import JOB_PAYLOADS, JOB_UPLOADS
from modelway.domain.errors import QueueFull, UploadNotFound
from modelway.domain.jobs import Payload, Upload

_PART = payloads.UPLOAD
_FORGOTTEN = 100
"""How many are removed in one transaction."""

LEAST_BYTES = 4096
"""What an upload counts for at least, however small it is: so their number has a bound too."""

_U = JOB_UPLOADS.c
_OVER = (
    select(_U.id)
    .where(_U.expires_at <= bindparam("at"))
    .limit(_FORGOTTEN)
    .with_for_update(skip_locked=True)
)


class SqlUploads:
    """``Uploads``; every method raises StoreUnavailable where the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, upload: Upload, content: Payload, most_bytes: int) -> None:
        """Keep what was sent.

        Raises:
            InvalidInput: a value that the store cannot hold; PayloadTooLarge the content.
            QueueFull: the uploads of its principal would hold more than ``most_bytes``.
        """
        payloads.check_payload("upload", content)
        row = {
            "id": upload.id,
            "principal": upload.principal,
            "created_at": upload.created_at,
            "expires_at": upload.expires_at,
            "bytes": len(content.content),
        }
        with self._database.writing() as connection:
            held = _held_bytes(connection, upload)
            if held + max(len(content.content), LEAST_BYTES) > most_bytes:
                raise QueueFull(
                    f"uploads may hold {most_bytes} bytes of one caller, and {held} are held",
                    hint="raise jobs.uploads_bytes, or send it once others are over",
                )
            insert(connection, JOB_UPLOADS, [row])
            payloads.put(connection, _PART, {upload.id: content})

    def get(self, upload_id: str, principal: str | None, at: datetime) -> Payload:
        """What somebody sent. Raises UploadNotFound: it is over, or another's."""
        found = select(_U.id).where(_U.id == upload_id, _U.expires_at > at)
        with self._database.reading() as connection:
            ids = connection.scalars(found.where(_is_of(principal))).all()
            contents = payloads.found(connection, _PART, ids)
        if upload_id not in contents:
            raise UploadNotFound(upload_id)
        return contents[upload_id]

    def n_bytes(self, upload_id: str, principal: str | None, at: datetime) -> int:
        """How much somebody sent. Raises UploadNotFound, as ``get`` does."""
        found = select(_U.bytes).where(_U.id == upload_id, _U.expires_at > at)
        with self._database.reading() as connection:
            row = connection.execute(found.where(_is_of(principal))).one_or_none()
        if row is None:
            raise UploadNotFound(upload_id)
        return int(row.bytes or 0)  # one of before has none

    def remove(self, upload_id: str, principal: str | None, at: datetime) -> None:
        """Take back what somebody sent. Raises UploadNotFound, as ``get`` does."""
        mine = and_(_U.id == upload_id, _U.expires_at > at, _is_of(principal))
        with self._database.writing() as connection:
            if not connection.execute(delete(JOB_UPLOADS).where(mine)).rowcount:
                raise UploadNotFound(upload_id)
            _remove_contents(connection, [upload_id])

    def forget(self, at: datetime) -> int:
        """Remove those whose time is over; gives how many."""
        forgotten = 0
        while True:
            with self._database.writing() as connection:
                ids = connection.scalars(_OVER, {"at": at}).all()
                _remove_contents(connection, ids)
                connection.execute(delete(JOB_UPLOADS).where(_U.id.in_(ids)))
            forgotten += len(ids)
            if len(ids) < _FORGOTTEN:
                return forgotten


def _remove_contents(connection: Connection, ids: Sequence[str]) -> None:
    theirs = JOB_PAYLOADS.c.job.in_(ids) & (JOB_PAYLOADS.c.part == _PART)
    connection.execute(delete(JOB_PAYLOADS).where(theirs))


def _is_of(principal: str | None) -> ColumnElement[bool]:
    return _U.principal.is_(None) if principal is None else _U.principal == principal


def _held_bytes(connection: Connection, upload: Upload) -> int:
    """What the uploads of the same principal count for by now."""
    counted = case((_U.bytes < LEAST_BYTES, LEAST_BYTES), else_=_U.bytes)
    theirs = select(func.sum(counted)).where(
        _is_of(upload.principal), _U.expires_at > upload.created_at
    )
    return int(connection.scalar(theirs) or 0)
