"""What the data plane asks of others: who answers, who watches, who may.

``inference/implicit.py`` has the router of a plain ``serve``; endpoints with roles bring their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from modelway.domain.errors import ModelwayError
from modelway.domain.inference import InferenceRequest, InferenceResponse
from modelway.inference.loading import LoadedModel


class Router(Protocol):
    """Which loaded model answers.

    ``endpoints`` are the names that callers may use, in a stable order.
    ``live`` is the model whose signature an endpoint's callers follow.
    ``choose`` may give another version than the live one, for this request only.
    ``default`` is the endpoint behind ``/predict``, None if there is no such one.
    """

    def endpoints(self) -> Sequence[str]:
        """The names of all endpoints."""
        ...

    def live(self, endpoint: str) -> LoadedModel:
        """The live model of an endpoint. Raises EndpointNotFound."""
        ...

    def choose(self, request: InferenceRequest) -> LoadedModel:
        """The model that answers this request. Raises EndpointNotFound."""
        ...

    def default(self) -> str | None:
        """The default endpoint."""
        ...


class Observer(Protocol):
    """Somebody who is told of every answer, after it is made; must neither block nor raise."""

    def answered(
        self, request: InferenceRequest, response: InferenceResponse, seconds: float
    ) -> None:
        """A request was answered, in this time."""
        ...

    def failed(self, request: InferenceRequest, error: ModelwayError, seconds: float) -> None:
        """A request could not be answered."""
        ...


class Admission(Protocol):
    """Who is calling and whether they may; asked once a request, before anything is decoded."""

    def principal(self, endpoint: str, headers: Mapping[str, str]) -> str | None:
        """Who calls, None for anybody. Raises a NotPermitted error to refuse."""
        ...
