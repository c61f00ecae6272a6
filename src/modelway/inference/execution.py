"""Where a model's requests are answered: at once on the event loop, or by runners from a queue.

A compiled model answers a few rows in less time than a thread takes to wake, so it answers inline
as long as its learned cost says so: alone, or together with what else the same turn of the loop has
brought. Everything else waits in the model's own queue and is taken by
a runner as soon as one is idle, together with whatever waits beside it; nothing waits for company
unless ``inference.batch_wait_s`` says so. The more there is to do, the larger the batches.

All of it happens on one event loop; a runner gets a batch and gives its answers, and shares nothing
else. Work that has begun is never stopped: when nobody waits for its answer any more, the answer is
dropped.

Source: Crankshaw et al., "Clipper: A Low-Latency Online Prediction Serving System", NSDI 2017, 4.3.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import numpy as np

from modelway.bundles.manifest import Manifest
from modelway.bundles.ports import Runtime
from modelway.domain.errors import DeadlineExceeded, PredictFailed, Unavailable
from modelway.domain.inference import Outputs
from modelway.domain.signature import Signature
from modelway.domain.tables import Table
from modelway.inference.batching import (
    Answer,
    Batch,
    Bounds,
    Measure,
    Pending,
    Waiting,
    answers_merged,
)
from modelway.inference.checked import CheckedRuntime, no_rows
from modelway.inference.cost import Cost
from modelway.inference.gathering import Gathering
from modelway.inference.ports import Watch
from modelway.inference.runners import Runners
from modelway.inference.samples import sample_table
from modelway.inference.sampling import Sampled
from modelway.inference.soon import settle
from modelway.settings import InferenceSettings

ONNX: Final = "onnx"
"""The runtime that may be called by several threads at a time and runs no Python of others."""

GATHERED_S: Final = 0.002
"""How much work goes to a runner at once where every request is asked for itself."""

_WARM_ROWS = (1, 64)
_PAYS: Final = 10
_LEAST_UNITS: Final = 64
_TRIED: Final = (8, 4)
"""Every so many batches one may be so many times as large, to see whether that pays after all."""

_TICK_S: Final = 0.01
_FINE_S: Final = 1e-6


_Future = asyncio.Future[Outputs]
_Request = Pending[_Future]
_Batch = Batch[_Future]


class Execution:
    """Runs one opened model, and closes it; a table ``divides`` whose rows may be asked apart.

    ``runtime`` may be called by as many threads at a time as the model has runners. ``watch``, once
    there is one, is told of the batches.
    """

    def __init__(
        self,
        name: str,
        runtime: Runtime,
        manifest: Manifest,
        signature: Signature,
        settings: InferenceSettings,
    ) -> None:
        self.cost = Cost()
        self._name = name
        self._runtime = CheckedRuntime(name, runtime, manifest, signature)
        self._predict = self._runtime.predict
        self._manifest = manifest
        self._signature = signature
        self._settings = settings
        self._patience_s = settings.deadline_s
        self.watch: Watch | None = None
        self._is_onnx = manifest.runtime == ONNX
        self._is_tabular = signature.is_tabular
        self._merges = merges(manifest, signature)
        # A row's bits are those it has alone, so nobody can tell who else came in its turn.
        self.divides = self._merges and manifest.batch_invariant
        self._gathers = self._is_onnx and self.divides
        self._gathering = Gathering(self._gathered)
        # What waits for a core counts against the core, not the graph.
        self._clock = _core_clock() if self._is_onnx else time.perf_counter
        self._measure = Measure(signature)
        self._inline_units = 0
        self._sampled = Sampled(self._predict, self._clock, self._took)
        self._n_batches = 0
        self._waiting: Waiting[_Future] = Waiting(name, settings.queue_requests)
        self._running: set[_Batch] = set()
        self._runners = Runners(name, settings.threads if self._is_onnx else settings.runners)
        self._release_at: asyncio.Handle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether a request waits or is being answered."""
        return bool(self._running) or len(self._waiting) > 0 or self._gathering.busy

    def n_bytes(self, table: Table) -> int:
        """About how many bytes the values of a table take."""
        return self._measure.n_bytes(table)

    @property
    def waiting(self) -> int:
        """How many requests wait for a runner."""
        return len(self._waiting)

    @property
    def runners(self) -> int:
        """How many calls of the model may run at a time."""
        return self._runners.most

    @property
    def running(self) -> int:
        """How many calls of the model run now."""
        return len(self._running)

    def warm_up(self) -> None:
        """Ask the model a sample row, and measure what it costs; blocks, before the first ``run``.

        Raises:
            PredictFailed, InputRefused, OutputInvalid: the model cannot answer it.
        """
        sample = sample_table(self._signature)
        self._predict(sample)  # the first call of any library is a slow one
        if not self._is_onnx:
            return
        sizes = _WARM_ROWS if self._is_tabular else (sample.n_rows,)
        for n_rows in sizes:
            rows = sample.rows(np.zeros(n_rows, np.intp)) if self._is_tabular else sample
            self._sampled.measured(rows)

    def predict(self, table: Table) -> Outputs:
        """The model's outputs for a table, here and now; for callers without an event loop.

        Raises:
            PredictFailed, InputRefused, OutputInvalid: as ``run``.
        """
        if table.n_rows == 0 and self._is_tabular:
            return no_rows(self._manifest)
        return self._predict(table)

    def run(self, table: Table, deadline: float | None = None) -> Awaitable[Outputs]:
        """The model's outputs for a table; for a table without rows the model is not asked.

        What it gives is awaited once, and at once. ``deadline`` is a time of ``time.monotonic``.
        Cancelling it takes the request out of the queue.

        Raises:
            PredictFailed, ModelCrashed: the model raised, or its process died.
            InputRefused: it refuses the values.
            OutputInvalid: it gave something that does not fit the table or its classes.
            QueueFull: too many requests wait.
            DeadlineExceeded: the deadline passed; the work is dropped if it had not begun.
            Unavailable: the model is being closed.
        """
        if self._closed:
            raise Unavailable(f"the model {self._name} is being closed")
        units = table.n_rows if self._is_tabular else self._measure.units(table)
        if deadline is not None and time.monotonic() >= deadline:
            raise self._late()
        if 0 < units <= self._inline_units:
            if self._gathers and not table.parameters:
                return self._gathering.add(table, units, self._inline_units)
            outputs = self._sampled(table)
            if self.watch is not None:
                self.watch.batch(table.n_rows, 1, self.cost.seconds(units))
            return _there(outputs)
        if units == 0 and self._is_tabular:
            return _there(no_rows(self._manifest))
        return self._queued(table, units, deadline)

    @property
    def gathers(self) -> bool:
        """Whether rows of several requests are answered at once here, by one call."""
        return self._gathers and self._inline_units > 0 and not self._closed

    @property
    def most_together(self) -> int:
        """How many rows cost no more than may be spent at once, at least one."""
        return max(1, self._inline_units)

    def together(self, tables: Sequence[Table]) -> Sequence[Answer]:
        """The answers to tables here and now, from one call, where it ``gathers``."""
        return self._gathered(tables) if tables else ()

    def abandon(self) -> bool:
        """Take nothing more and drop what waits; gives whether the model is closed.

        It is not where it still runs, in a thread that nobody can stop. Twice does no harm.
        """
        self._stop()
        if self._running:
            return False
        self._runtime.close()
        return True

    async def close(self) -> None:
        """Take nothing more, drop what waits, wait for what runs, and close the model.

        Twice does no harm.
        """
        self._stop()
        while self._running:
            await asyncio.sleep(_TICK_S)
        await asyncio.to_thread(self._runtime.close)

    def _stop(self) -> None:
        self._closed = True
        self._gathering.flush()
        for one in list(self._waiting):
            self._waiting.drop(one)
            settle(one.future, Unavailable(f"the model {self._name} is being closed"))
        self._runners.close()

    def _gathered(self, tables: Sequence[Table]) -> Sequence[Answer]:
        """The answers to what came in one turn of the loop."""
        answers = answers_merged(tables, self._sampled)
        if self.watch is not None:
            rows = sum([one.n_rows for one in tables])
            # What a call costs is measured now and then only.
            self.watch.batch(rows, len(tables), self.cost.seconds(rows))
        return answers

    def _took(self, table: Table, seconds: float) -> bool:
        self._learn(self._measure.units(table), seconds)
        return self.cost.surprises > 0

    def _learn(self, units: int, seconds: float) -> None:
        self.cost.learn(units, seconds)
        if self._is_onnx:
            self._inline_units = self.cost.most_units(self._settings.inline_s)

    async def _queued(
        self,
        table: Table,
        units: int,
        deadline: float | None,
    ) -> Outputs:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._follow(loop)
        # What is asked for itself anyway goes with anything.
        key = self._measure.key(table) if self._merges else ()
        pending = _Request(
            table,
            key,
            loop.create_future(),
            time.perf_counter(),
            units,
            self._measure.n_bytes(table),
        )
        self._waiting.add(pending)
        left_s = self._patience_s if deadline is None else deadline - time.monotonic()
        timer = loop.call_later(left_s, self._expire, pending)
        self._release_soon(loop)
        try:
            return await pending.future
        finally:
            timer.cancel()
            self._waiting.drop(pending)
            if not len(self._waiting) and self._release_at is not None:
                self._release_at.cancel()
                self._release_at = None

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """Work for this loop from now on; of what the last one left behind nobody is told."""
        self._loop, self._release_at = loop, None
        for batch in list(self._running):
            if batch.is_answered:
                self._running.discard(batch)

    def _late(self) -> DeadlineExceeded:
        return DeadlineExceeded(f"the model {self._name} did not answer in time")

    def _expire(self, pending: _Request) -> None:
        self._waiting.drop(pending)
        settle(pending.future, self._late())

    def _release_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Release in the next turn of the loop, so that whoever comes in this one goes along."""
        if len(self._running) >= self._runners.most:
            return
        if self._release_at is not None:
            if not self._settings.batch_wait_s or not self._waiting.is_full(self._bounds()):
                return
            self._release_at.cancel()
        self._release_at = loop.call_soon(self._release)

    def _release(self) -> None:
        """Give batches to runners that are idle."""
        self._release_at = None
        loop = asyncio.get_running_loop()
        while not self._closed and len(self._running) < self._runners.most:
            bounds = self._bounds()
            oldest = self._waiting.oldest()
            if oldest is None:
                return
            left = oldest.arrived + self._settings.batch_wait_s - time.perf_counter()
            if self._merges and left > 0 and not self._waiting.is_full(bounds):
                self._release_at = loop.call_later(left, self._release)
                return
            batch = _Batch(self._waiting.take(bounds))
            self._n_batches += 1
            self._runners.start(partial(self._answer, batch, loop), len(self._running))
            self._running.add(batch)
            if self.watch is not None:
                now = time.perf_counter()
                for one in batch.requests:
                    self.watch.queued(now - one.arrived)

    def _bounds(self) -> Bounds:
        oldest = self._waiting.oldest()
        if self._merges:
            return _merged_bounds(self._settings, self.cost, self._n_batches)
        return _single_bounds(self._settings, self.cost, None if oldest is None else oldest.units)

    def _answer(self, batch: _Batch, loop: asyncio.AbstractEventLoop) -> None:
        """Answer the batch; on a runner's thread."""
        started = time.perf_counter()
        try:
            batch.answer(self._predict, self._clock, merged=self._merges)
        except BaseException as error:  # noqa: BLE001 - a thread that ended would answer nobody
            batch.fail(PredictFailed(f"the model {self._name} failed: {error!r}"))
        try:
            busy_s = time.perf_counter() - started
            loop.call_soon_threadsafe(self._answered, batch, busy_s)
        except RuntimeError:
            # The loop has ended, and with it everybody who waited; there may be another by now.
            self._running.discard(batch)
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._release)

    def _answered(self, batch: _Batch, busy_s: float) -> None:
        """Hand out the batch's answers, after the runner has its next batch."""
        self._running.discard(batch)
        for took in batch.took:
            self._learn(*took)
        if self._release_at is None:
            self._release()
        for one, answer in zip(batch.requests, batch.answers, strict=True):
            if answer is not None:
                settle(one.future, answer)
        if self.watch is not None:
            rows = sum(one.table.n_rows for one in batch.requests)
            self.watch.batch(rows, len(batch.requests), busy_s)


def _merged_bounds(settings: InferenceSettings, cost: Cost, n_batches: int) -> Bounds:
    """How much is given to the model in one call, by what its calls cost.

    Merging saves the fixed part of a call. Where that is a small part of a batch, a larger one
    would only have its first request wait for its last. But that is judged by batches of the past,
    and so larger ones are tried.
    """
    units = settings.batch_rows
    if cost.unit_s > 0.0:
        pays = max(_LEAST_UNITS, _PAYS * cost.fixed_s / cost.unit_s)
        every, times = _TRIED
        if n_batches % every == every - 1:
            pays *= times
        units = int(min(units, pays))
    return Bounds(settings.queue_requests, units, settings.batch_bytes)


def _single_bounds(settings: InferenceSettings, cost: Cost, oldest_units: int | None) -> Bounds:
    """How much goes to a runner at once where every request is asked for itself."""
    requests = 1
    if oldest_units is not None and cost.is_known:
        each = cost.seconds(oldest_units)
        requests = max(1, min(settings.queue_requests, int(GATHERED_S / max(each, 1e-6))))
    return Bounds(requests, cost.most_units(GATHERED_S), settings.batch_bytes)


async def _there(outputs: Outputs) -> Outputs:
    """Outputs that nobody has to wait for."""
    return outputs


def merges(manifest: Manifest, signature: Signature) -> bool:
    """Whether rows of several requests may be given to the model in one call.

    They may where the gate has proven the compiled model equal in batches of several sizes, or the
    build has measured that a row is answered alike alone and among others. Tensors never are: what
    their first axis means is the model's own affair.
    """
    return signature.is_tabular and (manifest.is_compiled or manifest.row_wise)


def _core_clock() -> Callable[[], float]:
    """The time a thread had a core, where the system has a clock for it that is fine enough."""
    is_fine = time.get_clock_info("thread_time").resolution < _FINE_S
    return time.thread_time if is_fine else time.perf_counter
