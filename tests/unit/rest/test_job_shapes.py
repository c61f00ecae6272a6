"""What is said of a job that ended without an answer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from modelway.domain.jobs import Job, JobState
from modelway.rest.job_shapes import job_shape, why

AT = datetime(2024, 5, 17, tzinfo=UTC)


def job(state: JobState, code: str | None = None, error: str | None = None) -> Job:
    return Job(
        *("j", "loan", None, state, 4, None, AT, AT, AT, 1),
        leased_until=None,
        ended_at=AT,
        error_code=code,
        error=error,
        callback=None,
        idempotency_key=None,
    )


@pytest.mark.parametrize(
    ("state", "said"),
    [(JobState.CANCELLED, "was cancelled"), (JobState.EXPIRED, "the time of the job was over")],
)
@pytest.mark.parametrize("error", [None, "no"])
def test_what_was_cancelled_or_expired_has_not_failed(
    state: JobState, said: str, error: str | None
) -> None:
    ended = job(state, None if error is None else "predict-failed", error)
    shown = job_shape(ended)["error"]
    assert shown["code"] == f"job-{state}"
    assert said in shown["message"]
    assert why(ended) is None


def test_what_has_failed_says_the_error_of_its_last_attempt() -> None:
    failed = job(JobState.FAILED, "input-refused", "there is no such street")
    expected = {"code": "input-refused", "message": "there is no such street"}
    assert job_shape(failed)["error"] == expected
    assert why(failed) == expected["message"]
    silent = job_shape(job(JobState.FAILED))["error"]
    assert silent == {"code": "job-failed", "message": "the job has failed"}


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.LEASED, JobState.SUCCEEDED])
def test_what_may_still_be_answered_or_was_has_no_error(state: JobState) -> None:
    assert "error" not in job_shape(job(state, "predict-failed", "no"))
