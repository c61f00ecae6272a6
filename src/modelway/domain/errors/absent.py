"""Errors of what is not there."""

from __future__ import annotations

from collections.abc import Sequence

from modelway.domain.errors.base import ModelwayError


class NotFound(ModelwayError):
    """The thing named does not exist."""

    code = "not-found"


class EndpointNotFound(NotFound):
    """No endpoint has this name, or none is the default, for which ``name`` is None."""

    code = "endpoint-not-found"

    def __init__(self, name: str | None, known: Sequence[str]) -> None:
        self.name = name
        there = ", ".join(sorted(known)[:10])
        if name is not None:
            super().__init__(f"no endpoint is called {name!r}; there is: {there or 'none'}")
        elif known:
            super().__init__(f"no endpoint is the default: name one of {there}")
        else:
            super().__init__("there is no endpoint yet")


class ModelNotFound(NotFound):
    """The registry has no model of this name."""

    code = "model-not-found"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"no model is called {name[:128]!r}", hint="modelway model list shows all there are"
        )


class VersionNotFound(NotFound):
    """The endpoint, or the model, has no such version."""

    code = "version-not-found"

    def __init__(self, endpoint: str, version: str, known: Sequence[str]) -> None:
        self.endpoint, self.version = endpoint, version
        there = ", ".join(known[:10]) or "none"
        super().__init__(f"{endpoint} has no version {version[:80]!r}; there is: {there}")


class AliasNotFound(NotFound):
    """The model has no such alias."""

    code = "alias-not-found"

    def __init__(self, model: str, alias: str, known: Sequence[str]) -> None:
        self.model, self.alias = model, alias
        there = ", ".join(sorted(known)[:10]) or "none"
        super().__init__(f"{model} has no alias {alias[:80]!r}; there is: {there}")


class RunNotFound(NotFound):
    """The registry has no such run."""

    code = "run-not-found"


class KeyNotFound(NotFound):
    """No key has this id."""

    code = "key-not-found"

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(f"no key has the id {id[:80]!r}", hint="modelway key list shows all")


class ProposalNotFound(NotFound):
    """No promotion waits under this id."""

    code = "proposal-not-found"

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(f"no promotion waits under the id {id[:80]!r}")


class PredictionNotFound(NotFound):
    """No record has this id: it was never made, or not kept."""

    code = "prediction-not-found"

    def __init__(self, prediction_id: str, endpoint: str | None = None) -> None:
        self.prediction_id = prediction_id
        of = "" if endpoint is None else f" of {endpoint}"
        super().__init__(f"no prediction{of} with the id {prediction_id[:200]!r} is recorded")


class JobNotFound(NotFound):
    """No job has this id: it was never handed in, or is forgotten."""

    code = "job-not-found"

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"no job has the id {job_id[:200]!r}")


class ResultNotFound(NotFound):
    """A job has ended without an answer."""

    code = "result-not-found"

    def __init__(self, job_id: str, state: str, error: str | None) -> None:
        self.job_id = job_id
        self.state = state
        why = "" if error is None else f": {error}"
        super().__init__(f"the job {job_id[:200]!r} has no answer, it is {state}{why}")


class UploadNotFound(NotFound):
    """No upload of the caller's has this id, or its time is over."""

    code = "upload-not-found"

    def __init__(self, upload_id: str) -> None:
        self.upload_id = upload_id
        super().__init__(f"no upload of yours has the id {upload_id[:200]!r}")


class ScheduleNotFound(NotFound):
    """No schedule has this name."""

    code = "schedule-not-found"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"no schedule is called {name[:128]!r}", hint="modelway schedule list shows all"
        )


class RouteNotFound(NotFound):
    """No route has this path."""

    code = "route-not-found"

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"nothing answers at {path[:200]!r}", hint="GET /openapi.json lists all")


class SourceNotFound(NotFound):
    """A file or folder that was named is not there."""

    code = "source-not-found"

    def __init__(self, path: str, *, hint: str | None = None) -> None:
        self.path = path
        super().__init__(f"{path} does not exist", hint=hint)
