"""Shadows: versions that see the requests of an endpoint and answer nobody.

The observer keeps what was answered, within bounds, and returns; the newest find no room when there
is too much, and are counted. One task asks the shadows of what has gathered, off the event loop and
after the answers were given; services of others are asked beside it (``remotes.py``). What a shadow
answers is told on under the id of the live answer, so that both stand in the records under one id,
and beside the table that the live version has read, so that what is said of its columns holds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

from modelway.domain.errors import InvalidInput, ModelwayError, PredictFailed, Unavailable
from modelway.domain.inference import InferenceRequest, InferenceResponse, Outputs
from modelway.domain.signature import Scalar, Signature
from modelway.domain.tables import Table
from modelway.endpoints.picking import Picked
from modelway.endpoints.ports import ShadowMeter
from modelway.endpoints.remotes import Asked, OpenRemote, Remotes
from modelway.endpoints.router import EndpointRouter
from modelway.inference.batching import Answer, answers_merged
from modelway.inference.catalogue import Catalogue, Entry
from modelway.inference.execution import ONNX, Execution, merges
from modelway.inference.loading import LoadedModel
from modelway.inference.ports import Answered, Observer

_MOST_ROWS = 20_000
"""So many rows wait for the shadows of a process."""

_ROWS_AT_ONCE = 256

_log = logging.getLogger(__name__)


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
        open_remote: OpenRemote,
    ) -> None:
        self._router = router
        self._catalogue = catalogue
        self._told = told
        self._meter = meter
        self._remotes = Remotes(open_remote, self._tell, meter)
        self._waiting: deque[Asked] = deque()
        self._rows = 0
        self._picks: WeakKeyDictionary[LoadedModel, Picked] = WeakKeyDictionary()
        self._task: asyncio.Task[None] | None = None

    def answered(self, answered: Sequence[Answered]) -> None:
        """Requests were answered, all by one version of one endpoint."""
        endpoint = answered[0][0].endpoint
        if not self._router.has_shadows(endpoint):
            return
        routing = self._router.routing(endpoint)
        if routing is None:
            return
        live = routing.live.version
        for request, response, seconds in answered:
            if response.version == live:
                request.beside = (live, seconds)
        for remote in routing.remotes:
            self._remotes.offer(remote, answered)
        if routing.shadows:
            self._gather(endpoint, answered)

    def _gather(self, endpoint: str, answered: Sequence[Answered]) -> None:
        """Have the versions among the shadows asked, as far as there is room."""
        for request, response, _ in answered:
            if self._rows + request.table.n_rows > _MOST_ROWS:
                self._meter.shadow_shed(endpoint, 1)
                continue
            self._rows += request.table.n_rows
            self._waiting.append((request, response.prediction_id, response.version))
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
        await self._remotes.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                taken = self._take()
                for entry in self._shadows(taken[0][0].endpoint):
                    # Who asked for it by name was answered by it, and its word is recorded.
                    others = [one for one in taken if one[2] != entry.version]
                    if others:
                        await self._ask_or_shed(entry, others)
        finally:
            self._task = None

    async def _ask_or_shed(self, entry: Entry, taken: Sequence[Asked]) -> None:
        try:
            await self._ask(entry, taken)
        except Exception:  # noqa: BLE001 - other shadows and requests are asked all the same
            _log.exception("version %s of %s could not be asked", entry.version, entry.name)
            self._meter.shadow_shed(entry.name, len(taken))

    def _take(self) -> list[Asked]:
        """What waits of one endpoint and signature, a few rows at a time."""
        first = self._waiting[0][0]
        taken: list[Asked] = []
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
        """The shadows of an endpoint, but for those that answer by now: their word is recorded."""
        routing = self._router.routing(endpoint)
        if routing is None:
            return ()
        canaries = () if routing.split is None else routing.split.canaries
        return [one for one in routing.shadows if one not in (routing.live, *canaries)]

    async def _ask(self, entry: Entry, taken: Sequence[Asked]) -> None:
        """Ask a shadow; what raises has told of nothing."""
        model = self._catalogue.at_hand(entry)
        if model is None:
            self._catalogue.reopen(entry)
            self._meter.shadow_shed(entry.name, len(taken))
            return
        try:
            picked = self._picked(taken[0][0].table.signature, model)
        except InvalidInput:  # it was read by another version than the live one, asked for by name
            self._meter.shadow_shed(entry.name, len(taken))
            return
        model.asides += 1
        started = time.monotonic()
        try:
            answers = await _answers(model, [picked.of(request.table) for request, *_ in taken])
        finally:
            model.asides -= 1
        seconds = (time.monotonic() - started) / len(taken)
        # One that is being closed refuses what it was not asked yet.
        seen = [
            (asked, answer)
            for asked, answer in zip(taken, answers, strict=True)
            if not isinstance(answer, Unavailable)
        ]
        self._meter.shadowed(entry.name, len(seen))
        self._meter.shadow_shed(entry.name, len(taken) - len(seen))
        for asked, answer in seen:
            self._tell(asked, answer, seconds, model.version, model.bundle.manifest.classes)

    def _picked(self, read: Signature, model: LoadedModel) -> Picked:
        """What the model takes of a request read by a signature. Raises InvalidInput."""
        found = self._picks.get(model)
        if found is None or found.read is not read:
            found = self._picks[model] = Picked(read, model.bundle.signature)
        return found

    def _tell(
        self,
        asked: Asked,
        answer: Answer,
        seconds: float,
        version: str,
        classes: Sequence[Scalar] | None = None,
    ) -> None:
        """Tell the observers what a shadow has answered, or why it could not."""
        request, prediction_id, _ = asked
        if isinstance(answer, ModelwayError):
            failed = InferenceRequest(
                *(request.endpoint, request.table, prediction_id),
                principal=request.principal,
                beside=request.beside,
                is_shadow=True,
            )
            self._each(lambda observer: observer.failed(failed, answer, seconds, version))
            return
        # A part of a call would bring the call's table along, under the shadow's own names.
        response = InferenceResponse(
            *(request.endpoint, version, prediction_id, dict(answer), request.table.n_rows),
            classes=classes,
        )
        shadowed = replace(request, is_shadow=True)
        self._each(lambda observer: observer.answered([(shadowed, response, seconds)]))

    def _each(self, tell: Callable[[Observer], None]) -> None:
        for observer in self._told:
            try:
                tell(observer)
            except Exception:  # noqa: BLE001 - an observer's fault must not cost the others theirs
                _log.exception("an observer of a shadow failed")
                self._catalogue.meter.observer_failed(type(observer).__name__)


async def _answers(model: LoadedModel, tables: Sequence[Table]) -> Sequence[Answer]:
    """The model's answers to tables, none of them made on the event loop."""
    execution = model.execution
    if model.manifest.runtime != ONNX:
        waiting = [_run(execution, table) for table in tables]
        return [_answer(one) for one in await asyncio.gather(*waiting, return_exceptions=True)]
    if merges(model.manifest, model.bundle.signature):
        return await asyncio.to_thread(answers_merged, tables, execution.predict)
    return await asyncio.to_thread(
        lambda: [answers_merged([table], execution.predict)[0] for table in tables]
    )


async def _run(execution: Execution, table: Table) -> Outputs:
    """Raises only when awaited, as do all that are asked with it."""
    return await execution.run(table)


def _answer(found: Outputs | BaseException) -> Answer:
    if isinstance(found, BaseException) and not isinstance(found, ModelwayError):
        return PredictFailed(f"no answer: {found!r}")
    return found
