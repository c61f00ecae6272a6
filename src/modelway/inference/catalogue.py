"""The catalogue: every version of every model that may answer, and which of them are open.

An entry is known by its bundle's manifest and signature alone, so a service can describe hundreds
of models and hold a few. One is opened when it is first asked, on a thread, while all others go on
answering; those not asked for longest are closed where the open ones would take more memory than
they may. What somebody still reads for or waits for is never closed under them.

How much a model takes is what the process grew by while it was opened, at least the size of its
file: no library says it better. So where that is bounded, one is opened after the other; else ONNX
graphs, and what runs in processes of its own, are opened side by side.

What runs code of others may have to run apart, in processes of its own. Where that changes while it
is open it is opened there too, and answers where it was until it is.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any

from modelway.bundles.store import Bundle
from modelway.domain.errors import EndpointNotFound, ModelwayError, OutOfMemory, VersionNotFound
from modelway.inference.execution import ONNX
from modelway.inference.loading import LoadedModel, served_signature
from modelway.inference.ports import Meter
from modelway.settings import InferenceSettings

Load = Callable[[str, str, Path, bool], LoadedModel]
"""Opens the bundle of a folder under a name and a version, apart or not; blocks, raises what
opening raises."""

_DRAIN_TICK_S = 0.02
_LONGEST_DRAIN_S = 10.0
"""How long a model that must make room is waited for."""

_REOPENED_S = 5.0
"""So long a model that could not be opened is left alone, unless somebody waits for it."""

_log = logging.getLogger("modelway.inference")


class Entry:
    """One version of one model: described always, open (``model``) or not.

    ``version`` is the registry's number, or the digest for what was never registered;
    ``registered`` is what the registry calls the model, empty for that.
    ``signature`` is what callers follow, ``strict`` or not. ``used`` grows with every request, so
    the smallest was asked longest ago. ``fault`` is why it could not be opened the last time that
    was tried, and ``failed_s`` when that was, by ``time.monotonic``. ``wanted`` counts who waits
    for it to be open; ``gone`` is an entry that nobody may ask any more. ``apart`` is where it is
    to run: what is opened from then on does.
    """

    __slots__ = (
        *("apart", "bundle", "failed_s", "fault", "gone", "held_bytes", "model", "name"),
        *("opening", "pinned", "placing", "registered", "signature", "strict", "used", "version"),
        "wanted",
    )

    def __init__(
        self, name: str, version: str, bundle: Bundle, *, strict: bool, pinned: bool
    ) -> None:
        self.name = name
        self.version = version
        self.bundle = bundle
        self.strict = strict
        self.signature = served_signature(bundle, strict=strict)
        self.pinned = pinned
        self.registered = ""
        self.model: LoadedModel | None = None
        self.used = 0
        self.wanted = 0
        self.gone = False
        self.apart = False
        self.held_bytes = 0
        self.fault: ModelwayError | None = None
        self.failed_s = -math.inf
        self.opening: asyncio.Future[LoadedModel] | None = None
        self.placing = asyncio.Lock()

    @property
    def state(self) -> str:
        """``ready``, ``loading``, ``failed`` or ``unloaded``."""
        if self.model is not None:
            return "ready"
        if self.opening is not None:
            return "loading"
        return "unloaded" if self.fault is None else "failed"

    @property
    def busy(self) -> bool:
        """Whether somebody needs its model open, or is about to."""
        return self.wanted > 0 or (self.model is not None and self.model.busy)


class Catalogue:
    """What may answer; everything but ``load`` happens on the event loop."""

    def __init__(self, load: Load, meter: Meter, settings: InferenceSettings) -> None:
        self._load = load
        self.meter = meter
        self._strict = settings.strict
        self._memory_bytes = settings.memory_bytes
        self._pinned = settings.pinned_names
        # Elsewhere there are no processes to run in, or nothing runs outside of them.
        self._in_processes = settings.isolation == "process"
        self._may_move = settings.isolation == "thread" and sys.platform != "win32"
        self._entries: dict[str, dict[str, Entry]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._loading = self._n_loads = 0
        self._retiring: set[asyncio.Task[None]] = set()
        self._reopening: set[asyncio.Task[Any]] = set()
        self._clock = 0

    def __iter__(self) -> Iterator[Entry]:
        """Every entry, model by model in the order they were added."""
        return (entry for versions in self._entries.values() for entry in versions.values())

    def add(self, name: str, bundle: Bundle, version: str | None = None) -> Entry:
        """Know a bundle under a name, as its newest version; the same one twice is one entry.

        Without a ``version`` it is called after its digest, and so is, until it is ``called``, one
        whose number another bundle has here: two models may each have a version 1.
        """
        version = version or bundle.digest
        versions = self._entries.setdefault(name, {})
        if version in versions and versions[version].bundle.digest != bundle.digest:
            version = bundle.digest
        entry = versions.pop(version, None)
        if entry is None:
            pinned = name in self._pinned
            entry = Entry(name, version, bundle, strict=self._strict, pinned=pinned)
        versions[version] = entry
        return entry

    def called(self, name: str, versions: Mapping[Entry, str]) -> None:
        """Call entries of a model by these versions from now on.

        Another that was called so is called after its digest; it is known no more where another
        entry of its bundle is called so.
        """
        now = {version: entry for entry, version in versions.items()}
        for entry in self.versions(name):
            if entry in versions:
                continue
            version = entry.bundle.digest if entry.version in now else entry.version
            if version in now:
                self.forget(entry)
            else:
                now[version] = entry
        called = {entry: version for version, entry in now.items()}
        others = [one for one in self.versions(name) if one.version != called[one]]
        if not others:
            return
        before = [one.version for one in others if one.model is not None]
        self._entries[name] = {called[one]: one for one in self.versions(name)}
        for entry in others:
            entry.version = called[entry]
            if entry.model is not None:
                self._name(entry.model, entry)
        held = {one.version: one.held_bytes for one in others if one.model is not None}
        self.meter.renamed(name, before, held)

    def versions(self, name: str) -> list[Entry]:
        """The entries of a model, the newest last. Raises EndpointNotFound."""
        found = self._entries.get(name)
        if found is None:
            raise EndpointNotFound(name[:128], list(self._entries))
        return list(found.values())

    def version(self, name: str, version: str) -> Entry:
        """One entry. Raises EndpointNotFound, VersionNotFound."""
        versions = self._entries.get(name)
        if versions is None:
            raise EndpointNotFound(name[:128], list(self._entries))
        if version not in versions:
            raise VersionNotFound(name, version, list(versions))
        return versions[version]

    def at_hand(self, entry: Entry) -> LoadedModel | None:
        """The entry's model if it is open, which counts as used by that."""
        self._clock += 1
        entry.used = self._clock
        return entry.model

    async def opened(self, entry: Entry) -> LoadedModel:
        """The entry's model, opened first if it is not.

        Raises:
            OutOfMemory: it does not fit beside what may not be closed.
            ModelwayError: it cannot be opened.
        """
        model = self.at_hand(entry)
        if model is not None:
            return model
        if entry.opening is None:
            task = asyncio.ensure_future(self._open(entry))
            entry.opening = task
            task.add_done_callback(lambda _: setattr(entry, "opening", None))
        entry.wanted += 1
        try:
            # A caller who leaves does not end it for the others.
            return await asyncio.shield(entry.opening)
        finally:
            entry.wanted -= 1
            self.at_hand(entry)

    def reopen(self, entry: Entry) -> None:
        """Begin to open the entry's model, without waiting for it; why it fails is its fault.

        One that failed a moment ago is left alone.
        """
        if entry.opening is None and time.monotonic() - entry.failed_s > _REOPENED_S:
            task = asyncio.ensure_future(self.opened(entry))
            self._reopening.add(task)
            task.add_done_callback(self._reopened)

    async def placed(self, entry: Entry) -> None:
        """Have the entry's model, if it is open, run apart or not, as it is to.

        It answers where it was until it is open there too.

        Raises:
            ModelwayError: it cannot be opened there, and answers where it was.
        """
        async with entry.placing, self._turn(entry):
            before = entry.model
            if before is None or not self._is_misplaced(entry, before):
                return
            model, grown = await self._tried(entry)
            if entry.model is not before:  # it was closed meanwhile
                await model.execution.close()
                return
            self.meter.unloaded(entry.name, entry.version)
            self._hold(entry, model, grown)
        self._in_time(self._drained(entry, before))

    def place(self, entry: Entry) -> None:
        """Begin to have the entry's model run where it is to; why it cannot is its fault."""
        if entry.model is not None and self._is_misplaced(entry, entry.model):
            task = asyncio.ensure_future(self.placed(entry))
            self._reopening.add(task)
            task.add_done_callback(self._reopened)

    async def close(self, entry: Entry) -> None:
        """Close the entry's model once nobody needs it; it stays known. Twice does no harm."""
        model, entry.model = entry.model, None
        if model is None:
            return
        entry.held_bytes = 0
        await self._drained(entry, model)
        self.meter.unloaded(entry.name, model.version)

    def retire(self, entry: Entry) -> None:
        """Begin to close the entry's model, without waiting for it."""
        self._in_time(self.close(entry))

    def forget(self, entry: Entry) -> None:
        """Close the entry's model and know it no more; what is under way is finished."""
        versions = self._entries[entry.name]
        del versions[entry.version]
        if not versions:
            del self._entries[entry.name]
        entry.gone = True
        self.retire(entry)

    def abandon(self) -> bool:
        """Take nothing more; gives whether no model runs or is opened any more. Twice does no harm.

        One that still runs, in a thread that nobody can stop, is not waited for.
        """
        ended = [entry.model.execution.abandon() for entry in self if entry.model is not None]
        return all(ended) and not self._loading

    async def _drained(self, entry: Entry, model: LoadedModel) -> None:
        """Close a model that nobody is given any more, once nobody needs it."""
        while entry.wanted or model.busy:
            await asyncio.sleep(_DRAIN_TICK_S)
        await model.execution.close()

    def _in_time(self, closing: Coroutine[Any, Any, None]) -> None:
        """Begin to close something, without waiting for it."""
        task = asyncio.ensure_future(closing)
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _is_misplaced(self, entry: Entry, model: LoadedModel) -> bool:
        is_native = entry.bundle.manifest.runtime != ONNX
        return self._may_move and is_native and model.apart != entry.apart

    def _reopened(self, task: asyncio.Task[Any]) -> None:
        self._reopening.discard(task)
        if not task.cancelled():
            task.exception()  # it was logged, and is the entry's fault

    async def _open(self, entry: Entry) -> LoadedModel:
        async with self._turn(entry):
            await self._make_room(entry)
            model, grown = await self._tried(entry)
        self._hold(entry, model, grown)
        if entry.gone:
            self.retire(entry)
        return model

    def _turn(self, entry: Entry) -> AbstractAsyncContextManager[object]:
        """What an entry waits for to be opened: others, or nothing.

        What it takes is known when it is there; and what libraries read here runs their code, which
        need not bear that several threads do.
        """
        elsewhere = self._in_processes or (self._may_move and entry.apart)
        alone = self._memory_bytes or not (elsewhere or entry.bundle.manifest.runtime == ONNX)
        return self._one_at_a_time if alone else nullcontext()

    def _hold(self, entry: Entry, model: LoadedModel, grown: int) -> None:
        self._name(model, entry)  # it may be called otherwise since it began to be opened
        entry.held_bytes = max(grown, _file_bytes(entry.bundle.folder))
        entry.model, entry.fault = model, None
        self.meter.loaded(entry.name, entry.version, model.load_s, entry.held_bytes)

    def _name(self, model: LoadedModel, entry: Entry) -> None:
        """Have an open model be called, and its batches be counted, as its entry is now."""
        model.version = entry.version
        model.execution.watch = self.meter.watch(entry.name, entry.version)

    async def _tried(self, entry: Entry) -> tuple[LoadedModel, int]:
        """The same as ``_loaded``; what goes wrong is the entry's fault."""
        try:
            return await self._loaded(entry)
        except ModelwayError as error:
            entry.fault, entry.failed_s = error, time.monotonic()
            self.meter.load_failed(entry.name, error.code)
            _log.error("%s cannot be opened: %s", entry.name, error)
            raise

    async def _loaded(self, entry: Entry) -> tuple[LoadedModel, int]:
        """The entry's model, and what the process grew by, 0 where others were loaded meanwhile."""
        alone = self._loading == 0
        self._loading += 1
        self._n_loads += 1
        number, before = self._n_loads, self.meter.resident_bytes()
        apart = entry.apart
        try:
            model = await asyncio.to_thread(
                self._load, entry.name, entry.version, entry.bundle.folder, apart
            )
        finally:
            self._loading -= 1
        model.apart = apart
        alone = alone and number == self._n_loads
        return model, self.meter.resident_bytes() - before if alone else 0

    async def _make_room(self, entry: Entry) -> None:
        """Close what was not asked for longest until the entry fits."""
        if not self._memory_bytes:
            return
        needed = _file_bytes(entry.bundle.folder)
        patience = _LONGEST_DRAIN_S
        while self._held_bytes() + needed > self._memory_bytes:
            open_ones = [one for one in self if one.model is not None and not one.pinned]
            idle = [one for one in open_ones if not one.busy]
            oldest = min(idle, key=lambda one: one.used, default=None)
            if oldest is None and open_ones and patience > 0:
                patience -= _DRAIN_TICK_S
                await asyncio.sleep(_DRAIN_TICK_S)
                continue
            if oldest is None:
                raise OutOfMemory(
                    f"{entry.name} needs {needed} bytes; models that stay hold "
                    f"{self._held_bytes()} of the {self._memory_bytes} that models may take"
                )
            await self.close(oldest)

    def _held_bytes(self) -> int:
        return sum(entry.held_bytes for entry in self)


def _file_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
