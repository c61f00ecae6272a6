"""A service whose models are being opened: alive, and not ready, as every protocol says it."""

from __future__ import annotations

from collections.abc import Mapping

from modelway.domain.errors import NotReady, RouteNotFound
from modelway.rest import invocations
from modelway.rest.error_texts import error_text
from modelway.rest.http import Refusal, Request, Response, constant
from modelway.rest.routes import Route, RouteTable
from modelway.settings import RestSettings

_MLFLOW = ("/invocations", "/ping", "/version", "/execution-parameters")


def refusals(settings: RestSettings) -> Mapping[str, Refusal]:
    """How an error looks at these paths and below."""
    # Under the multi-model contract the platform asks at /models too.
    theirs = (*_MLFLOW, "/models") if settings.sagemaker else _MLFLOW
    texts = {"/v2": error_text, "/v1": error_text}
    return {**texts, **dict.fromkeys(theirs, invocations.refusal)}


class Starting:
    """Answers until there is an application to do so."""

    def __init__(self, settings: RestSettings) -> None:
        self._table = RouteTable(settings.prefix)
        for path in ("/health/live", "/v2/health/live"):
            self._table.add(path, Route(GET=constant(b'{"live":true}')))
        for path, refusal in refusals(settings).items():
            self._table.refuse_as(path, refusal)

    async def answer(self, request: Request) -> Response:
        """That the service is alive, to who asks for that; to all others that it is not ready."""
        try:
            answer = self._table.find(request).answers.get(request.method)
        except RouteNotFound:
            answer = None
        if answer is not None:
            return await answer(request)
        error = NotReady("models are being loaded")
        return self._table.refusal(request.path)(error, request)
