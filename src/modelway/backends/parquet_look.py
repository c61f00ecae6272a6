"""All records of one moment, on this disk and at the place to which sealed ones are sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelway.backends.arrow_records import Shelf
from modelway.backends.parquet_files import Snapshot, snapshot
from modelway.backends.parquet_sent import SentFile, SentRecords

if TYPE_CHECKING:
    from modelway.backends.fsspec_place import Place

Group = tuple[Shelf, list[str], Any]
"""Files of one endpoint and layout: one of their shelves, their paths, and the fsspec filesystem
of these; None for this disk."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is ``here``, and what counts beside it at a ``place``."""

    here: Snapshot
    sent: tuple[SentFile, ...] = ()
    place: Place | None = None

    @property
    def files(self) -> object:
        """What is equal as long as no file has come or gone."""
        return self.here.parts, self.sent

    def groups(self) -> Iterator[Group]:
        """All sealed files, those of one endpoint and layout together."""
        found: dict[tuple[str, str, bool], Group] = {}
        for part in self.here.parts:
            key = (part.shelf.endpoint, part.shelf.layout, True)
            found.setdefault(key, (part.shelf, [], None))[1].append(str(part.path))
        if self.place is not None:
            for one in self.sent:
                key = (one.shelf.endpoint, one.shelf.layout, False)
                group = found.setdefault(key, (one.shelf, [], self.place.filesystem))
                group[1].append(self.place.path(one.name))
        yield from found.values()

    def told(self) -> AbstractContextManager[None]:
        """What reading at the place raises meanwhile leaves as Unavailable."""
        return nullcontext() if self.place is None else self.place.told()


def look(root: Path, sent: SentRecords | None, days: Sequence[date] | None = None) -> Look:
    """All records below ``root`` and those sent, or those of some days.

    Here is looked first: what is sent meanwhile is seen at one of both ends, and counts once.

    Raises:
        Unavailable: the place cannot be reached.
    """
    here = snapshot(root, days)
    if sent is None:
        return Look(here)
    names = {part.path.name for part in here.parts}
    found = []
    for one in sent.counting():
        mine = one.home == sent.home
        if days is not None and one.shelf.day not in days:
            continue
        if not (mine and (one.last in names or one.origin in here.segments)):
            found.append(one)
    return Look(here, tuple(found), sent.place)
