"""Callbacks of a home: what they say, and what tells them.

    {"type": "job.succeeded", "timestamp": "...", "data": {the job, as GET /jobs/{id} shows it}}

A response that is large is not among it, as Standard Webhooks would have it: it is there to be
asked for.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from modelway.backends.webhook_http import WebhookPost
from modelway.composition.control import Control, now
from modelway.domain.jobs import JobState
from modelway.jobs.callbacks import AllowedUrls, Callback
from modelway.jobs.calling_back import CallingBack, Telling
from modelway.jobs.ports import JobStore
from modelway.jobs.retrying import Retrying
from modelway.jobs.webhooks import secrets_of
from modelway.rest.job_shapes import job_shape
from modelway.settings import JobSettings

_MOST_RESPONSE_BYTES = 16 * 1024
_FIRST_RETRY_S = 5.0
_LONGEST_RETRY_S = 3600.0


def check_callbacks(settings: JobSettings) -> None:
    """Do nothing if callbacks can be told as the settings say, or there are none.

    Raises:
        BadValue: a URL or a secret cannot be used.
    """
    AllowedUrls(settings.callback_urls)
    if settings.callback_urls:
        secrets_of(settings.callback_secret)


def calling_back(control: Control) -> CallingBack:
    """What tells the callbacks of a home's store. Raises BadValue where a URL cannot be used."""
    settings, jobs = control.settings.jobs, control.store.jobs
    telling = Telling(
        allowed=AllowedUrls(settings.callback_urls),
        secrets=lambda: secrets_of(settings.callback_secret),
        post=WebhookPost(private=settings.private_callbacks),
        body=lambda callback: said_of(jobs, callback),
        lasts=timedelta(seconds=settings.callback_lasts_s),
        retrying=Retrying(first_s=_FIRST_RETRY_S, longest_s=_LONGEST_RETRY_S),
    )
    return CallingBack(jobs, telling, now)


def said_of(jobs: JobStore, callback: Callback) -> bytes:
    """What is told of a job that has ended. Raises JobNotFound, StoreUnavailable."""
    job = jobs.get(callback.job)
    done = job.state is JobState.SUCCEEDED
    result = jobs.result(job.id, _MOST_RESPONSE_BYTES) if done else None
    said = {
        "type": f"job.{callback.state.value}",
        "timestamp": callback.made_at,
        "data": job_shape(job, result),
    }
    return msgspec.json.encode(said)
