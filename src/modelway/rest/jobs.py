"""Jobs over HTTP: predictions that are asked for now and answered later.

    POST   /models/{name}/jobs   a body as for predict; 202 with Location once the job is kept
    POST   /models/{name}/versions/{version}/jobs    the same, for one version
    GET    /jobs                 the newest first; ?state=&model=&before=&limit=
    GET    /jobs/{id}            how it stands
    GET    /jobs/{id}/result     its answer, as predict would have given it
    DELETE /jobs/{id}            cancel it
    POST   /uploads              what jobs may then name
    DELETE /uploads/{id}         take it back
    POST   /process              the same as a job of the default endpoint, or of ?model=
    GET    /process?id=          how it stands

What is handed in goes by ``job_handing.py``; how a job looks is in ``job_shapes.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from modelway.access.admitting import Keys
from modelway.access.keys import Key
from modelway.access.permitting import is_for, permit_endpoint
from modelway.access.routes import Door, rule_of
from modelway.domain.errors import InvalidInput, JobNotFound, ResultNotFound
from modelway.domain.jobs import Job, JobState
from modelway.rest.http import Headers, Request, Response
from modelway.rest.job_handing import Handing
from modelway.rest.job_results import in_format
from modelway.rest.job_shapes import answered, job_shape, shown, why
from modelway.rest.predictions import Predictions
from modelway.rest.routes import Route
from modelway.rest.uploads import uploaded

_MOST_PAGE = 1000
_PAGE = 100


class Jobs:
    """Takes jobs, and says how they stand; where there are ``keys`` it asks for them itself."""

    def __init__(self, handing: Handing, predictions: Predictions, keys: Keys | None) -> None:
        self._port = handing.port
        self._handing = handing
        self._predictions = predictions
        self._keys = keys
        self._prefix = handing.prefix

    def routes(self) -> Iterator[tuple[str, Route]]:
        """Every path."""
        yield "/models/{name}/jobs", Route(POST=self.submit)
        yield "/models/{name}/versions/{version}/jobs", Route(POST=self.submit)
        yield "/jobs", Route(GET=self.page)
        yield "/jobs/{id}", Route(GET=self.show, DELETE=self.cancel)
        yield "/jobs/{id}/result", Route(GET=self.result)
        yield "/uploads", Route(POST=self.upload)
        yield "/uploads/{id}", Route(DELETE=self.take_back)
        yield "/process", Route(GET=self.show_asked, POST=self.submit_asked)

    async def submit(self, request: Request) -> Response:
        """Keep what is asked for as a job of the endpoint that the path names."""
        return await self._submitted(request, request.captures["name"])

    async def submit_asked(self, request: Request) -> Response:
        """Keep what is asked for as a job of the endpoint that the query names, or the default."""
        return await self._submitted(request, _only(request, "model"))

    async def _submitted(self, request: Request, endpoint: str | None) -> Response:
        """Keep what is asked of an endpoint, of the default one for None."""
        # Who may not ask is not told which endpoints there are.
        self._handing.admit(request, endpoint)
        found = self._predictions
        prediction = found.of_default() if endpoint is None else found.of(endpoint)
        return await self._handing.submitted(request, prediction)

    async def upload(self, request: Request) -> Response:
        """Keep what jobs may then name."""
        sender = self._sender(request, "/uploads")
        return await uploaded(request, self._port.uploads, sender)

    async def take_back(self, request: Request) -> Response:
        """Have what was sent be there no more; jobs that named it have it still."""
        sender = self._sender(request, "/uploads/{id}")
        await self._port.uploads.remove(request.captures["id"], sender)
        return Response(b"", status=204)

    async def show(self, request: Request) -> Response:
        """How the job stands that the path names."""
        return await self._stands(self._caller(request, "/jobs/{id}"), request.captures["id"])

    async def show_asked(self, request: Request) -> Response:
        """How the job stands that the query names."""
        key = self._caller(request, "/process")
        job_id = _only(request, "id")
        if job_id is None:
            raise InvalidInput("the query names no job", hint="ask for /process?id=ID")
        return await self._stands(key, job_id)

    async def result(self, request: Request) -> Response:
        """The answer itself, in what Accept likes best; as the job stands where it is not done."""
        key = self._caller(request, "/jobs/{id}/result")
        job = await self._found(key, request.captures["id"])
        if not job.state.is_done:
            return shown(job, 202, self._prefix)
        found = await self._port.result(job.id)
        if found is None:
            raise ResultNotFound(job.id, job.state, why(job))
        accept = request.headers.get(b"accept")
        return answered(job, await in_format(found, self._predictions.formats, accept))

    async def cancel(self, request: Request) -> Response:
        """End a job that is not done."""
        job = await self._found(self._caller(request, "/jobs/{id}"), request.captures["id"])
        return shown(await self._port.cancel(job.id), 200, self._prefix)

    async def page(self, request: Request) -> Response:
        """Some jobs; a key for some endpoints has to name one of them."""
        key = self._caller(request, "/jobs")
        asked = _asked(request, "state", "model", "before", "limit")
        if key is not None:
            permit_endpoint(key, asked.get("model"))
        state, n = _state(asked.get("state")), _limit(asked.get("limit"))
        jobs = await self._port.page(state, asked.get("model"), asked.get("before"), n)
        following = jobs[-1].id if len(jobs) == n else None
        return Response(
            msgspec.json.encode({"jobs": list(map(job_shape, jobs)), "next": following})
        )

    async def _stands(self, key: Key | None, job_id: str) -> Response:
        job = await self._found(key, job_id)
        result = None
        if job.state is JobState.SUCCEEDED:
            result = await self._port.result(job.id)
        return shown(job, 200, self._prefix, result)

    async def _found(self, key: Key | None, job_id: str) -> Job:
        """The job of an id; one of another's endpoint is not there."""
        job = await self._port.get(job_id)
        if key is not None and not is_for(key, job.endpoint):
            raise JobNotFound(job.id)
        return job

    def _sender(self, request: Request, path: str) -> str | None:
        """Whose an upload is that is sent to a path, which is its template, or taken back there."""
        if self._keys is None:
            return None
        rule = rule_of(Door.HTTP, request.method, path)
        return self._keys.admit(rule, None, Headers(request.headers))

    def _caller(self, request: Request, path: str) -> Key | None:
        """Who asks at a path, which is its template."""
        if self._keys is None:
            return None
        scopes = rule_of(Door.HTTP, request.method, path).scopes or frozenset()
        return self._keys.caller(Headers(request.headers), scopes)


def _asked(request: Request, *names: str) -> dict[str, str]:
    """The query, of which nothing else may be asked. Raises InvalidInput."""
    asked = dict(request.cells())
    unknown = sorted(set(asked) - set(names))
    if unknown:
        raise InvalidInput(
            f"{unknown[0][:40]!r} is no parameter", hint=f"there is: {', '.join(names)}"
        )
    return asked


def _only(request: Request, name: str) -> str | None:
    return _asked(request, name).get(name)


def _state(text: str | None) -> JobState | None:
    if text is None:
        return None
    if text not in JobState.__members__.values():
        raise InvalidInput(f"{text[:40]!r} is no state", hint=f"there is: {', '.join(JobState)}")
    return JobState(text)


def _limit(text: str | None) -> int:
    if text is None:
        return _PAGE
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    if not is_number or not 1 <= int(text) <= _MOST_PAGE:
        raise InvalidInput(f"limit: expected 1 to {_MOST_PAGE}, got {text[:40]!r}")
    return int(text)
