"""Where a model runs: on the event loop, in a shared pool of threads, or in a thread of its own.

A compiled model answers a few rows in less time than a thread takes to wake, so it runs at once. A
native one may take milliseconds and may not be safe to call twice at a time: it has one thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from modelway.bundles.manifest import Manifest
from modelway.domain.errors import ModelwayError, OutputInvalid, PredictFailed
from modelway.domain.inference import Outputs
from modelway.domain.tables import Array, Table
from modelway.inference.loading import LoadedModel
from modelway.settings import InferenceSettings

Result = TypeVar("Result")


class Execution:
    """Runs models; ``close`` ends the threads."""

    def __init__(self, settings: InferenceSettings) -> None:
        self._inline_rows = settings.inline_rows
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="infer")
        self._own: dict[int, tuple[LoadedModel, ThreadPoolExecutor]] = {}
        self._open: set[Future[Any]] = set()

    async def run(self, model: LoadedModel, table: Table) -> Outputs:
        """The model's outputs for a table; for a table without rows the model is not asked.

        Raises:
            PredictFailed: the model raised.
            OutputInvalid: it gave something that does not fit the table or its classes.
        """
        if table.n_rows == 0:
            return no_rows(model.manifest)
        if model.is_quick and table.n_rows <= self._inline_rows:
            return predict(model, table)
        pool = self._pool if model.is_shared else self._thread_of(model)
        return await self._on(pool, lambda: predict(model, table))

    async def aside(self, work: Callable[[], Result]) -> Result:
        """Run ``work`` on a thread of the pool: reading or writing what is large."""
        return await self._on(self._pool, work)

    def close(self) -> bool:
        """Take nothing more, drop what waits; gives whether nothing runs any more.

        What runs in a thread cannot be stopped and is not waited for. Calling it twice does no
        harm.
        """
        for pool in (self._pool, *(thread for _, thread in self._own.values())):
            pool.shutdown(wait=False, cancel_futures=True)
        return not self._open

    async def _on(self, pool: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
        future = pool.submit(work)
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        return await asyncio.wrap_future(future)

    def _thread_of(self, model: LoadedModel) -> ThreadPoolExecutor:
        # Keyed by identity; keeping the model beside its thread keeps the identity its own.
        found = self._own.get(id(model.runtime))
        if found is None:
            found = (model, ThreadPoolExecutor(1, thread_name_prefix=f"infer-{model.name}"))
            self._own[id(model.runtime)] = found
        return found[1]


def predict(model: LoadedModel, table: Table) -> Outputs:
    """The model's outputs, checked; whatever it raises becomes one of our errors.

    Raises:
        PredictFailed: the model raised.
        OutputInvalid: it gave something that does not fit the table or its classes.
    """
    try:
        outputs = model.runtime.predict(table)
    except ModelwayError:
        raise
    except (Exception, SystemExit) as error:  # a model may raise anything at all
        raise PredictFailed(f"the model {model.name} failed: {error!r}") from error
    check_outputs(outputs, table.n_rows, model)
    return outputs


def check_outputs(outputs: Outputs, n_rows: int, model: LoadedModel) -> None:
    """Do nothing if the outputs are what the manifest promises for this many rows.

    Raises:
        OutputInvalid: they are not.
    """
    manifest = model.manifest
    if not outputs:
        raise OutputInvalid(f"the model {model.name} gave no output")
    if manifest.classes is not None and "class_index" not in outputs:
        raise OutputInvalid(f"the model {model.name} gave no class")
    for name, array in outputs.items():
        per_row = model.signature.is_tabular or name in _PER_ROW
        if per_row and (array.ndim == 0 or len(array) != n_rows):
            raise OutputInvalid(
                f"the model {model.name} gave {name} of shape {array.shape} for {n_rows} rows"
            )
    index = outputs.get("class_index")
    if index is not None:
        n_classes = len(manifest.classes or ())
        # Python's own comparison is the quicker one for the single row.
        first, last = (index[0], index[0]) if n_rows == 1 else (index.min(), index.max())
        if first < 0 or last >= n_classes:
            raise OutputInvalid(f"the model {model.name} gave a class that it does not have")


def no_rows(manifest: Manifest) -> Outputs:
    """The outputs for a table without rows; many models refuse one."""
    if manifest.classes is None:
        return {"prediction": np.empty(0)}
    outputs: dict[str, Array] = {"class_index": np.empty(0, dtype=np.int64)}
    if manifest.probabilities:
        outputs["probabilities"] = np.empty((0, len(manifest.classes)))
    return outputs


_PER_ROW = frozenset(("class_index", "probabilities", "prediction"))
