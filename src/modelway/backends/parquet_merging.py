"""Many files of records made one, and which files are due for it or have to go."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from modelway.backends.arrow_records import Shelf
from modelway.backends.parquet_files import MERGED, PARQUET, ROW_GROUP_ROWS, publish

SMALL_BYTES = 256 * 1024 * 1024


class OfShelf(Protocol):
    """A file of records, wherever it lies."""

    @property
    def shelf(self) -> Shelf:
        """What is in it."""
        ...

    @property
    def n_bytes(self) -> int:
        """How large it is."""
        ...


File = TypeVar("File", bound=OfShelf)


def to_merge(files: Iterable[File], before: date) -> Mapping[Shelf, Sequence[File]]:
    """The small files of days before one, of each shelf that has several."""
    shelves: dict[Shelf, list[File]] = {}
    for one in files:
        if one.shelf.day < before and one.n_bytes < SMALL_BYTES:
            shelves.setdefault(one.shelf, []).append(one)
    return {shelf: its for shelf, its in shelves.items() if len(its) > 1}


def too_old_or_much(
    files: Sequence[File], age: timedelta | None, n_bytes: int | None
) -> Sequence[File]:
    """Of files, the oldest first: those of days that are wholly older than ``age``, and then the
    first ones until the rest has ``n_bytes``.
    """
    unwanted: list[File] = []
    if age is not None:
        oldest = (datetime.now(UTC) - age).date()
        unwanted = [one for one in files if one.shelf.day < oldest]
    rest = files[len(unwanted) :]
    if n_bytes is not None:
        held = sum(one.n_bytes for one in rest)
        for one in rest:
            if held <= n_bytes:
                break
            unwanted.append(one)
            held -= one.n_bytes
    return unwanted


def merged_name(sources: Sequence[Path]) -> str:
    """The name of the file that is made of these, all of one layout."""
    names = "\n".join(one.name for one in sources)
    digest = hashlib.blake2b(names.encode(), digest_size=8).hexdigest()
    layout = sources[0].stem.rpartition("-")[2]
    return f"{MERGED}{digest}-{layout}{PARQUET}"


def write_merged(sources: Sequence[Path], path: Path) -> None:
    """Write one file with the rows of all, which says in its footer that it replaces them."""
    schema = pq.read_schema(sources[0])
    n_rows = sum(pq.read_metadata(one).num_rows for one in sources)
    names = [one.name for one in sources]
    publish(path, schema, _row_groups(sources, schema), n_rows, made_of=names)


def _row_groups(sources: Sequence[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of all files, a row group at a time."""
    held: list[pa.Table] = []
    n_rows = 0
    for one in sources:
        with pq.ParquetFile(one) as file:
            for batch in file.iter_batches(ROW_GROUP_ROWS):
                held.append(pa.Table.from_batches([batch]).cast(schema))
                n_rows += batch.num_rows
                if n_rows >= ROW_GROUP_ROWS:
                    yield pa.concat_tables(held)
                    held, n_rows = [], 0
    if held:
        yield pa.concat_tables(held)
