"""New jobs, each kept once however often it is handed in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from modelway.backends.sql.columns import check, insert_checked, microseconds
from modelway.backends.sql.jobs import payloads
from modelway.backends.sql.jobs.line import positions
from modelway.backends.sql.jobs.moves import portions
from modelway.backends.sql.jobs.rows import job_of
from modelway.backends.sql.tables import JOBS
from modelway.domain.errors import IdempotencyKeyReused, IdempotencyMismatch, InvalidInput
from modelway.domain.jobs import HIGHEST_PRIORITY, LOWEST_PRIORITY, Job, JobState, NewJob

_J = JOBS.c
_QUEUED = JobState.QUEUED.value


class Handed:
    """Jobs as they were handed in at once; each of them counts once.

    Raises:
        InvalidInput: a value that the store cannot hold.
        IdempotencyKeyReused, IdempotencyMismatch: one stands there twice, with other inputs.
    """

    def __init__(self, jobs: Sequence[NewJob]) -> None:
        self._jobs = jobs
        self._keys = [_key_sha256(job) for job in jobs]
        self._first: dict[str, NewJob] = {}
        for job, key in zip(jobs, self._keys, strict=True):
            _check(job)
            for name in _names(job.id, key):
                same(job, self._first.setdefault(name, job))

    def add(self, connection: Connection, known: dict[str, Job]) -> Sequence[Job]:
        """Write those that are not known yet; gives all of them in the order of the call.

        Those that are new have their positions.

        ``known`` are earlier jobs by their ids and by the hashes of their keys.

        Raises:
            IntegrityError: there is one that was not known.
            PayloadTooLarge: an input that the database is not set up to take.
        """
        rows = []
        inputs = {}
        new = []
        kept: dict[str, Job] = dict(known)
        given = []
        for job, key in zip(self._jobs, self._keys, strict=True):
            names = _names(job.id, key)
            there = next((kept[name] for name in names if name in kept), None)
            if there is None:
                there = _kept(job)
                kept |= dict.fromkeys(names, there)
                rows.append(_row(job, key))
                inputs[job.id] = job.input
                new.append(job)
            given.append(there)
        if not rows:
            return given
        insert_checked(connection, JOBS, _COLUMNS, rows)
        payloads.put(connection, payloads.INPUT, inputs)
        found = positions(connection, new)
        return [replace(one, position=found.get(one.id)) for one in given]

    def known(self, connection: Connection) -> dict[str, Job]:
        """The jobs that came before, by their ids and by the hashes of their keys.

        Raises:
            IdempotencyKeyReused, IdempotencyMismatch: one came with other inputs.
        """
        found: dict[str, Job] = {}
        for column in (_J.id, _J.key_sha256):
            for some in portions(list(self._first)):
                for row in connection.execute(select(JOBS).where(column.in_(some))):
                    for name in _names(row.id, row.key_sha256):
                        if name in self._first:
                            same(self._first[name], row)
                            found[name] = job_of(row)
        return found


def same(job: NewJob, earlier: Any) -> None:
    """Refuse a job that is not what came under its id or key before.

    Raises:
        IdempotencyKeyReused, IdempotencyMismatch: it is another.
    """
    if (job.endpoint, job.fingerprint) != (earlier.endpoint, earlier.fingerprint):
        if job.idempotency_key is not None:
            raise IdempotencyKeyReused(job.idempotency_key, earlier.id)
        raise IdempotencyMismatch(job.endpoint, job.id)


def _key_sha256(job: NewJob) -> str | None:
    if job.idempotency_key is None:
        return None
    try:
        said = msgspec.json.encode([job.principal, job.idempotency_key])
    except UnicodeEncodeError as error:
        raise InvalidInput("idempotency_key: expected text without lone surrogates") from error
    return hashlib.sha256(said).hexdigest()


def _names(id: str, key_sha256: str | None) -> tuple[str, ...]:
    return (id,) if key_sha256 is None else (id, key_sha256)


def _check(job: NewJob) -> None:
    if not LOWEST_PRIORITY <= job.priority <= HIGHEST_PRIORITY:
        raise InvalidInput(
            f"priority: expected {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}, got {job.priority}"
        )
    texts = {
        "id": job.id,
        "endpoint": job.endpoint,
        "version": job.version,
        "principal": job.principal,
        "callback": job.callback,
        "idempotency_key": job.idempotency_key,
        "result_type": job.result_type,
    }
    check(JOBS, texts)
    payloads.check_payload("input", job.input)


_COLUMNS = (
    *("id", "endpoint", "version", "principal", "state", "lane", "priority"),
    *("created_at", "not_before", "expires_at", "lives_us", "due_at", "attempt", "tries"),
    *("callback", "idempotency_key", "key_sha256", "fingerprint", "input_bytes"),
    *("result_type", "input_rows", "rows_done"),
)


def _row(job: NewJob, key_sha256: str | None) -> tuple[Any, ...]:
    created, expires = microseconds(job.created_at), microseconds(job.expires_at)
    lane = HIGHEST_PRIORITY - job.priority
    return (
        *(job.id, job.endpoint, job.version, job.principal, _QUEUED, lane, job.priority),
        *(created, created, expires, expires - created, expires, 0, 0),
        *(job.callback, job.idempotency_key, key_sha256, job.fingerprint, len(job.input.content)),
        *(job.result_type, job.rows, 0),
    )


def _kept(job: NewJob) -> Job:
    return Job(
        *(job.id, job.endpoint, job.version, JobState.QUEUED, job.priority, job.principal),
        *(job.created_at, job.created_at, job.expires_at),
        attempt=0,
        leased_until=None,
        ended_at=None,
        error_code=None,
        error=None,
        callback=job.callback,
        idempotency_key=job.idempotency_key,
        rows=job.rows,
    )
