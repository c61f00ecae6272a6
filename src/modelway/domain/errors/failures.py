"""Errors of what went wrong here: models, overload, what is away, settings."""

from __future__ import annotations

from modelway.domain.errors.base import ModelwayError


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


class WorkerDied(Unavailable):
    """A process that does a part of the work ended before it was done."""

    code = "worker-died"


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
