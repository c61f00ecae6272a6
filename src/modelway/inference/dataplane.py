"""The data plane: the one object that every door calls, whatever protocol it speaks.

A door asks for the model whose signature its caller follows (``opened``), reads the request by that
model's decoder, and hands both over (``infer``): the router says who answers, the model runs where
it belongs, the answer is named, and the observers are told on the way out.

A model may be replaced between two steps of a request. What was read by the old one is answered by
the old one: it is kept open while anybody reads for it on a thread (``aside``) or waits for it.
Between those steps a door must not wait for anything else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import compress
from typing import Any, TypeVar

from modelway.domain.errors import ModelwayError, QueueFull
from modelway.domain.identifiers import new_prediction_id
from modelway.domain.inference import InferenceRequest, InferenceResponse, Outputs
from modelway.domain.tables import Table
from modelway.inference.catalogue import Catalogue
from modelway.inference.deadlines import in_time
from modelway.inference.in_parts import run_in_parts
from modelway.inference.loading import LoadedModel
from modelway.inference.own_ids import OwnIds, inputs_hash
from modelway.inference.ports import Admission, Answered, Observer, Router
from modelway.settings import InferenceSettings

_HASHED_HERE_BYTES = 256 * 1024
"""Larger inputs are hashed on a thread, as this takes a quarter of a millisecond."""

Result = TypeVar("Result")

_log = logging.getLogger("modelway.inference")


class DataPlane:
    """Answers inference requests; a door translates and decides nothing.

    Observers are told of every answer and every failure, in order.
    """

    def __init__(
        self,
        router: Router,
        catalogue: Catalogue,
        observers: Sequence[Observer] = (),
        admission: Admission | None = None,
        settings: InferenceSettings | None = None,
        own_ids: OwnIds | None = None,
    ) -> None:
        self.router = router
        self.catalogue = catalogue
        self._observers = tuple(observers)
        self._admission = admission
        self._own_ids = own_ids
        settings = settings or InferenceSettings()
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="aside")
        self._open: set[Future[Any]] = set()
        self._most_open = settings.queue_requests
        self._patience_s = settings.deadline_s

    def admit(self, endpoint: str, headers: Mapping[str, str]) -> str | None:
        """Who calls; a door asks before it decodes anything. Raises what the admission raises."""
        if self._admission is None:
            return None
        return self._admission.principal(endpoint, headers)

    def at_hand(self, endpoint: str, version: str | None = None) -> LoadedModel | None:
        """The model whose signature the caller follows, if it is open.

        Raises:
            EndpointNotFound, VersionNotFound: there is no such one.
        """
        return self.catalogue.at_hand(self.router.live(endpoint, version))

    async def opened(
        self, endpoint: str, version: str | None = None, deadline: float | None = None
    ) -> LoadedModel:
        """The model whose signature the caller follows, opened first if it is not.

        Raises:
            EndpointNotFound, VersionNotFound: there is no such one.
            DeadlineExceeded: it was not open by ``deadline``; it is opened all the same.
            ModelwayError: it cannot be opened.
        """
        entry = self.router.live(endpoint, version)
        model = self.catalogue.at_hand(entry)
        if model is not None:
            return model
        opening = self.catalogue.opened(entry)
        return await in_time(opening, self._until(deadline), "opening the model")

    async def infer(self, request: InferenceRequest, live: LoadedModel) -> InferenceResponse:
        """The answer of the model that the router chooses, to a request read by that of ``live``.

        Raises:
            PredictFailed: the model raised.
            OutputInvalid: the model gave something that does not fit.
            InputRefused: the model refused the values.
            QueueFull: too many requests wait for it.
            DeadlineExceeded: the request's time was over before its answer.
            IdempotencyMismatch: the caller brought its id before, with other inputs.
        """
        started = time.monotonic()
        if request.has_own_id:
            await self.know(request, live)
        model = self.router.choose(request, live)
        try:
            outputs = await _outputs(model, request)
        except ModelwayError as error:
            self._failed(request, error, time.monotonic() - started, model.version)
            raise
        response = _response(request, model, outputs)
        self._answered([(request, response, time.monotonic() - started)])
        return response

    def infer_together(
        self, requests: Sequence[InferenceRequest], live: LoadedModel
    ) -> list[InferenceResponse | None]:
        """The answers to requests that were read by ``live``, from one call of it.

        None is for a request that is to be asked alone (``infer``), and of which nobody was told:
        another model answers it, or it could not be answered with the others.
        """
        started = time.monotonic()
        mine = [self._is_mine(request, live) for request in requests]
        tables = [request.table for request in compress(requests, mine)]
        answers = iter(live.execution.together(tables))
        seconds = time.monotonic() - started
        responses: list[InferenceResponse | None] = []
        answered: list[Answered] = []
        for request, is_mine in zip(requests, mine, strict=True):
            outputs = next(answers) if is_mine else None
            if outputs is None or isinstance(outputs, ModelwayError):
                responses.append(None)
                continue
            response = _response(request, live, outputs)
            responses.append(response)
            answered.append((request, response, seconds))
        if answered:
            self._answered(answered)
        return responses

    def refused(
        self,
        endpoint: str,
        headers: Mapping[str, str],
        error: ModelwayError,
        prediction_id: str | None = None,
        principal: str | None = None,
    ) -> None:
        """Tell the observers of a request that a door could not read.

        They are given a table without rows, and no time: no model was asked. The id is the one by
        which its caller knows it, None where that may be another's; ``principal`` who calls, as far
        as that is known.

        Raises:
            EndpointNotFound: there is no such endpoint.
        """
        if self._observers:
            signature = self.router.live(endpoint).bundle.signature
            table = Table(signature, 0, arrays=())
            request = InferenceRequest(
                endpoint, table, prediction_id, principal=principal, headers=headers
            )
            self._failed(request, error, 0.0, None)

    async def aside(
        self,
        work: Callable[[], Result],
        model: LoadedModel | None = None,
        deadline: float | None = None,
    ) -> Result:
        """Run ``work`` off the event loop: reading or writing what is large.

        While its caller waits for what it reads for ``model``, that one is not closed.

        Raises:
            QueueFull: so much is to be read that it waits already.
            DeadlineExceeded: it was not done by ``deadline``; it is dropped if it had not begun.
        """
        if model is not None and len(self._open) >= self._most_open:
            raise QueueFull(f"{len(self._open)} bodies wait to be read already")
        if model is not None:
            model.asides += 1
        try:
            future = self._pool.submit(work)
            self._open.add(future)
            future.add_done_callback(self._open.discard)
            what = "writing the answer" if model is None else "reading the request"
            return await in_time(asyncio.wrap_future(future), self._until(deadline), what)
        finally:
            if model is not None:
                model.asides -= 1

    def close(self) -> bool:
        """Take nothing more, drop what waits; gives whether nothing runs any more.

        What runs in a thread that nobody can stop is not waited for. Twice does no harm.
        """
        self._pool.shutdown(wait=False, cancel_futures=True)
        return self.catalogue.abandon() and not self._open

    def _until(self, deadline: float | None) -> float:
        """When an answer is of no more use: what its caller says, or as the settings have it."""
        return time.monotonic() + self._patience_s if deadline is None else deadline

    async def know(self, request: InferenceRequest, live: LoadedModel) -> None:
        """Know the id that a caller brought with what ``live`` has read; ``infer`` does.

        Raises:
            IdempotencyMismatch: it was brought before, with other inputs.
        """
        ids, table, endpoint = self._own_ids, request.table, request.endpoint
        if ids is None:
            return
        try:
            if live.execution.n_bytes(table) < _HASHED_HERE_BYTES:
                inputs = inputs_hash(table)
            else:
                hashed = partial(inputs_hash, table)
                inputs = await self.aside(hashed, live, request.deadline)
            ids.check(endpoint, request.prediction_id or "", inputs)
        except ModelwayError as error:
            # Under the id itself another prediction may be recorded.
            self.refused(endpoint, request.headers, error, None, request.principal)
            raise

    def _is_mine(self, request: InferenceRequest, live: LoadedModel) -> bool:
        """Whether ``live`` is who answers; an error of the router's is not for here."""
        try:
            return self.router.choose(request, live) is live
        except ModelwayError:
            return False

    def _answered(self, answered: Sequence[Answered]) -> None:
        for observer in self._observers:
            try:
                observer.answered(answered)
            except Exception:  # noqa: BLE001 - an observer's fault must not cost the answer
                self._observer_failed(observer)

    def _failed(
        self, request: InferenceRequest, error: ModelwayError, seconds: float, version: str | None
    ) -> None:
        for observer in self._observers:
            try:
                observer.failed(request, error, seconds, version)
            except Exception:  # noqa: BLE001 - an observer's fault must not cost the refusal
                self._observer_failed(observer)

    def _observer_failed(self, observer: Observer) -> None:
        _log.exception("an observer failed")
        self.catalogue.meter.observer_failed(type(observer).__name__)


def _outputs(model: LoadedModel, request: InferenceRequest) -> Awaitable[Outputs]:
    if request.progress is None:
        return model.execution.run(request.table, request.deadline)
    return run_in_parts(model.execution, request.table, request.deadline, request.progress)


def _response(request: InferenceRequest, model: LoadedModel, outputs: Outputs) -> InferenceResponse:
    return InferenceResponse(
        request.endpoint,
        model.version,
        request.prediction_id or new_prediction_id(),
        outputs,
        request.table.n_rows,
        request.warnings,
        model.bundle.manifest.classes,
    )
