"""Parquet files that lie elsewhere, as a dataset that is read a row group at a time.

A file system of fsspec is Python: whoever reads from it needs the interpreter's lock. DuckDB asks a
dataset for a reader, and pyarrow's own begins to read ahead with that lock held, and is waited for
with it held where a scan is left before its end: one waits for the other, and nothing in the
process goes on. Here a row group is read to its end, without the lock, before the next is begun.

Source: pyarrow 25.0.1, ``_dataset.pyx``: ``Scanner.to_reader`` and ``Scanner.to_table``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow.fs import FSSpecHandler, PyFileSystem


class ScannedDataset(ds.FileSystemDataset):  # type: ignore[misc]
    """The files of some paths on a file system of fsspec; all have the schema."""

    def __init__(self, paths: Sequence[str], schema: pa.Schema, filesystem: Any) -> None:
        files, form = PyFileSystem(FSSpecHandler(filesystem)), ds.ParquetFileFormat()
        fragments = [form.make_fragment(path, filesystem=files) for path in paths]
        super().__init__(fragments, schema, form, files)

    def scanner(
        self, columns: Sequence[str] | None = None, filter: pc.Expression | None = None
    ) -> Scanned:
        """What is asked for of it, not read yet."""
        return Scanned(self, columns, filter)


class Scanned:
    """Some columns of the rows for which ``filter`` is true, None for all."""

    def __init__(
        self, dataset: ScannedDataset, columns: Sequence[str] | None, filter: pc.Expression | None
    ) -> None:
        self._dataset = dataset
        self._asked = {"columns": columns, "filter": filter}

    def to_reader(self) -> pa.RecordBatchReader:
        """A reader of the rows."""
        plain = super(ScannedDataset, self._dataset).scanner(**self._asked)
        return pa.RecordBatchReader.from_batches(plain.projected_schema, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        schema, filter = self._dataset.schema, self._asked["filter"]
        for file in self._dataset.get_fragments():
            for group in file.split_by_row_group(filter, schema):
                yield from group.to_table(schema=schema, **self._asked).to_batches()
