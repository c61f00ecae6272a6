"""Requests that become jobs: checked as predict would check them, kept, and answered with 202.

    POST /models/{name}/jobs       and with a version in the path, and POST /process
    POST /models/{name}/predict    and its other paths, where ``prefer`` says ``respond-async``

What does not fit the signature is refused at once, so nothing is kept that cannot be answered. A
caller who prefers to wait a little is given the answer itself, if it is there by then.

Headers: ``idempotency-key`` has the same key and body give the same job, ``modelway-priority`` is 0
to 9, the highest first, ``modelway-callback`` is a URL that is told of the end. The answer is
written in what ``accept`` asks for when the job is made.

Source: RFC 9110, section 15.3.3; RFC 7240; draft-ietf-httpapi-idempotency-key-header-07.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

from modelway.domain.errors import (
    InvalidInput,
    PredictFailed,
    QueueFull,
    ResultNotFound,
    StoreUnavailable,
)
from modelway.domain.jobs import (
    HIGHEST_PRIORITY,
    LOWEST_PRIORITY,
    USUAL_PRIORITY,
    Job,
    JobState,
    NewJob,
    Payload,
)
from modelway.inference.dataplane import DataPlane
from modelway.rest.calling import Call, called
from modelway.rest.http import JSON, Header, Request, Response
from modelway.rest.job_shapes import JobPort, answered, shown, why
from modelway.rest.predict import Prediction
from modelway.rest.preferring import applied, patience_s
from modelway.rest.uploads import names_upload, resolved

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class Handing:
    """Hands in to a port what is asked of the endpoints of a data plane.

    ``prefix`` is that of every path.
    """

    def __init__(self, port: JobPort, plane: DataPlane, prefix: str) -> None:
        self.port = port
        self._plane = plane
        self.prefix = prefix

    def admit(self, request: Request, endpoint: str | None) -> None:
        """Do nothing if the caller may ask an endpoint, None for the default one; whether it is
        there is not looked at. Raises InvalidInput, NotPermitted.
        """
        called(self._plane, request, endpoint or self._plane.router.default() or "")

    async def submitted(self, request: Request, prediction: Prediction) -> Response:
        """Keep what is asked for as a job, and say where it is."""
        call = called(self._plane, request, prediction.endpoint)
        return shown(await self._kept(request, call, prediction), 202, self.prefix)

    def preferred(
        self, request: Request, prediction: Prediction
    ) -> Coroutine[Any, Any, Response] | None:
        """The answer to a caller who would have it later; None for one who would not."""
        asked_s = patience_s(request.headers[b"prefer"])
        return None if asked_s is None else self._awaited(request, prediction, asked_s)

    async def _awaited(self, request: Request, prediction: Prediction, asked_s: int) -> Response:
        """The answer of a job where it is there in time, else where it will be."""
        began_s = time.monotonic()
        call = called(self._plane, request, prediction.endpoint)
        needs_job = _needs_job(request)
        try:
            job = await self._kept(request, call, prediction)
        except (QueueFull, StoreUnavailable):
            if needs_job:
                raise
            # What is only preferred is no reason to fail. Others of this head still prefer it.
            headers = request.headers
            request.headers = {name: headers[name] for name in headers if name != b"prefer"}
            request.notes = None
            return await prediction.from_body(request)
        wait_s = min(asked_s, self.port.longest_wait_s)
        said = (b"preference-applied", applied(wait_s))
        left_s = began_s + wait_s - time.monotonic()
        if call.deadline is not None:
            left_s = min(left_s, call.deadline - time.monotonic())
        try:
            if left_s <= 0 or not await self.port.ended(job.id, left_s):
                return shown(job, 202, self.prefix, headers=[said])
        except asyncio.CancelledError:
            # The service ends, and the job outlives it: whoever still listens is told where it is.
            return shown(job, 202, self.prefix, headers=[said])
        return await self._answer(job.id, said)

    async def _answer(self, job_id: str, said: Header) -> Response:
        """The answer of a job that is done. Raises PredictFailed, ResultNotFound."""
        result = await self.port.result(job_id)
        job = await self.port.get(job_id)
        if result is None and job.state is JobState.FAILED:
            raise PredictFailed(f"the job {job_id} failed: {job.error}")
        if result is None:
            raise ResultNotFound(job_id, job.state, why(job))
        return answered(job, result, said)

    async def _kept(self, request: Request, call: Call, prediction: Prediction) -> Job:
        """The job of a request, or the earlier one of its key."""
        callback = _callback(request)
        if callback is not None:
            self.port.callbacks.check(callback)
        async with resolved(request, self.port.uploads, call.principal):
            wanted, n_rows = await prediction.checked(request, call)
            return await self.port.keep(self._job(request, call, wanted, n_rows, callback))

    def _job(
        self, request: Request, call: Call, wanted: str, n_rows: int, callback: str | None
    ) -> NewJob:
        """What a request of some rows asks for, whose answer has the media type ``wanted``."""
        now = datetime.now(UTC)
        media_type = request.headers.get(b"content-type", JSON).decode("latin-1")
        version = request.captures.get("version")
        return NewJob(
            call.prediction_id,
            call.endpoint,
            Payload(request.body, media_type),
            now,
            now + self.port.lasts,
            version=version,
            priority=_priority(request),
            principal=call.principal,
            idempotency_key=_idempotency_key(request),
            fingerprint=_fingerprint(
                [call.endpoint, media_type, wanted], [version, callback], request.body
            ),
            callback=callback,
            result_type=wanted,
            rows=n_rows,
        )


def _needs_job(request: Request) -> bool:
    """Whether a request asks for what only a job gives."""
    headers = request.headers
    further = b"idempotency-key" in headers or b"modelway-callback" in headers
    return further or names_upload(request)


def _priority(request: Request) -> int:
    text = request.headers.get(b"modelway-priority")
    if text is None:
        return USUAL_PRIORITY
    is_number = text.isdigit() and len(text) < 10
    if not is_number or not LOWEST_PRIORITY <= int(text) <= HIGHEST_PRIORITY:
        raise InvalidInput(
            "modelway-priority is no priority",
            hint=f"send {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}, the highest first",
        )
    return int(text)


def _idempotency_key(request: Request) -> str | None:
    """The key of the header, which is a text in quotes; one without them is taken too."""
    raw = request.headers.get(b"idempotency-key")
    if raw is None:
        return None
    text = raw.decode("latin-1").strip()
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    text = text[1:-1] if quoted else text
    if not _KEY.fullmatch(text):
        raise InvalidInput(
            "idempotency-key is not a key", hint="send 1 to 255 visible ASCII characters in quotes"
        )
    return text


def _callback(request: Request) -> str | None:
    raw = request.headers.get(b"modelway-callback")
    return None if raw is None else raw.decode("latin-1")


def _fingerprint(said: Sequence[str], further: Sequence[str | None], body: bytes) -> bytes:
    """What a key must come with to be the same job's again; ``further`` is seldom said."""
    if any(further):
        said = [*said, *(one or "" for one in further)]
    hashed = hashlib.sha256("".join([f"{one}\n" for one in said]).encode())
    hashed.update(body)
    return hashed.digest()
