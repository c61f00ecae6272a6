"""The router of a plain ``serve``: every endpoint is one loaded model, and that model is live."""

from __future__ import annotations

from collections.abc import Sequence

from modelway.domain.errors import EndpointNotFound, NotFound
from modelway.domain.inference import InferenceRequest
from modelway.inference.loading import LoadedModel


class ImplicitRouter:
    """Endpoints named like their models; ``default`` is one of the names, or None for the first.

    Raises:
        EndpointNotFound: ``default`` is no model's name.
    """

    def __init__(self, models: Sequence[LoadedModel], default: str | None = None) -> None:
        self._models = {model.name: model for model in models}
        if default is None:
            default = next(iter(self._models), None)
        elif default not in self._models:
            raise EndpointNotFound(default, list(self._models))
        self._default = default

    def endpoints(self) -> Sequence[str]:
        """The names of all endpoints, in the order they were given."""
        return list(self._models)

    def live(self, endpoint: str) -> LoadedModel:
        """The model of an endpoint. Raises EndpointNotFound."""
        model = self._models.get(endpoint)
        if model is None:
            raise EndpointNotFound(endpoint[:128], list(self._models))
        return model

    def choose(self, request: InferenceRequest) -> LoadedModel:
        """The model of the request's endpoint.

        Raises:
            EndpointNotFound: there is no such endpoint.
            NotFound: the request wants a version that is not loaded.
        """
        model = self.live(request.endpoint)
        if request.version is not None and request.version != model.version:
            raise NotFound(f"{model.name} has no version {request.version[:80]!r} loaded")
        return model

    def default(self) -> str | None:
        """The default endpoint."""
        return self._default
