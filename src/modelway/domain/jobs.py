"""Jobs: what one is, and the one table of its states.

    queued ──> leased ──> succeeded
      ^  │       │ │
      │  │       │ └────> failed        the dead letters: they may be queued again by hand
      │  │       └──────> queued        to be tried again, or its lease ran out
      │  └──────────────> cancelled, expired
      └── failed, cancelled

A worker that leases a job is given a **token**, the number of the attempt. Whatever it says of the
job later counts only while that is still the attempt under way: one whose lease ran out overwrites
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

LOWEST_PRIORITY = 0
USUAL_PRIORITY = 4
HIGHEST_PRIORITY = 9

ALONE_FROM = 3
"""A job that two attempts have not ended may be what ended them: the third has no neighbours."""


class JobState(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    LEASED = "leased"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_done(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self not in (JobState.QUEUED, JobState.LEASED)


TRANSITIONS: Mapping[JobState, frozenset[JobState]] = MappingProxyType(
    {
        JobState.QUEUED: frozenset({JobState.LEASED, JobState.CANCELLED, JobState.EXPIRED}),
        JobState.LEASED: frozenset(
            {
                JobState.QUEUED,
                JobState.SUCCEEDED,
                JobState.FAILED,
                JobState.CANCELLED,
                JobState.EXPIRED,
            }
        ),
        JobState.SUCCEEDED: frozenset(),
        JobState.FAILED: frozenset({JobState.QUEUED}),
        JobState.CANCELLED: frozenset({JobState.QUEUED}),
        JobState.EXPIRED: frozenset(),
    }
)
"""What may follow each state."""


@dataclass(frozen=True, slots=True)
class Payload:
    """What was sent, or what is answered: bytes and what they are.

    ``version`` is the one that answered, where that is known.
    """

    content: bytes
    media_type: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """What somebody sent for jobs to come; ``principal`` is who, None where nobody is asked."""

    id: str
    principal: str | None
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job as it is handed in.

    ``id`` is also the id of its prediction. ``version`` is None where the router is to choose.
    ``idempotency_key`` is the caller's, unique per principal; ``fingerprint`` is what else the same
    key must come with (SHA-256 of endpoint, version and content). ``result_type`` is the media type
    that is wanted. ``expires_at`` is when its answer is of no more use. ``rows`` is how many rows
    its input has, where that is known.
    """

    id: str
    endpoint: str
    input: Payload
    created_at: datetime
    expires_at: datetime
    version: str | None = None
    priority: int = USUAL_PRIORITY
    principal: str | None = None
    idempotency_key: str | None = None
    fingerprint: bytes = b""
    callback: str | None = None
    result_type: str = "application/json"
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands; nothing of its input or result.

    ``attempt`` counts the leases so far. ``not_before`` is when it may be leased next.
    ``error_code`` and ``error`` are those of the last attempt, where it failed. ``leased_until`` is
    None where it is not leased. Of its ``rows`` the attempt under way, or the last one, has
    answered ``rows_done``.
    """

    id: str
    endpoint: str
    version: str | None
    state: JobState
    priority: int
    principal: str | None
    created_at: datetime
    not_before: datetime
    expires_at: datetime
    attempt: int
    leased_until: datetime | None
    ended_at: datetime | None
    error_code: str | None
    error: str | None
    callback: str | None
    idempotency_key: str | None
    rows: int | None = None
    rows_done: int = 0
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One lease of a job: who had it, from when until when, and what came of it.

    ``outcome`` is ``succeeded``, ``failed``, ``retried``, ``cancelled``, ``lapsed`` (its lease ran
    out) or ``expired``; None while it lasts.
    """

    number: int
    worker: str
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str | None = None
    error_code: str | None = None
    error: str | None = None
