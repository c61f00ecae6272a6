"""Jobs as they look over HTTP, and what is asked of whoever keeps them.

A job looks as an operation does in AIP-151: ``done``, and then either ``response`` or ``error``.

Source: Google AIP-151.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol

import msgspec

from modelway.domain.jobs import Job, JobState, NewJob, Payload
from modelway.jobs.callbacks import AllowedUrls
from modelway.rest.http import JSON, Header, Response, header_lines
from modelway.rest.problems import told_of_job
from modelway.rest.uploads import UploadPort

_RETRY_AFTER = (b"retry-after", b"1")
_WITHOUT_ANSWER = {
    JobState.FAILED: "the job has failed",
    JobState.CANCELLED: "the job was cancelled before it was answered",
    JobState.EXPIRED: "the time of the job was over before it was answered",
}


class JobPort(Protocol):
    """Who keeps jobs; every method raises StoreUnavailable where the store cannot be reached.

    ``lasts`` is for how long a job's answer is of use, ``longest_wait_s`` how long a caller may
    wait for it, ``callbacks`` which URLs may be called at its end, ``uploads``
    keeps what was sent beforehand.
    ``keep`` gives the job once it outlives every process, or the earlier one of its key.
    ``ended`` gives whether a job is done, at once or after so many seconds; where the store cannot
    be reached it is not.
    """

    lasts: timedelta
    longest_wait_s: int
    callbacks: AllowedUrls

    @property
    def uploads(self) -> UploadPort:
        """Who keeps uploads."""
        ...

    async def keep(self, job: NewJob) -> Job:
        """Keep a job. Raises IdempotencyKeyReused, IdempotencyMismatch, InvalidInput."""
        ...

    async def get(self, job_id: str) -> Job:
        """One job. Raises JobNotFound."""
        ...

    async def page(
        self, state: JobState | None, endpoint: str | None, before: str | None, n: int
    ) -> Sequence[Job]:
        """Some jobs, the newest first."""
        ...

    async def result(self, job_id: str) -> Payload | None:
        """What a job was answered, None where it was not."""
        ...

    async def cancel(self, job_id: str) -> Job:
        """End a job. Raises JobNotFound, IllegalTransition."""
        ...

    async def ended(self, job_id: str, seconds: float) -> bool:
        """Whether a job is done by then."""
        ...


def answered(job: Job, result: Payload, *headers: Header) -> Response:
    """The answer of a job, named as that of a prediction is."""
    named = [(b"modelway-endpoint", job.endpoint.encode())]
    if result.version is not None:
        named.append((b"modelway-version", result.version.encode()))
    named.append((b"modelway-prediction-id", job.id.encode()))
    lines = header_lines(*named, *headers)
    return Response(result.content, result.media_type.encode(), headers=lines)


def shown(
    job: Job,
    status: int,
    prefix: str,
    result: Payload | None = None,
    headers: Sequence[Header] = (),
) -> Response:
    """A job as a response."""
    said = [(b"location", f"{prefix}/jobs/{job.id}".encode()), *headers]
    if not job.state.is_done:
        said.append(_RETRY_AFTER)
    content = msgspec.json.encode(job_shape(job, result))
    return Response(content, status=status, headers=header_lines(*said))


def job_shape(job: Job, result: Payload | None = None) -> dict[str, Any]:
    """A job as it is shown; a result in JSON stands in it, another is to be asked for."""
    metadata = {
        "model": job.endpoint,
        "version": job.version,
        "priority": job.priority,
        "created_at": job.created_at,
        "expires_at": job.expires_at,
        "ended_at": job.ended_at,
        "attempt": job.attempt,
        "position": job.position,
        "progress": None if job.rows is None else {"rows": job.rows, "rows_done": job.rows_done},
    }
    shape: dict[str, Any] = {
        "id": job.id,
        "done": job.state.is_done,
        "state": job.state.value,
        "metadata": {name: value for name, value in metadata.items() if value is not None},
    }
    if result is not None and result.media_type == JSON.decode():
        shape["response"] = msgspec.Raw(result.content)
    elif job.state in _WITHOUT_ANSWER:
        # Of one that was cancelled or expired an earlier attempt may have failed: not for that.
        code = job.error_code if job.state is JobState.FAILED else None
        message = why(job) or _WITHOUT_ANSWER[job.state]
        shape["error"] = {"code": code or f"job-{job.state}", "message": message}
    return shape


def why(job: Job) -> str | None:
    """Why a job has failed, as far as a caller may know it; None where it has not."""
    if job.state is not JobState.FAILED or job.error is None:
        return None
    return told_of_job(job.id, job.error_code or "", job.error)
