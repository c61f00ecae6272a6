"""Operations on jobs: how they stand, again, not any more, and how much waits."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from modelway.access.keys import Key
from modelway.access.permitting import permit_endpoint
from modelway.composition.control import Control, now
from modelway.composition.model_operations import Nothing
from modelway.composition.operations import Operation
from modelway.domain.addresses import without_secrets
from modelway.domain.errors import IllegalTransition, InvalidInput, JobNotFound
from modelway.domain.jobs import Attempt, Job, JobState
from modelway.jobs.callbacks import Callback
from modelway.jobs.ports import QueueDepth

_MOST = 1000


class SomeJobs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The newest jobs in a state, of a model, older than the job ``before``."""

    state: JobState | None = None
    model: str | None = None
    before: str | None = None
    limit: int = 100


class OfJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A job, by its id."""

    id: str


class DeadJobs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The dead letters, of a model where one is named."""

    model: str | None = None


class Retried(msgspec.Struct, frozen=True):
    """How many jobs were queued again."""

    jobs: int


class ShownJob(msgspec.Struct, frozen=True):
    """A job with its attempts, and who was told of its end."""

    job: Job
    attempts: Sequence[Attempt]
    callbacks: Sequence[Callback]


def _list(control: Control, of: SomeJobs, _: str) -> Sequence[Job]:
    if not 1 <= of.limit <= _MOST:
        raise InvalidInput(f"limit: expected 1 to {_MOST}, got {of.limit}")
    found = control.store.jobs.page(of.state, of.model, of.before, of.limit)
    return [_shown(one) for one in found]


def _show(control: Control, of: OfJob, _: str) -> ShownJob:
    jobs = control.store.jobs
    told = [replace(one, url=without_secrets(one.url)) for one in jobs.callbacks(of.id)]
    return ShownJob(_shown(jobs.get(of.id)), jobs.attempts(of.id), told)


def _retry(control: Control, of: OfJob, _: str) -> Job:
    return _shown(control.store.jobs.retry(of.id, now()))


def _retry_dead(control: Control, of: DeadJobs, _: str) -> Retried:
    """Each by itself: what is broken off has queued some, and the others are dead letters still."""
    jobs, before, n = control.store.jobs, None, 0
    while found := jobs.page(JobState.FAILED, of.model, before, _MOST):
        before = found[-1].id
        for one in reversed(found):
            with contextlib.suppress(IllegalTransition, JobNotFound):  # somebody else was quicker
                jobs.retry(one.id, now())
                n += 1
    return Retried(n)


def _cancel(control: Control, of: OfJob, _: str) -> Job:
    return _shown(control.store.jobs.cancel(of.id))


def _shown(job: Job) -> Job:
    """A job as people may see it: the URL of its callback may have a token in it."""
    return job if job.callback is None else replace(job, callback=without_secrets(job.callback))


def _depths(control: Control, _: Nothing, __: str) -> Sequence[QueueDepth]:
    found = control.store.jobs.depths()
    return [found[name] for name in sorted(found)]


def _one(control: Control, of: OfJob, key: Key) -> None:
    """Do nothing if the key is for the job's endpoint. Raises Forbidden, JobNotFound."""
    permit_endpoint(key, control.store.jobs.get(of.id).endpoint)


LIST = Operation("GET", "/jobs", SomeJobs, _list)
SHOW = Operation("GET", "/jobs/{id}", OfJob, _show, confine=_one)
RETRY = Operation("POST", "/jobs/{id}/retry", OfJob, _retry, "job.retry", confine=_one)
CANCEL = Operation("DELETE", "/jobs/{id}", OfJob, _cancel, "job.cancel", confine=_one)
RETRY_DEAD = Operation("POST", "/jobs/dead/retry", DeadJobs, _retry_dead, "job.retry-dead")
DEPTHS = Operation("GET", "/jobs/depths", Nothing, _depths)

JOB_OPERATIONS = (LIST, DEPTHS, SHOW, RETRY_DEAD, RETRY, CANCEL)
