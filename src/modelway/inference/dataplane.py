"""The data plane: the one object that every door calls, whatever protocol it speaks.

It asks the router who answers, runs that model where it belongs, names the answer, and tells the
observers on the way out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from modelway.domain.errors import ModelwayError
from modelway.domain.identifiers import new_prediction_id
from modelway.domain.inference import InferenceRequest, InferenceResponse
from modelway.domain.tables import Table
from modelway.inference.execution import Execution
from modelway.inference.loading import LoadedModel
from modelway.inference.ports import Admission, Observer, Router
from modelway.settings import InferenceSettings

Result = TypeVar("Result")

_log = logging.getLogger("modelway.inference")


class DataPlane:
    """Answers inference requests; a door translates and decides nothing.

    Observers are told of every answer and every failure, in order.
    """

    def __init__(
        self,
        router: Router,
        observers: Sequence[Observer] = (),
        admission: Admission | None = None,
        settings: InferenceSettings | None = None,
    ) -> None:
        self.router = router
        self._observers = tuple(observers)
        self._admission = admission
        self._execution = Execution(settings or InferenceSettings())

    def admit(self, endpoint: str, headers: Mapping[str, str]) -> str | None:
        """Who calls; a door asks before it decodes anything. Raises what the admission raises."""
        if self._admission is None:
            return None
        return self._admission.principal(endpoint, headers)

    async def infer(self, request: InferenceRequest) -> InferenceResponse:
        """The answer of the model that the router chooses.

        Raises:
            EndpointNotFound: there is no such endpoint.
            PredictFailed: the model raised.
            OutputInvalid: the model gave something that does not fit.
        """
        started = time.perf_counter()
        try:
            model = self.router.choose(request)
            outputs = await self._execution.run(model, request.table)
        except ModelwayError as error:
            self._failed(request, error, time.perf_counter() - started)
            raise
        response = InferenceResponse(
            endpoint=request.endpoint,
            version=model.version,
            prediction_id=request.prediction_id or new_prediction_id(),
            outputs=outputs,
            n_rows=request.table.n_rows,
            warnings=request.warnings,
            classes=model.manifest.classes,
        )
        if self._observers:
            seconds = time.perf_counter() - started
            for observer in self._observers:
                _tell(lambda told=observer: told.answered(request, response, seconds))  # type: ignore[misc] # bound at once
        return response

    def refused(self, endpoint: str, headers: Mapping[str, str], error: ModelwayError) -> None:
        """Tell the observers of a request that a door could not read.

        They are given a table without rows, and no time: no model was asked.

        Raises:
            EndpointNotFound: there is no such endpoint.
        """
        if self._observers:
            validator = self.live(endpoint).validator
            table = Table(validator.signature, 0, arrays=[r.missing(0) for r in validator.readers])
            self._failed(InferenceRequest(endpoint, table, headers=headers), error, 0.0)

    def _failed(self, request: InferenceRequest, error: ModelwayError, seconds: float) -> None:
        for observer in self._observers:
            _tell(lambda told=observer: told.failed(request, error, seconds))  # type: ignore[misc] # bound at once

    async def aside(self, work: Callable[[], Result]) -> Result:
        """Run ``work`` off the event loop: reading or writing what is large."""
        return await self._execution.aside(work)

    def live(self, endpoint: str) -> LoadedModel:
        """The model whose signature an endpoint's callers follow. Raises EndpointNotFound."""
        return self.router.live(endpoint)

    def close(self) -> bool:
        """Take nothing more and close the models; gives whether none of them runs any more.

        One that still runs, in a thread that nobody can stop, is not waited for, and none is
        closed under it. Calling it twice does no harm.
        """
        ended = self._execution.close()
        if ended:
            for endpoint in self.router.endpoints():
                self.router.live(endpoint).runtime.close()
        return ended


def _tell(told: Callable[[], None]) -> None:
    try:
        told()
    except Exception:  # noqa: BLE001 - an observer's fault must not cost the caller the answer
        _log.exception("an observer failed")
