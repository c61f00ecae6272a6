"""Jobs answered: each as the same request would be over HTTP, and many with one call of the model.

A job is the body of a request that was read once and found right. It is read again by the model
that answers now, by the same code, and its answer is the same bytes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from modelway.domain.errors import ModelwayError, PredictFailed
from modelway.domain.jobs import Payload
from modelway.inference.dataplane import DataPlane
from modelway.jobs.ports import Leased
from modelway.rest.calling import Call, version_in
from modelway.rest.codecs import JSON_TYPE
from modelway.rest.http import Headers, Request, Response
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

    async def answer(self, jobs: Sequence[Leased]) -> Sequence[Payload | ModelwayError]:
        """What comes of jobs of one endpoint, in their order. Raises EndpointNotFound."""
        prediction = self._predictions.of(jobs[0].endpoint)
        calls = [_call(job) for job in jobs]
        found: list[Payload | ModelwayError | None] = [None] * len(jobs)
        usual = [place for place, job in enumerate(jobs) if _is_usual(job)]
        together = prediction.rows_together(
            [(calls[place], jobs[place].input.content) for place in usual]
        )
        for place, answer in zip(usual, together, strict=True):
            found[place] = _payload(answer) if isinstance(answer, Response) else answer

        async def alone(place: int) -> None:
            request = _request(jobs[place], calls[place])
            try:
                found[place] = _payload(await prediction.from_body(request))
            except ModelwayError as error:
                found[place] = error
            except Exception as error:  # noqa: BLE001 - one strange job must not cost the others
                _log.exception("a job could not be answered")
                found[place] = PredictFailed(f"{type(error).__name__}: {error}")

        left = [place for place, outcome in enumerate(found) if outcome is None]
        await asyncio.gather(*map(alone, left))
        return [outcome for outcome in found if outcome is not None]


def _is_usual(job: Leased) -> bool:
    return job.version is None and job.input.media_type == job.result_type == JSON_TYPE


def _call(job: Leased) -> Call:
    headers = Headers(_headers(job))
    return Call(
        job.endpoint, headers, job.principal, job.id, None, is_pinned=job.version is not None
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
