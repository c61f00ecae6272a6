"""Jobs answered: each as the same request would be over HTTP, and many with one call of the model.

A job is the body of a request that was read once and found right. It is read again by the model
that answers now, by the same code, and its answer is the same bytes. No caller waits, so it has the
time until it expires; what has many rows is answered a part at a time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from modelway.domain.errors import ModelwayError, PredictFailed
from modelway.domain.jobs import Payload
from modelway.inference.dataplane import DataPlane
from modelway.jobs.ports import Leased
from modelway.jobs.under_way import UnderWay
from modelway.jobs.working import Answered, Tell
from modelway.rest.calling import Call, version_in
from modelway.rest.codecs import JSON_TYPE
from modelway.rest.http import Headers, Request, Response
from modelway.rest.predict import Prediction
from modelway.rest.predictions import Predictions

_log = logging.getLogger("modelway.jobs")


class JobAnswers:
    """Answers jobs by a data plane; ``wanted`` are the endpoints that it does so for, None for all.

    Used by one event loop.
    """

    def __init__(
        self, plane: DataPlane, predictions: Predictions, wanted: frozenset[str] | None = None
    ) -> None:
        self._plane = plane
        self._predictions = predictions
        self._wanted = wanted

    def endpoints(self) -> Sequence[str]:
        """The endpoints that answer here."""
        names = self._plane.router.endpoints()
        return [one for one in names if self._wanted is None or one in self._wanted]

    async def answer(self, jobs: Sequence[UnderWay], tell: Tell) -> None:
        """Answer jobs of one endpoint. Raises EndpointNotFound."""
        prediction = self._predictions.of(jobs[0].job.endpoint)
        calls = [_call(one) for one in jobs]
        usual = [place for place, one in enumerate(jobs) if _is_usual(one.job)]
        together = prediction.rows_together(
            [(calls[place], jobs[place].job.input.content) for place in usual]
        )
        answered: list[Answered] = []
        left = dict(zip(jobs, calls, strict=True))
        for place, answer in zip(usual, together, strict=True):
            if answer is not None:
                outcome = answer if isinstance(answer, ModelwayError) else _payload(answer)
                answered.append((jobs[place], outcome))
                del left[jobs[place]]
        if answered:
            await tell(answered)
        await self._each_alone(prediction, left, tell)

    async def _each_alone(
        self, prediction: Prediction, calls: Mapping[UnderWay, Call], tell: Tell
    ) -> None:
        """Answer jobs side by side, and tell of each that is answered."""
        jobs: dict[asyncio.Task[Payload | ModelwayError], UnderWay] = {}
        for one, call in calls.items():
            one.answering = asyncio.create_task(_alone(prediction, one.job, call))
            jobs[one.answering] = one
        left = set(jobs)
        try:
            while left:
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                await tell([(jobs[one], one.result()) for one in done if not one.cancelled()])
        finally:
            for task in left:
                task.cancel()


async def _alone(prediction: Prediction, job: Leased, call: Call) -> Payload | ModelwayError:
    try:
        return _payload(await prediction.from_body(_request(job, call)))
    except ModelwayError as error:
        return error
    except Exception as error:  # noqa: BLE001 - one strange job must not cost the others
        _log.exception("a job could not be answered")
        return PredictFailed(f"{type(error).__name__}: {error}")


def _is_usual(job: Leased) -> bool:
    return job.version is None and job.input.media_type == job.result_type == JSON_TYPE


def _call(one: UnderWay) -> Call:
    job = one.job
    left_s = (job.expires_at - datetime.now(UTC)).total_seconds()
    return Call(
        job.endpoint,
        Headers(_headers(job)),
        job.principal,
        job.id,
        time.monotonic() + left_s,
        is_pinned=job.version is not None,
        progress=one.progressed,
    )


def _request(job: Leased, call: Call) -> Request:
    path = f"/models/{job.endpoint}/predict"
    request = Request(job.id, "POST", path, headers=_headers(job), body=job.input.content)
    request.call = call
    if job.version is not None:
        request.captures = {"version": job.version}
    return request


def _headers(job: Leased) -> dict[bytes, bytes]:
    media_type, accept = job.input.media_type.encode(), job.result_type.encode()
    return {b"content-type": media_type, b"accept": accept}


def _payload(response: Response) -> Payload:
    version = version_in(response.headers)
    return Payload(response.body, response.content_type.decode(), version)
