"""Jobs and attempts as they are read."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from modelway.domain.jobs import Attempt, Job, JobState


def job_of(row: Row[Any], position: int | None = None) -> Job:
    """The job of a row."""
    return Job(
        id=row.id,
        endpoint=row.endpoint,
        version=row.version,
        state=JobState(row.state),
        priority=row.priority,
        principal=row.principal,
        created_at=row.created_at,
        not_before=row.not_before,
        expires_at=row.expires_at,
        attempt=row.attempt,
        leased_until=row.leased_until,
        ended_at=row.ended_at,
        error_code=row.error_code,
        error=row.error,
        callback=row.callback,
        idempotency_key=row.idempotency_key,
        rows=row.input_rows,
        rows_done=row.rows_done,
        position=position,
    )


def attempt_of(row: Row[Any]) -> Attempt:
    """The attempt of a row."""
    return Attempt(
        *(row.number, row.worker, row.started_at, row.ended_at),
        *(row.outcome, row.error_code, row.error),
    )
