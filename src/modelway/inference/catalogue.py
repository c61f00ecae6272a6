"""The catalogue: every version of every model that may answer, and which of them are open.

An entry is known by its bundle's manifest and signature alone, so a service can describe hundreds
of models and hold a few. One is opened when it is first asked, on a thread, while all others go on
answering; those not asked for longest are closed where the open ones would take more memory than
they may. What somebody still reads for or waits for is never closed under them.

How much a model takes is what the process grew by while it was opened, at least the size of its
file: no library says it better. So where that is bounded, one is opened after the other; else ONNX
graphs are opened side by side.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

from modelway.bundles.store import Bundle
from modelway.domain.errors import EndpointNotFound, ModelwayError, OutOfMemory, VersionNotFound
from modelway.inference.execution import ONNX
from modelway.inference.loading import LoadedModel, served_signature
from modelway.inference.ports import Meter
from modelway.settings import InferenceSettings

Load = Callable[[str, str, Path], LoadedModel]
"""Opens the bundle of a folder under a name and a version; blocks, raises what opening raises."""

_DRAIN_TICK_S = 0.02
_LONGEST_DRAIN_S = 10.0
"""How long a model that must make room is waited for."""

_log = logging.getLogger("modelway.inference")


class Entry:
    """One version of one model: described always, open (``model``) or not.

    ``version`` is the registry's number, or the digest for what was never registered;
    ``registered`` is what the registry calls the model, empty for that.
    ``signature`` is what callers follow, ``strict`` or not. ``used`` grows with every request, so
    the smallest was asked longest ago. ``fault`` is why it could not be opened the last time that
    was tried. ``wanted`` counts who waits for it to be open; ``gone`` is an entry that nobody may
    ask any more.
    """

    __slots__ = (
        *("bundle", "fault", "gone", "held_bytes", "model", "name", "opening", "pinned"),
        *("registered", "signature", "strict", "used", "version", "wanted"),
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
        self.held_bytes = 0
        self.fault: ModelwayError | None = None
        self.opening: asyncio.Future[LoadedModel] | None = None

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
        self._entries: dict[str, dict[str, Entry]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._loading = self._n_loads = 0
        self._retiring: set[asyncio.Task[None]] = set()
        self._reopening: set[asyncio.Task[LoadedModel]] = set()
        self._clock = 0

    def __iter__(self) -> Iterator[Entry]:
        """Every entry, model by model in the order they were added."""
        return (entry for versions in self._entries.values() for entry in versions.values())

    def add(self, name: str, bundle: Bundle, version: str | None = None) -> Entry:
        """Know a bundle under a name, as its newest version; the same one twice is one entry.

        Without a ``version`` it is called after its digest.
        """
        version = version or bundle.digest
        versions = self._entries.setdefault(name, {})
        entry = versions.pop(version, None)
        if entry is None:
            pinned = name in self._pinned
            entry = Entry(name, version, bundle, strict=self._strict, pinned=pinned)
        versions[version] = entry
        return entry

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
        """Begin to open the entry's model, without waiting for it; why it fails is its fault."""
        if entry.opening is None:
            task = asyncio.ensure_future(self.opened(entry))
            self._reopening.add(task)
            task.add_done_callback(self._reopened)

    async def close(self, entry: Entry) -> None:
        """Close the entry's model once nobody needs it; it stays known. Twice does no harm."""
        model, entry.model = entry.model, None
        if model is None:
            return
        entry.held_bytes = 0
        while entry.wanted or model.busy:
            await asyncio.sleep(_DRAIN_TICK_S)
        await model.execution.close()
        self.meter.unloaded(entry.name, model.version)

    def retire(self, entry: Entry) -> None:
        """Begin to close the entry's model, without waiting for it."""
        task = asyncio.ensure_future(self.close(entry))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def forget(self, entry: Entry) -> None:
        """Close the entry's model and know it no more; what is under way is finished."""
        versions = self._entries[entry.name]
        del versions[entry.version]
        if not versions:
            del self._entries[entry.name]
        entry.gone = True
        self.retire(entry)

    def abandon(self) -> bool:
        """Take nothing more; gives whether no model runs any more. Twice does no harm.

        One that still runs, in a thread that nobody can stop, is not waited for.
        """
        ended = [entry.model.execution.abandon() for entry in self if entry.model is not None]
        return all(ended)

    def _reopened(self, task: asyncio.Task[LoadedModel]) -> None:
        self._reopening.discard(task)
        if not task.cancelled():
            task.exception()  # it was logged, and is the entry's fault

    async def _open(self, entry: Entry) -> LoadedModel:
        # What it takes is known when it is there; and what libraries read runs their code.
        alone = self._memory_bytes or entry.bundle.manifest.runtime != ONNX
        async with self._one_at_a_time if alone else nullcontext():
            await self._make_room(entry)
            model, grown = await self._tried(entry)
        entry.held_bytes = max(grown, _file_bytes(entry.bundle.folder))
        entry.model, entry.fault = model, None
        self.meter.loaded(entry.name, entry.version, model.load_s, entry.held_bytes)
        if entry.gone:
            self.retire(entry)
        return model

    async def _tried(self, entry: Entry) -> tuple[LoadedModel, int]:
        """The same as ``_loaded``; what goes wrong is the entry's fault."""
        try:
            return await self._loaded(entry)
        except ModelwayError as error:
            entry.fault = error
            self.meter.load_failed(entry.name, error.code)
            _log.error("%s cannot be opened: %s", entry.name, error)
            raise

    async def _loaded(self, entry: Entry) -> tuple[LoadedModel, int]:
        """The entry's model, and what the process grew by, 0 where others were loaded meanwhile."""
        alone = self._loading == 0
        self._loading += 1
        self._n_loads += 1
        number, before = self._n_loads, self.meter.resident_bytes()
        try:
            model = await asyncio.to_thread(
                self._load, entry.name, entry.version, entry.bundle.folder
            )
        finally:
            self._loading -= 1
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
