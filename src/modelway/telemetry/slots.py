"""The numbers of one slot: kept by the slot's name, so that they outlive the process in it.

A service has numbered slots, and each process that is in one opens ``slot-3.metrics`` in a folder
that lives as long as the service. Whoever takes the place of a dead process opens the same file and
its counters and histograms go on: nothing is lost, nothing is counted twice. A gauge says what is
now, so a gauge of a dead process is without a value until it is set again.

One process writes a slot, and one thread of it: the event loop's. Adding to a number is a load and
a store, and two writers would lose one another's additions; a process that is forked from the
writer writes nothing either. Any process may read, at any time (``layout.py`` says why that is
right).

The file has room for a bounded number of series. When there is none left, a series that nobody
holds any more (of a version that was unloaded) gives its place to the new one; failing that, the
new one is counted in the metric's ``other`` series, whose room is kept free from the start. So
asking for a series never fails and takes a bounded time.
"""

from __future__ import annotations

import mmap
from collections import OrderedDict
from dataclasses import dataclass
from math import nan
from pathlib import Path
from weakref import KeyedRef

from modelway.telemetry import layout
from modelway.telemetry.layout import Record, Series
from modelway.telemetry.metrics import OTHER, TABLE, Metric

MOST_SERIES = 2000
"""Most label sets of one metric."""

_LONGEST_KEY_BYTES = 512
_LOOKED_AT = 32

_Values = tuple[str, ...]
_Key = tuple[str, _Values]
"""The name of a metric and the values of its labels."""


@dataclass(frozen=True, slots=True)
class SlotReading:
    """All numbers of one slot at about one moment."""

    slot: str
    series: list[Series]


class Slot:
    """The numbers of this process; ``name`` is the slot's number, or a word for who has none."""

    def __init__(self, name: str, memory: mmap.mmap) -> None:
        self.name = name
        self._memory = memory
        self._words = memoryview(memory).cast("Q")
        self._numbers = memoryview(memory).cast("d")
        self._places: dict[str, dict[_Values, Record]] = {one.name: {} for one in TABLE}
        self._held: dict[_Key, KeyedRef[_Key, memoryview[float]]] = {}
        self._free: dict[str, OrderedDict[_Values, None]] = {
            one.name: OrderedDict() for one in TABLE
        }
        for record in layout.records(memory):
            if record.metric is not None:
                self._found(record, record.metric)
        self._kept_bytes = sum(
            layout.record_bytes(one, layout.key_of(one, _last(one)))
            for one in TABLE
            if _last(one) not in self._places[one.name]
        )

    @classmethod
    def open(cls, folder: Path, name: str) -> Slot:
        """The slot's file in a folder that exists, made if there is none.

        A file of another version's form is replaced.

        Raises:
            OSError: the file can neither be opened nor made.
        """
        path = folder / _file_name(name)
        return cls(name, layout.opened(path) or layout.created(path))

    @classmethod
    def in_memory(cls, name: str = "0") -> Slot:
        """A slot that only this process reads, and that ends with it."""
        return cls(name, layout.begun(mmap.mmap(-1, layout.FILE_BYTES)))

    def cells(self, metric: Metric, values: _Values) -> memoryview[float]:
        """The numbers of a series, to be read and written; ``values`` in the order of the labels.

        As long as somebody holds what is given, the place is the series' own.
        """
        cells = self._holding((metric.name, values))
        if cells is None:
            record = self._places[metric.name].get(values) or self._place(metric, values)
            key = (metric.name, record.values)
            cells = self._holding(key)
            if cells is None:
                first = record.first_cell
                cells = self._numbers[first : first + record.n_cells]
                self._held[key] = KeyedRef(cells, self._released, key)
                self._free[metric.name].pop(record.values, None)
        return cells

    def read(self) -> SlotReading:
        """The numbers now."""
        return SlotReading(self.name, layout.series(self._memory))

    def _found(self, record: Record, metric: Metric) -> None:
        """Take over a record of the process that was here before."""
        self._places[metric.name][record.values] = record
        if record.values != _last(metric):
            self._free[metric.name][record.values] = None
        if metric.kind == "gauge":
            self._numbers[record.first_cell] = nan

    def _holding(self, key: _Key) -> memoryview[float] | None:
        """The numbers of a series that somebody holds."""
        held = self._held.get(key)
        return None if held is None else held()

    def _released(self, held: KeyedRef[_Key, memoryview[float]]) -> None:
        """Note that nobody holds a series any more."""
        if self._held.get(held.key) is held:
            del self._held[held.key]
            name, values = held.key
            if values != (OTHER,) * len(values):
                self._free[name][values] = None

    def _place(self, metric: Metric, values: _Values) -> Record:
        """A record for a series that has none, or the one that stands for all others."""
        places, last = self._places[metric.name], _last(metric)
        key = layout.key_of(metric, values)
        if values != last and len(key) <= _LONGEST_KEY_BYTES:
            size = layout.record_bytes(metric, key)
            if (
                len(places) < MOST_SERIES
                and self._words[layout.END_WORD] + size + self._kept_bytes <= layout.FILE_BYTES
            ):
                return self._appended(metric, values, key)
            given_up = self._given_up(metric, len(key))
            if given_up is not None:
                return self._renamed(given_up, metric, values, key)
        if last not in places:
            key = layout.key_of(metric, last)
            self._kept_bytes -= layout.record_bytes(metric, key)
            return self._appended(metric, last, key)
        return places[last]

    def _appended(self, metric: Metric, values: _Values, key: bytes) -> Record:
        """A record behind the last one; the end goes past it when it is complete."""
        offset = self._words[layout.END_WORD]
        n_bytes = layout.record_bytes(metric, key)
        layout.HEAD.pack_into(self._memory, offset, n_bytes, metric.n_cells)
        blank = Record(offset, n_bytes, metric.n_cells, 0, metric, ())
        record = self._renamed(blank, metric, values, key)
        self._words[layout.END_WORD] = offset + n_bytes
        return record

    def _given_up(self, metric: Metric, key_bytes: int) -> Record | None:
        """The record of a series of the metric that nobody holds, with room for the key.

        It is the one that was given up first; a few are looked at.
        """
        free = self._free[metric.name]
        for _ in range(min(_LOOKED_AT, len(free))):
            values, _none = free.popitem(last=False)
            record = self._places[metric.name][values]
            if record.key_room >= key_bytes:
                return self._places[metric.name].pop(values)
            free[values] = None
        return None

    def _renamed(self, old: Record, metric: Metric, values: _Values, key: bytes) -> Record:
        """The record under another key, its numbers at their start."""
        seal_word = old.offset // 8 + 1
        self._words[seal_word] = 0
        start = nan if metric.kind == "gauge" else 0.0
        for at in range(old.first_cell, old.first_cell + old.n_cells):
            self._numbers[at] = start
        begin = old.offset + layout.KEY_AT
        self._memory[begin : begin + len(key)] = key
        head = self._memory[old.offset : old.offset + layout.HEAD.size]
        seal = layout.seal_of(head, key)
        self._words[seal_word] = seal
        record = old._replace(seal=seal, metric=metric, values=values)
        self._places[metric.name][values] = record
        return record


def read_slots(folder: Path) -> list[SlotReading]:
    """The numbers of every slot in the folder, in the order of their names.

    A file that is not of this form is left out: it is being made, or another version's.
    """
    found = []
    for path in sorted(folder.glob(_file_name("*"))):
        memory = layout.opened(path, mmap.ACCESS_READ)
        if memory is not None:
            with memory:
                found.append(SlotReading(_slot_name(path), layout.series(memory)))
    return found


def _last(metric: Metric) -> _Values:
    """The label values of what found no room; of a metric without labels, its only ones."""
    return (OTHER,) * len(metric.labels)


def _file_name(slot: str) -> str:
    return f"slot-{slot}.metrics"


def _slot_name(path: Path) -> str:
    return path.stem.removeprefix("slot-")
