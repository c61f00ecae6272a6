"""The keeper of records in Parquet: seals segments, merges files, removes what is old or unwanted.

One does so at a time, on whatever process; readers and recorders go on meanwhile. What is
interrupted anywhere is done again from the start, and neither loses nor doubles a record (see
``parquet_files.py`` for why).
"""

from __future__ import annotations

import time
from datetime import date, timedelta
from pathlib import Path

from modelway.backends.arrow_records import shelved
from modelway.backends.parquet_erasing import Erasing, Value
from modelway.backends.parquet_files import (
    PARQUET,
    PartFile,
    alone,
    folder_of,
    publish,
    remove_files,
    sealed_parts,
)
from modelway.backends.parquet_merging import (
    merged_name,
    to_merge,
    too_old_or_much,
    write_merged,
)
from modelway.domain.disk import synced
from modelway.domain.errors import Unavailable
from modelway.records.frames import Torn, frames_in
from modelway.records.ports import Erased, Forget, Sealed
from modelway.records.segments import ask_to_rotate, segments_in, taken_over

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

    def sought(self, column: str, value: str | float | bool, until_us: int | None = None) -> Value:
        """A value as these records hold it; of records until a moment, or of all."""
        return Value(column, value, self._key, until_us)

    def send(self) -> int:
        """Nothing: what is sealed stays here; gives 0."""
        return 0

    def seal_once(self) -> Sealed:
        """Make Parquet files of all segments that nobody writes, and remove those."""
        with alone(self._root):
            return self._seal_all()

    def compact(self, before: date) -> int:
        """Merge the files of every day before ``before``, one a layout; gives how many went."""
        gone = 0
        with alone(self._root):
            for shelf, parts in to_merge(sealed_parts(self._root), before).items():
                sources = [part.path for part in parts]
                write_merged(sources, self._root / folder_of(shelf) / merged_name(sources))
                remove_files(sources)
                gone += len(parts)
        return gone

    def retain(self, age: timedelta | None = None, n_bytes: int | None = None) -> int:
        """Remove days that are wholly older than ``age``, then the oldest until the size fits."""
        with alone(self._root):
            parts = sorted(sealed_parts(self._root), key=_age_of)
            gone = [part.path for part in too_old_or_much(parts, age, n_bytes)]
            remove_files(gone)
        return len(gone)

    def erase(
        self, column: str, value: str | float | bool, forget: Forget = lambda _: None
    ) -> Erased:
        """Remove every record with ``value`` in ``column``, for good.

        Raises:
            InvalidInput: no record has a column of this name, or none of it is kept.
            Unavailable: a process that records did not begin another segment in time.
        """
        erasing = Erasing([self.sought(column, value)], forget)
        self.erase_by(erasing)
        return erasing.result()

    def erase_by(self, erasing: Erasing) -> None:
        """Remove what ``erasing`` finds, which counts it.

        Raises:
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
            for part in sealed_parts(self._root):
                rest = erasing.rest(part.path)
                if rest is None:
                    continue
                if rest.num_rows:
                    publish(part.path, rest.schema, [rest], rest.num_rows)
                else:
                    remove_files([part.path])

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
            path = self._root / folder_of(shelf) / f"{segment.stem}-{shelf.layout}{PARQUET}"
            publish(path, table.schema, [table], table.num_rows)
            n += table.num_rows
        segment.unlink()
        synced(segment.parent)
        return n, torn.stretches

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
