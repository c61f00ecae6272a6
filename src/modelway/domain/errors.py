"""Every error that Modelway raises on purpose, in one tree.

    ModelwayError
    ├── InvalidInput          what was sent or given is wrong
    │   ├── SignatureMismatch     values that do not fit the signature (carries every problem)
    │   ├── InputRefused          values that fit the signature, and the model refuses
    │   ├── MalformedPayload      a body, row or file that cannot be read
    │   ├── PayloadTooLarge
    │   ├── HeadTooLarge          more header than is taken
    │   ├── RequestIncomplete     a request of which too little came in time
    │   ├── UnsupportedMedia      a content type that nobody here reads
    │   ├── NotAcceptable         no content type that the caller takes is written here
    │   ├── InvalidName
    │   ├── InvalidSource         a model source that cannot be understood
    │   └── InvalidSignature      a signature that contradicts itself
    ├── NotFound
    │   ├── EndpointNotFound
    │   ├── ModelNotFound
    │   ├── VersionNotFound
    │   ├── AliasNotFound
    │   ├── RunNotFound
    │   ├── KeyNotFound
    │   ├── ProposalNotFound
    │   ├── PredictionNotFound    no record has this id
    │   ├── RouteNotFound
    │   └── SourceNotFound
    ├── MethodNotAllowed
    ├── Conflict
    │   ├── TargetExists          something is where a new thing should go
    │   ├── PromotionConflict     somebody else moved the alias first
    │   ├── EndpointChanged       somebody else changed the endpoint first
    │   ├── ProposalDecided       somebody else decided already
    │   └── NotReplayable         what was recorded is not enough to answer it again
    ├── NotPermitted
    │   ├── Unauthenticated       nobody said who calls, or not so that it can be believed
    │   └── Forbidden             who calls may not
    ├── Untrusted
    │   ├── DigestMismatch
    │   ├── UnsafeFormat
    │   └── UntrustedRegistry     a pickle from a registry that is not listed as trusted
    ├── ModelFailed
    │   ├── BuildFailed
    │   ├── NotCompilable         stays native, and why
    │   ├── LoadFailed
    │   ├── PredictFailed
    │   ├── ModelCrashed          the process of a model died
    │   └── OutputInvalid
    ├── Overloaded            too much at once; later it may go
    │   ├── QueueFull
    │   ├── RateLimited           more requests than a key may make
    │   ├── DeadlineExceeded
    │   └── OutOfMemory           no room to load one more model
    ├── Unavailable
    │   ├── NotReady
    │   ├── RegistryUnavailable
    │   └── StoreUnavailable
    └── InvalidSettings
        ├── UnknownSetting
        ├── BadValue
        ├── MissingExtra
        ├── PortInUse
        └── HomeTooNew            a home that a newer Modelway has written

How an error looks over HTTP is said in ``rest/problems.py`` alone, and which exit code it has in
``cli/exits.py`` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one value of a request.

    ``pointer`` is a JSON pointer into what was sent ("/3/age"), ``column`` the signature's name,
    ``received`` what came, as text of at most 80 characters, or None where nothing came.
    """

    pointer: str
    column: str
    code: str
    received: str | None
    expected: str

    @property
    def message(self) -> str:
        """The problem as one sentence."""
        came = "nothing came" if self.received is None else f"got {self.received}"
        return f"{self.column}: expected {self.expected}, {came}"


class ModelwayError(Exception):
    """Anything that Modelway raises on purpose.

    ``code`` is stable and meant for programs, ``retryable`` says whether the same call may succeed
    later, ``hint`` what to do next.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidInput(ModelwayError):
    """What was sent or given is wrong; sending it again will not help."""

    code = "invalid-input"


class SignatureMismatch(InvalidInput):
    """Values that do not fit the signature; carries every problem at once."""

    code = "signature-mismatch"

    def __init__(self, problems: Sequence[Problem], *, total: int | None = None) -> None:
        self.problems = tuple(problems)
        self.total = len(self.problems) if total is None else total
        first = "; ".join(p.message for p in self.problems[:3])
        more = f"; and {self.total - 3} more" if self.total > 3 else ""
        super().__init__(f"{first}{more}")


class InputRefused(InvalidInput):
    """The model itself refused values that fit its signature, a number too large for it say."""

    code = "input-refused"


class MalformedPayload(InvalidInput):
    """A body, row or file that cannot be read at all."""

    code = "malformed-payload"


class PayloadTooLarge(InvalidInput):
    """More bytes, rows or nesting than the settings allow."""

    code = "payload-too-large"


class HeadTooLarge(InvalidInput):
    """A request line and headers of more bytes than are taken."""

    code = "head-too-large"


class RequestIncomplete(InvalidInput):
    """A request of which too little came in the time it is given."""

    code = "request-incomplete"


class UnsupportedMedia(InvalidInput):
    """A content type that is not read here."""

    code = "unsupported-media"


class NotAcceptable(InvalidInput):
    """No content type that the caller accepts is written here."""

    code = "not-acceptable"


class InvalidName(InvalidInput):
    """A name that does not match the pattern for names."""

    code = "invalid-name"

    def __init__(self, name: str, expected: str) -> None:
        self.name = name
        super().__init__(f"{name!r} is not a usable name: expected {expected}")


class InvalidSource(InvalidInput):
    """A model source that cannot be understood."""

    code = "invalid-source"


class InvalidSignature(InvalidInput):
    """A signature that contradicts itself or the model."""

    code = "invalid-signature"


class NotFound(ModelwayError):
    """The thing named does not exist."""

    code = "not-found"


class EndpointNotFound(NotFound):
    """No endpoint has this name."""

    code = "endpoint-not-found"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        there = ", ".join(sorted(known)[:10]) or "none"
        super().__init__(f"no endpoint is called {name!r}; there is: {there}")


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

    def __init__(self, prediction_id: str) -> None:
        self.prediction_id = prediction_id
        super().__init__(f"no prediction with the id {prediction_id[:200]!r} is recorded")


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


class MethodNotAllowed(ModelwayError):
    """The path exists, but not with this method."""

    code = "method-not-allowed"

    def __init__(self, method: str, path: str, allowed: Sequence[str]) -> None:
        self.allowed = tuple(allowed)
        super().__init__(f"{method} is not allowed at {path[:200]}: use {' or '.join(allowed)}")


class Conflict(ModelwayError):
    """The wish contradicts what is there."""

    code = "conflict"


class TargetExists(Conflict):
    """Something is already where a new thing should go."""

    code = "target-exists"


class PromotionConflict(Conflict):
    """Somebody else moved the alias first."""

    code = "promotion-conflict"


class EndpointChanged(Conflict):
    """Somebody else changed the endpoint first."""

    code = "endpoint-changed"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name} was changed by somebody else meanwhile",
            hint="look at it again: modelway endpoint show",
        )


class ProposalDecided(Conflict):
    """Somebody else approved or declined it already, or it has expired."""

    code = "proposal-decided"


class NotReplayable(Conflict):
    """What was recorded of a prediction is not enough to make it again."""

    code = "not-replayable"


class NotPermitted(ModelwayError):
    """Who calls may not do this."""

    code = "not-permitted"


class Unauthenticated(NotPermitted):
    """No key came, or none that is known."""

    code = "unauthenticated"


class Forbidden(NotPermitted):
    """The key that came does not allow this."""

    code = "forbidden"


class Untrusted(ModelwayError):
    """Something that must not be opened as it is."""

    code = "untrusted"


class DigestMismatch(Untrusted):
    """A bundle whose contents are not those that its digest names."""

    code = "digest-mismatch"

    def __init__(self, where: str, expected: str, found: str) -> None:
        self.expected, self.found = expected, found
        super().__init__(
            f"the contents of {where} do not match its digest: expected {expected}, found {found}",
            hint="build the bundle again from its source; a changed bundle is never served",
        )


class UnsafeFormat(Untrusted):
    """A format that runs code when it is read, where that was not allowed."""

    code = "unsafe-format"


class UntrustedRegistry(Untrusted):
    """A pickle comes from a registry that is not listed as trusted."""

    code = "untrusted-registry"


class ModelFailed(ModelwayError):
    """The model, or what makes it, failed."""

    code = "model-failed"


class BuildFailed(ModelFailed):
    """A bundle could not be built."""

    code = "build-failed"


class NotCompilable(ModelFailed):
    """No exact ONNX form of this model is known; the bundle stays native, for this reason."""

    code = "not-compilable"


class LoadFailed(ModelFailed):
    """A bundle or model could not be opened."""

    code = "load-failed"


class PredictFailed(ModelFailed):
    """The model raised while it predicted."""

    code = "predict-failed"


class ModelCrashed(ModelFailed):
    """The process in which a model runs died; it is started again."""

    code = "model-crashed"
    retryable = True


class OutputInvalid(ModelFailed):
    """The model gave something that does not fit what it declared."""

    code = "output-invalid"


class Overloaded(ModelwayError):
    """There is more to do than can be done now."""

    code = "overloaded"
    retryable = True


class QueueFull(Overloaded):
    """As many requests wait for the model as may wait."""

    code = "queue-full"


class RateLimited(Overloaded):
    """The key has made more requests than it may."""

    code = "rate-limited"


class DeadlineExceeded(Overloaded):
    """The request's time was over before its answer."""

    code = "deadline-exceeded"


class OutOfMemory(Overloaded):
    """The memory that models may take is taken."""

    code = "out-of-memory"


class Unavailable(ModelwayError):
    """Something needed is not there now."""

    code = "unavailable"
    retryable = True


class NotReady(Unavailable):
    """Models are still being loaded."""

    code = "not-ready"


class RegistryUnavailable(Unavailable):
    """The registry cannot be reached; what is bundled answers all the same."""

    code = "registry-unavailable"


class StoreUnavailable(Unavailable):
    """The control store cannot be reached."""

    code = "store-unavailable"


class InvalidSettings(ModelwayError):
    """The settings, or the installation, do not allow what was asked."""

    code = "invalid-settings"


class UnknownSetting(InvalidSettings):
    """A setting that does not exist."""

    code = "unknown-setting"


class BadValue(InvalidSettings):
    """A setting's value is of the wrong type or out of range."""

    code = "bad-value"


class MissingExtra(InvalidSettings):
    """An optional library is needed and not installed."""

    code = "missing-extra"

    def __init__(self, library: str, extra: str, wanted_for: str) -> None:
        self.library, self.extra = library, extra
        super().__init__(
            f"{wanted_for} needs {library}, which is not installed",
            hint=f"pip install 'modelway[{extra}]'",
        )


class PortInUse(InvalidSettings):
    """Another process listens on the port."""

    code = "port-in-use"


class HomeTooNew(InvalidSettings):
    """The home, or its store, was written by a newer Modelway."""

    code = "home-too-new"
