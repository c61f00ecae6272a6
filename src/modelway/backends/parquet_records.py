"""The keeper of records in Parquet: seals segments, merges files, removes what is old or unwanted.

One does so at a time, on whatever process; readers and recorders go on meanwhile. What is
interrupted anywhere is done again from the start, and neither loses nor doubles a record (see
``parquet_files.py`` for why).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from modelway.backends.arrow_records import Shelf, shelved
from modelway.backends.parquet_erasing import Erasing
from modelway.backends.parquet_files import (
    MERGED,
    PARQUET,
    ROW_GROUP_ROWS,
    PartFile,
    alone,
    folder_of,
    publish,
    sealed_parts,
    sync_folder,
)
from modelway.domain.errors import Unavailable
from modelway.records.frames import Torn, frames_in
from modelway.records.ports import Erased, Sealed
from modelway.records.segments import ask_to_rotate, segments_in, taken_over

_SMALL_BYTES = 256 * 1024 * 1024
_ROTATE_S = 5.0
_LOOK_S = 0.02


class ParquetRecords:
    """The keeper of the records below ``root``; ``key`` is the home's, by which columns are hashed.

    ``rotate_s`` is how long a process that records gets to begin another segment.
    """

    def __init__(self, root: Path, key: bytes = b"", rotate_s: float = _ROTATE_S) -> None:
        self._root = root
        self._key = key
        self._rotate_s = rotate_s

    def seal_once(self) -> Sealed:
        """Make Parquet files of all segments that nobody writes, and remove those."""
        with alone(self._root):
            return self._seal_all()

    def compact(self, before: date) -> int:
        """Merge the files of every day before ``before``, one a layout; gives how many went."""
        gone = 0
        with alone(self._root):
            shelves: dict[Shelf, list[PartFile]] = {}
            for part in sealed_parts(self._root):
                if part.shelf.day < before and part.n_bytes < _SMALL_BYTES:
                    shelves.setdefault(part.shelf, []).append(part)
            for shelf, parts in shelves.items():
                if len(parts) > 1:
                    self._merge(shelf, parts)
                    gone += len(parts)
        return gone

    def retain(self, age: timedelta | None = None, n_bytes: int | None = None) -> int:
        """Remove days that are wholly older than ``age``, then the oldest until the size fits."""
        with alone(self._root):
            parts = sorted(sealed_parts(self._root), key=_age_of)
            unwanted: list[PartFile] = []
            if age is not None:
                oldest = (datetime.now(UTC) - age).date()
                unwanted = [part for part in parts if part.shelf.day < oldest]
            if n_bytes is not None:
                held = sum(part.n_bytes for part in parts[len(unwanted) :])
                for part in parts[len(unwanted) :]:
                    if held <= n_bytes:
                        break
                    unwanted.append(part)
                    held -= part.n_bytes
            self._remove([part.path for part in unwanted])
        return len(unwanted)

    def erase(self, column: str, value: str | float | bool) -> Erased:
        """Remove every record with ``value`` in ``column``, for good.

        Raises:
            InvalidInput: no record has a column of this name, or none of it is kept.
            Unavailable: a process that records did not begin another segment in time.
        """
        asked = self._let_rotate()
        with alone(self._root):
            self._seal_all()
            if any(segment.exists() for segment in asked):
                raise Unavailable(
                    f"{len(asked)} segments are still being sealed",
                    hint="erase again; what is removed twice does no harm",
                )
            erasing = Erasing(column, value, self._key)
            for part in sealed_parts(self._root):
                rest = erasing.rest(part.path)
                if rest is None:
                    continue
                if rest.num_rows:
                    publish(part.path, rest.schema, [rest], rest.num_rows)
                else:
                    self._remove([part.path])
        return erasing.result()

    def _seal_all(self) -> Sealed:
        done = Sealed()
        for segment in segments_in(self._root):
            with taken_over(segment) as is_free:
                if is_free:
                    records, torn = self._seal(segment)
                    done = Sealed(done.segments + 1, done.records + records, done.torn + torn)
        return done

    def _seal(self, segment: Path) -> tuple[int, int]:
        """Seal one segment; gives its records, and how many stretches were torn."""
        torn = Torn()
        n = 0
        for shelf, table in shelved(frames_in(segment.read_bytes(), torn)).items():
            path = folder_of(self._root, shelf) / f"{segment.stem}-{shelf.layout}{PARQUET}"
            publish(path, table.schema, [table], table.num_rows)
            n += table.num_rows
        segment.unlink()
        sync_folder(segment.parent)
        return n, torn.stretches

    def _merge(self, shelf: Shelf, parts: Sequence[PartFile]) -> None:
        names = [part.path.name for part in parts]
        digest = hashlib.blake2b("\n".join(names).encode(), digest_size=8).hexdigest()
        path = folder_of(self._root, shelf) / f"{MERGED}{digest}-{shelf.layout}{PARQUET}"
        schema = pq.read_schema(parts[0].path)
        n_rows = sum(pq.read_metadata(part.path).num_rows for part in parts)
        publish(path, schema, _row_groups(parts, schema), n_rows, replaces=names)
        self._remove([part.path for part in parts])

    def _remove(self, paths: Sequence[Path]) -> None:
        for path in paths:
            path.unlink(missing_ok=True)
        for folder in {path.parent for path in paths}:
            for empty in (folder, folder.parent):
                if not any(empty.iterdir()):
                    empty.rmdir()

    def _let_rotate(self) -> list[Path]:
        """The segments that were being written when this began, and are not any more."""
        busy = [segment for segment in segments_in(self._root) if not _is_free(segment)]
        asking = [ask_to_rotate(segment) for segment in busy]
        until = time.monotonic() + self._rotate_s
        try:
            waiting = busy
            while waiting := [one for one in waiting if one.exists() and not _is_free(one)]:
                if time.monotonic() > until:
                    names = ", ".join(one.name for one in waiting[:3])
                    raise Unavailable(
                        f"{names} is still being written; nothing was erased",
                        hint="the process that writes it hangs; end it, and erase again",
                    )
                time.sleep(_LOOK_S)
        finally:
            for one in asking:
                one.unlink(missing_ok=True)
        return busy


def _is_free(segment: Path) -> bool:
    with taken_over(segment) as is_free:
        return is_free


def _age_of(part: PartFile) -> tuple[date, float]:
    return part.shelf.day, part.path.stat().st_mtime


def _row_groups(parts: Sequence[PartFile], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of all files, a row group at a time."""
    held: list[pa.Table] = []
    n_rows = 0
    for part in parts:
        with pq.ParquetFile(part.path) as file:
            for batch in file.iter_batches(ROW_GROUP_ROWS):
                held.append(pa.Table.from_batches([batch]).cast(schema))
                n_rows += batch.num_rows
                if n_rows >= ROW_GROUP_ROWS:
                    yield pa.concat_tables(held)
                    held, n_rows = [], 0
    if held:
        yield pa.concat_tables(held)
