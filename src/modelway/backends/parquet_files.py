"""The files of sealed records: where they lie, which of them count, and how one is published.

    <root>/endpoint=loan/date=2026-05-17/part-HOST-SLOT-SEQ-LAYOUT.parquet     of one segment
    <root>/endpoint=loan/date=2026-05-17/merged-DIGEST-LAYOUT.parquet          of several such files
    <root>/segments/part-HOST-SLOT-SEQ.segment                                 not sealed yet

Two rules make every step atomic. A file counts only if its segment is gone: as long as that is
there, the segment is the truth and sealing it again writes the same names. And a merged file says
in its footer what it replaces, so the files it was made of do not count from the moment it has its
name, whether they are gone yet or not.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePath, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from modelway.backends.arrow_records import Shelf
from modelway.domain.disk import synced
from modelway.records.segments import OPENING, ROTATE, SEGMENTS, SUFFIX, segments_in, taken_over

REPLACES = b"modelway.replaces"
PARQUET = ".parquet"
TEMPORARY = ".tmp"
MERGED = "merged-"

ROW_GROUP_ROWS = 65_536

_LOCK = ".keeper.lock"
_OPENING_S = 60


@dataclass(frozen=True, slots=True)
class PartFile:
    """A Parquet file of one shelf; ``origin`` is the name of its segment, or ``merged-DIGEST``."""

    path: Path
    shelf: Shelf
    origin: str
    n_bytes: int

    @property
    def is_merged(self) -> bool:
        """Whether it was made of several files."""
        return self.origin.startswith(MERGED)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All records at one moment: the contents of segments, and the files that count beside them."""

    segments: Mapping[str, bytes]
    parts: tuple[PartFile, ...]


def folder_of(shelf: Shelf) -> PurePosixPath:
    """The folder in which a shelf's files lie, below the root."""
    endpoint = quote(shelf.endpoint, safe="")
    return PurePosixPath(f"endpoint={endpoint}", f"date={shelf.day.isoformat()}")


def snapshot(root: Path, days: Iterable[date] | None = None) -> Snapshot:
    """All records as they are now, or the files of some days only.

    Segments are read first: one that is not found was sealed before its files are listed.
    """
    segments: dict[str, bytes] = {}
    for path in segments_in(root):
        with contextlib.suppress(FileNotFoundError):
            segments[path.stem] = path.read_bytes()
    wanted = None if days is None else frozenset(days)
    # A listing in which something moves may miss both names of it; two alike did not.
    before, parts = None, _listed(root, wanted)
    while before != parts:
        before, parts = parts, _listed(root, wanted)
    counting = [part for part in parts if part.origin not in segments]
    stale = set(replaced(counting))
    return Snapshot(segments, tuple(part for part in counting if part.path not in stale))


def sealed_parts(root: Path) -> list[PartFile]:
    """The files that count and stay: those of segments that are there still are not among them."""
    segments = {path.stem for path in segments_in(root)}
    parts = [part for part in _listed(root, None) if part.origin not in segments]
    stale = set(replaced(parts))
    return [part for part in parts if part.path not in stale]


def replaced(parts: Iterable[PartFile]) -> Iterator[Path]:
    """The files among these that a merged one has replaced."""
    folders: dict[Path, list[PartFile]] = {}
    for part in parts:
        folders.setdefault(part.path.parent, []).append(part)
    for folder, its in folders.items():
        names = {part.path.name for part in its}
        if len(its) < 2:
            continue
        for part in its:
            if part.is_merged:
                yield from (folder / name for name in replaces(part.path) if name in names)


def replaces(path: Path | str, filesystem: Any = None) -> list[str]:
    """The names of the files that a merged one has replaced, by its footer."""
    try:
        metadata = pq.read_metadata(path, filesystem=filesystem).metadata or {}
    except FileNotFoundError:
        return []  # merged once more meanwhile
    return msgspec.json.decode(metadata.get(REPLACES, b"[]"), type=list[str])


def shelf_at(path: PurePath) -> tuple[Shelf, str] | None:
    """The shelf and the origin of a file, by the end of its path; None if it holds no records."""
    day = _day(path.parent.name.removeprefix("date="))
    endpoint = path.parent.parent.name
    if (
        day is None
        or path.suffix != PARQUET
        or path.name.startswith(".")
        or not endpoint.startswith("endpoint=")
    ):
        return None
    origin, _, layout = path.stem.rpartition("-")
    return Shelf(unquote(endpoint.removeprefix("endpoint=")), day, layout), origin


def _listed(root: Path, days: frozenset[date] | None) -> list[PartFile]:
    found = []
    for path in root.glob(f"endpoint=*/date=*/*{PARQUET}"):
        at = shelf_at(path)
        if at is None or (days is not None and at[0].day not in days):
            continue
        with contextlib.suppress(FileNotFoundError):
            found.append(PartFile(path, *at, path.stat().st_size))
    return sorted(found, key=lambda part: (part.shelf.endpoint, part.shelf.day, part.path.name))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def publish(
    path: Path,
    schema: pa.Schema,
    tables: Iterable[pa.Table],
    n_rows: int,
    made_of: Iterable[str] = (),
) -> None:
    """Write a file under its name at once: it is there whole and on the disk, or not at all.

    ``n_rows`` is about how many there are, ``made_of`` the names of files beside it that it
    replaces.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    names = list(made_of)
    metadata = {**(schema.metadata or {})}
    if names:
        metadata[REPLACES] = msgspec.json.encode(names)
    schema = schema.with_metadata(metadata)
    # Ids that callers bring are in no order, so the ranges of row groups do not tell them apart.
    bloom = {"prediction_id": {"ndv": max(1, min(n_rows, ROW_GROUP_ROWS)), "fpp": 0.01}}
    options = {"compression": "zstd", "bloom_filter_options": bloom}
    with temporary.open("wb") as file:
        with pq.ParquetWriter(file, schema, **options) as writer:
            for table in tables:
                rows = table.replace_schema_metadata(metadata)
                writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    synced(path.parent)


def remove_files(paths: Iterable[Path]) -> None:
    """Remove files, and the folders that are empty then."""
    paths = list(paths)
    for path in paths:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in paths}:
        for empty in (folder, folder.parent):
            if not any(empty.iterdir()):
                empty.rmdir()


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Wait until nobody else changes sealed records, and keep others from it; tidy up first."""
    root.mkdir(parents=True, exist_ok=True)
    fd = os.open(root / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        _tidy(root)
        yield
    finally:
        os.close(fd)


def _tidy(root: Path) -> None:
    """Remove what others left half done when they died."""
    for path in root.glob(f"endpoint=*/date=*/.*{TEMPORARY}"):
        path.unlink(missing_ok=True)
    for path in (root / SEGMENTS).glob(f"*{OPENING}"):
        with taken_over(path) as is_free:
            if is_free and path.stat().st_size == 0:
                _forget_opening(path)
    for path in (root / SEGMENTS).glob(f"*{SUFFIX}{ROTATE}"):
        if not Path(str(path).removesuffix(ROTATE)).exists():
            path.unlink(missing_ok=True)
    segments = {path.stem for path in segments_in(root)}
    parts = [part for part in _listed(root, None) if part.origin not in segments]
    for path in list(replaced(parts)):
        path.unlink(missing_ok=True)


def _forget_opening(path: Path) -> None:
    """Remove a segment that never got its name; what was begun a moment ago may get it yet."""
    if time.time() - path.stat().st_mtime > _OPENING_S:
        path.unlink(missing_ok=True)
