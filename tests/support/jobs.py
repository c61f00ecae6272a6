"""Jobs as tests hand them in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from modelway.backends.sql.store import Store
from modelway.domain.identifiers import new_prediction_id
from modelway.domain.jobs import NewJob, Payload
from modelway.jobs.ports import Failed, Held, Leased, Succeeded

JSON = "application/json"


def now() -> datetime:
    """The time of the store's process."""
    return datetime.now(UTC)


def new_job(id: str = "", *, content: bytes = b"[1]", hours: float = 1.0, **said: Any) -> NewJob:
    """A job of ``loan`` whose time is over in so many hours."""
    at = said.pop("created_at", now())
    return NewJob(
        id or new_prediction_id(),
        said.pop("endpoint", "loan"),
        Payload(content, JSON),
        at,
        at + timedelta(hours=hours),
        **said,
    )


def lease(store: Store, n: int = 64, *endpoints: str, lease_s: float = 60.0) -> list[Leased]:
    """The next jobs of some endpoints, of ``loan`` where none is named."""
    asked = endpoints or ("loan",)
    return list(store.jobs.lease(dict.fromkeys(asked, n), 2**30, "worker", lease_s))


def held(job: Leased, rows_done: int = 0) -> Held:
    """An attempt that goes on."""
    return Held(job.id, job.token, rows_done)


def succeeded(job: Leased, content: bytes = b"[2]") -> Succeeded:
    """A result of an attempt."""
    return Succeeded(job.id, job.token, Payload(content, JSON))


def failed(job: Leased, retry_at: datetime | None = None, error: str = "no") -> Failed:
    """An error of an attempt."""
    return Failed(job.id, job.token, "predict-failed", error, retry_at)
