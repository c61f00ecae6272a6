"""Shadows: versions that see the requests of an endpoint and answer nobody.

The observer keeps what was answered, within bounds, and returns; the newest find no room when there
is too much, and are counted. One task asks the shadows of what has gathered, off the event loop and
after the answers were given. What a shadow answers is told on under the id of the live answer, so
that both stand in the records under one id.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from modelway.domain.errors import ModelwayError, PredictFailed
from modelway.domain.inference import InferenceRequest, InferenceResponse, Outputs
from modelway.domain.tables import Table
from modelway.endpoints.router import EndpointRouter
from modelway.inference.batching import Answer, answers_merged
from modelway.inference.catalogue import Catalogue, Entry
from modelway.inference.execution import ONNX, merges
from modelway.inference.loading import LoadedModel
from modelway.inference.ports import Answered, Observer

_MOST_ROWS = 20_000
"""So many rows wait for the shadows of a process."""

_ROWS_AT_ONCE = 256

_log = logging.getLogger(__name__)


class ShadowMeter(Protocol):
    """Who counts what shadows are asked; called on the event loop."""

    def shadowed(self, endpoint: str, requests: int) -> None:
        """So many requests were given to a shadow."""
        ...

    def shadow_shed(self, endpoint: str, requests: int) -> None:
        """So many requests found no room, or no shadow that was open."""
        ...


class Shadowing:
    """Asks the shadows of every endpoint; an observer, used by one event loop.

    ``told`` are the observers that are told what shadows answer.
    """

    def __init__(
        self,
        router: EndpointRouter,
        catalogue: Catalogue,
        told: Sequence[Observer],
        meter: ShadowMeter,
    ) -> None:
        self._router = router
        self._catalogue = catalogue
        self._told = told
        self._meter = meter
        self._waiting: deque[tuple[InferenceRequest, str]] = deque()
        self._rows = 0
        self._task: asyncio.Task[None] | None = None

    def answered(self, answered: Sequence[Answered]) -> None:
        """Requests were answered, all by one version of one endpoint."""
        endpoint = answered[0][0].endpoint
        if not self._router.has_shadows(endpoint):
            return
        for request, response, _ in answered:
            if self._rows + request.table.n_rows > _MOST_ROWS:
                self._meter.shadow_shed(endpoint, 1)
                continue
            self._rows += request.table.n_rows
            self._waiting.append((request, response.prediction_id))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._ask_all())

    def failed(
        self,
        request: InferenceRequest,
        error: ModelwayError,
        seconds: float,
        version: str | None = None,
    ) -> None:
        """A request could not be answered; no shadow is asked what the live version cannot."""

    async def close(self) -> None:
        """Ask no more; what waits is dropped. Twice does no harm."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                taken = self._take()
                for entry in self._shadows(taken[0][0].endpoint):
                    await self._ask(entry, taken)
        except Exception:  # noqa: BLE001 - whatever it is, the next requests are given to shadows
            _log.exception("shadows could not be asked")
        finally:
            self._task = None

    def _take(self) -> list[tuple[InferenceRequest, str]]:
        """What waits of one endpoint and signature, a few rows at a time."""
        first = self._waiting[0][0]
        taken: list[tuple[InferenceRequest, str]] = []
        rows = 0
        while self._waiting and (not taken or rows < _ROWS_AT_ONCE):
            request = self._waiting[0][0]
            if (
                request.endpoint != first.endpoint
                or request.table.signature is not first.table.signature
            ):
                break
            rows += request.table.n_rows
            taken.append(self._waiting.popleft())
        self._rows -= rows
        return taken

    def _shadows(self, endpoint: str) -> Sequence[Entry]:
        routing = self._router.routing(endpoint)
        return () if routing is None else routing.shadows

    async def _ask(self, entry: Entry, taken: Sequence[tuple[InferenceRequest, str]]) -> None:
        model = self._catalogue.at_hand(entry)
        if model is None:
            self._catalogue.reopen(entry)
            self._meter.shadow_shed(entry.name, len(taken))
            return
        model.asides += 1
        started = time.monotonic()
        try:
            answers = await _answers(model, [request.table for request, _ in taken])
        finally:
            model.asides -= 1
        seconds = (time.monotonic() - started) / len(taken)
        self._meter.shadowed(entry.name, len(taken))
        for (request, prediction_id), answer in zip(taken, answers, strict=True):
            if isinstance(answer, ModelwayError):
                self._tell_failed(request, prediction_id, answer, seconds, model)
            else:
                response = InferenceResponse(
                    request.endpoint,
                    model.version,
                    prediction_id,
                    answer,
                    request.table.n_rows,
                    (),
                    model.bundle.manifest.classes,
                )
                self._tell([(request, response, seconds)])

    def _tell(self, answered: Sequence[Answered]) -> None:
        for observer in self._told:
            observer.answered(answered)

    def _tell_failed(
        self,
        request: InferenceRequest,
        prediction_id: str,
        error: ModelwayError,
        seconds: float,
        model: LoadedModel,
    ) -> None:
        failed = InferenceRequest(
            request.endpoint, request.table, prediction_id, principal=request.principal
        )
        for observer in self._told:
            observer.failed(failed, error, seconds, model.version)


async def _answers(model: LoadedModel, tables: Sequence[Table]) -> Sequence[Answer]:
    """The model's answers to tables, none of them made on the event loop."""
    execution = model.execution
    if model.manifest.runtime != ONNX:
        waiting = [execution.run(table) for table in tables]
        return [_answer(one) for one in await asyncio.gather(*waiting, return_exceptions=True)]
    if merges(model.manifest, model.bundle.signature):
        return await asyncio.to_thread(answers_merged, tables, execution.predict)
    return await asyncio.to_thread(
        lambda: [answers_merged([table], execution.predict)[0] for table in tables]
    )


def _answer(found: Outputs | BaseException) -> Answer:
    if isinstance(found, BaseException) and not isinstance(found, ModelwayError):
        return PredictFailed(f"no answer: {found!r}")
    return found
