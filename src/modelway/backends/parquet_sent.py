"""Sealed records at a place behind a URL, to which any number of homes send theirs.

    URL/<home>/endpoint=loan/date=2026-05-17/part-....parquet
    URL/<home>/merging                which file that home makes of several now
    URL/erasing/<seconds>-<home>      as long as that home removes a person's records there
    URL/erased/<microseconds>-...     a tombstone: what was erased, and until when

A home adds and merges files below its own name only, so no two ever merge the same ones. Any may
remove whole days, and any may erase in the files of all: it leaves a tombstone before it removes
anything. Who sends or merges removes what lies under one, and looks afterwards whether there is
another; if so, a part is sent again without it, and a merged file is taken back. Who dies before
that has its part still, or has said which file it made. So nothing is lost or doubled, and nothing
that was erased comes back, without a lock that object storage has not.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from modelway.backends.arrow_records import Shelf
from modelway.backends.parquet_erasing import Erasing
from modelway.backends.parquet_files import (
    MERGED,
    PartFile,
    folder_of,
    publish,
    replaces,
    shelf_at,
)
from modelway.backends.parquet_merging import merged_name, to_merge, too_old_or_much, write_merged
from modelway.backends.parquet_tombstones import Tombstone
from modelway.domain.errors import Unavailable
from modelway.records.ports import Forget

if TYPE_CHECKING:
    from modelway.backends.fsspec_place import Place

_ERASING = "erasing"
_ERASES_S = 3600
_ERASED = "erased"
_MERGING = "merging"
_BELOW = ("endpoint", "date", "file")


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file at the place, by its name there; ``home`` has sent it."""

    name: str
    home: str
    shelf: Shelf
    origin: str
    n_bytes: int

    @property
    def is_merged(self) -> bool:
        """Whether it was made of several files."""
        return self.origin.startswith(MERGED)

    @property
    def last(self) -> str:
        """Its name in its folder."""
        return PurePosixPath(self.name).name


class SentRecords:
    """The records at a place; those that the home ``home`` sends lie below its name.

    Every method raises Unavailable where the place cannot be reached.
    """

    def __init__(self, place: Place, home: str) -> None:
        self.place = place
        self.home = home
        self._replaces: dict[str, Sequence[str]] = {}
        self._tombstones: dict[str, Tombstone] = {}

    def counting(self) -> Sequence[SentFile]:
        """The files of all homes that count: none that was replaced."""
        files = self._files()
        stale = self._replaced(files)
        return [one for one in files if one.name not in stale]

    def take(self, part: PartFile) -> None:
        """Copy a sealed file to the place; a second time it replaces itself."""
        self.place.put(part.path, self._name(part.shelf, part.path.name))

    def drop(self, part: PartFile) -> None:
        """Have the place not hold a sealed file, if it does."""
        self.place.remove([self._name(part.shelf, part.path.name)])

    def tombstones(self) -> Sequence[Tombstone]:
        """What was erased until now, by whichever home. None is ever changed."""
        names = sorted(self.place.sizes(_ERASED))
        for name in names:
            if name not in self._tombstones:
                content = self.place.read(name)
                if content is not None:
                    self._tombstones[name] = msgspec.json.decode(content, type=Tombstone)
        return [self._tombstones[name] for name in names if name in self._tombstones]

    def bury(self, tombstone: Tombstone) -> str:
        """Leave a tombstone for all homes; gives its name."""
        name = f"{_ERASED}/{tombstone.until_us}-{secrets.token_hex(4)}.json"
        self.place.write(name, msgspec.json.encode(tombstone))
        return name

    def withdraw(self, name: str) -> None:
        """Take a tombstone back, since nothing was erased."""
        self.place.remove([name])

    def settle(self, folder: Path) -> None:
        """Remove what was erased from the file at whose merging this home has died, if it has.

        ``folder`` is an empty one of this disk to work in.
        """
        made = self.place.read(self._merging)
        if made is None:
            return
        with self.marked():
            self._without(made.decode(), Erasing(self.tombstones()), folder)
            self.place.remove([self._merging])

    def compact(self, before: date, folder: Path, forget: Forget) -> int:
        """Merge this home's small files of every day before ``before``; gives how many went.

        ``folder`` is an empty one of this disk to work in.
        """
        self.place.tidy(self.home)
        self.settle(folder)
        mine = [one for one in self._files() if one.home == self.home]
        stale = self._replaced(mine)
        self.place.remove(stale)
        due = to_merge([one for one in mine if one.name not in stale], before)
        return sum(self._merge(shelf, files, folder, forget) for shelf, files in due.items())

    def retain(self, age: timedelta | None, n_bytes: int | None) -> int:
        """Remove whole files of all homes, the oldest first; gives how many."""
        # What was replaced goes before what has replaced it, and so never counts again.
        files = sorted(self._files(), key=lambda one: (one.shelf.day, one.is_merged, one.last))
        gone = too_old_or_much(files, age, n_bytes)
        self.place.remove(one.name for one in gone)
        return len(gone)

    @contextmanager
    def marked(self) -> Iterator[None]:
        """Keep every home from merging and erasing meanwhile; one of each may do so at a time.

        Raises:
            Unavailable: another home erases now.
        """
        mine = f"-{self.home}"
        self.place.write(f"{_ERASING}/{int(time.time())}{mine}", b"erasing")
        try:
            others = [one for one in self._marks() if not one.endswith(mine)]
            if others:
                raise Unavailable(
                    f"records at {self.place.shown} are being erased by another host: {others[0]}",
                    hint="erase again when it is done; what it has left behind counts for an hour",
                )
            yield
        finally:
            # What this home has left behind when it died goes, too.
            left = [one for one in self.place.sizes(_ERASING) if one.endswith(mine)]
            self.place.remove(left)

    def erase(self, erasing: Erasing, aside: Erasing, folder: Path) -> None:
        """Remove what ``erasing`` finds from the files of all homes; to be called while marked.

        Records that do not count, since a merged file has them too, are removed by ``aside``, which
        counts for nobody. ``folder`` is an empty one of this disk to work in.
        """
        seen: set[str] = set()
        while True:
            files = self._files()
            stale = self._replaced(files)
            fresh = [one for one in files if one.name not in seen]
            if not fresh:
                return
            for one in fresh:
                # What was merged of files that were seen holds nothing that was not counted.
                counts = one.name not in stale and not (seen and one.is_merged)
                self._without(one.name, erasing if counts else aside, folder)
            seen.update(one.name for one in fresh)

    def _files(self) -> list[SentFile]:
        found = []
        for name, n_bytes in sorted(self.place.sizes().items()):
            path = PurePosixPath(name)
            at = shelf_at(path)
            home, *below = path.parts
            if at is not None and len(below) == len(_BELOW):
                found.append(SentFile(name, home, *at, n_bytes))
        return found

    def _replaced(self, files: Iterable[SentFile]) -> set[str]:
        """The names of those among these that a merged one has replaced."""
        stale: set[str] = set()
        for one in files:
            if one.is_merged:
                folder = PurePosixPath(one.name).parent
                stale.update(str(folder / last) for last in self._made_of(one))
        return stale & {one.name for one in files}

    def _made_of(self, merged: SentFile) -> Sequence[str]:
        """What a merged file was made of; its name says so, so it is read once."""
        if merged.name not in self._replaces:
            with self.place.told():
                found = replaces(self.place.path(merged.name), self.place.filesystem)
            if not found:
                return ()
            self._replaces[merged.name] = found
        return self._replaces[merged.name]

    def _merge(self, shelf: Shelf, files: Sequence[SentFile], folder: Path, forget: Forget) -> int:
        buried = self.tombstones()
        # Asked after these: who erases now counts what it removes, and is not to be forestalled.
        if self._marks():
            return 0
        sources = [folder / one.last for one in files]
        if not all(self.place.get(one.name, at) for one, at in zip(files, sources, strict=True)):
            return 0  # somebody has removed the day
        erasing = Erasing(buried, forget)
        for at in sources:
            rest = erasing.rest(at)
            if rest is not None:
                publish(at, rest.schema, [rest], rest.num_rows)
        made = folder / merged_name(sources)
        write_merged(sources, made)
        name = self._name(shelf, made.name)
        self.place.write(self._merging, name.encode())
        self.place.put(made, name)
        for at in (*sources, made):
            at.unlink()
        is_whole = self.tombstones() == buried
        self.place.remove([one.name for one in files] if is_whole else [name])
        self.place.remove([self._merging])
        return len(files) if is_whole else 0

    def _without(self, name: str, erasing: Erasing, folder: Path) -> None:
        local = folder / PurePosixPath(name).name
        if not self.place.get(name, local):
            return
        rest = erasing.rest(local)
        if rest is not None and rest.num_rows:
            publish(local, rest.schema, [rest], rest.num_rows)
            self.place.put(local, name)
        elif rest is not None:
            self.place.remove([name])
        local.unlink()

    def _marks(self) -> Sequence[str]:
        """Who erases now; a mark that is an hour old was left by one that died."""
        since = time.time() - _ERASES_S
        names = [PurePosixPath(one).name for one in self.place.sizes(_ERASING)]
        return [one for one in names if float(one.partition("-")[0]) > since]

    @property
    def _merging(self) -> str:
        return f"{self.home}/{_MERGING}"

    def _name(self, shelf: Shelf, last: str) -> str:
        return str(PurePosixPath(self.home) / folder_of(shelf) / last)
