"""The reader of records: DuckDB over Parquet files and over segments that are not sealed yet.

Each call sees the records of one moment. SQL that others write meets relations and nothing else:
one SELECT at a time, no file, no network, no extension, no setting that it could change. The files
are opened by Arrow for DuckDB, which itself may open none.

Source: DuckDB, "Securing DuckDB".
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from modelway.backends.arrow_records import Shelf, columns_in, shelved
from modelway.backends.duckdb_export import write_rows
from modelway.backends.duckdb_views import NESTED, Relation, statements
from modelway.backends.parquet_files import Snapshot
from modelway.backends.parquet_look import Look, look
from modelway.backends.parquet_scanned import ScannedDataset
from modelway.backends.parquet_sent import SentRecords
from modelway.domain.errors import InvalidInput, PredictionNotFound, Unavailable
from modelway.domain.stopping import Limit
from modelway.records.frames import frames_in
from modelway.records.labels import Label
from modelway.records.ports import Answers, Coverage, ExportFormat

Result = TypeVar("Result")

MOST_BYTES = 32 * 1024 * 1024
"""About so many bytes one query gives where its rows are bounded."""

_NUMBER_BYTES = 8
_TRIES = 20
_WAIT_S = 0.005
_CLOSED = {
    "enable_external_access": False,
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "python_enable_replacements": False,
    "temp_directory": "",
    # Predictions are answered beside it, by the same cores and from the same memory.
    "memory_limit": "2GB",
    "threads": 1,
}

_LABELS = pa.schema(
    [
        ("prediction_id", pa.string()),
        ("row", pa.int32()),
        ("value", pa.string()),
        ("number", pa.float64()),
        ("at", pa.timestamp("us")),
        ("received_at", pa.timestamp("us")),
        ("source", pa.string()),
        ("revision", pa.int64()),
    ]
)

_COVERAGE = """
WITH answered AS (
    SELECT endpoint, prediction_id, "row", min(event_time) AS event_time FROM predictions
    WHERE status = 'ok' AND role <> 'shadow' AND "row" IS NOT NULL
    GROUP BY endpoint, prediction_id, "row"
), aged AS (
    SELECT a.endpoint, l.prediction_id IS NOT NULL AS is_labelled, CASE
        WHEN a.event_time > $now - INTERVAL 1 HOUR THEN 0
        WHEN a.event_time > $now - INTERVAL 1 DAY THEN 1
        WHEN a.event_time > $now - INTERVAL 7 DAY THEN 2 ELSE 3 END AS age
    FROM answered a LEFT JOIN labels l
    ON l.prediction_id = a.prediction_id AND l."row" = a."row"
)
SELECT endpoint, age, count(*), count(*) FILTER (is_labelled) FROM aged
GROUP BY endpoint, age ORDER BY endpoint, age"""
_ALL = "SELECT * FROM predictions"
_OF_ONE = """SELECT * FROM read_parquet($files, hive_partitioning = false)
WHERE prediction_id = $id"""

_AGES = ("<1h", "<1d", "<7d", "older")


class DuckdbRecords:
    """Reads the records below ``root``; ``labels`` gives the newest label of every row.

    ``sent`` are those that lie elsewhere, None where none do. ``deadline_s`` is how long a
    statement may take; it ends before, when what ``left`` gives its thread is set. Any thread may
    ask.
    """

    def __init__(
        self,
        root: Path,
        labels: Callable[[], Iterable[Label]] = tuple,
        deadline_s: float = 300.0,
        sent: SentRecords | None = None,
        left: Callable[[], threading.Event] = threading.Event,
    ) -> None:
        self._root = root
        self._sent = sent
        self._labels = labels
        self._deadline_s = deadline_s
        self._left = left

    def query(self, sql: str, *, most_rows: int | None = None) -> Answers:
        """What one SELECT gives, at most ``most_rows`` rows and ``MOST_BYTES`` of it.

        Without ``most_rows`` all of it is given.

        Raises:
            InvalidInput: it is not one SELECT, wants what is not there, or cannot be answered.
            DeadlineExceeded: it took too long.
            Unavailable: whoever asked has left, the files were changed again and again while they
                were read, or records that lie elsewhere cannot be reached.
        """
        check_select(sql)

        def answer() -> Answers:
            with self._opened(sql) as connection:
                found = connection.execute(sql)
                columns = [one[0] for one in found.description]
                if most_rows is None:
                    return Answers(columns, found.fetchall())
                return Answers(columns, *_first(found, most_rows))

        return _steady(answer)

    def show(self, prediction_id: str) -> Sequence[Mapping[str, Any]]:
        """Every record of a prediction, live before shadows, by row; inputs and outputs by name.

        ``columns`` says of each column of the signature its name, datatype, form (``kept``,
        ``hashed`` or ``dropped``) and, where anything is kept, the field of ``inputs``.
        Of an id that says when it was made (UUIDv7) only the files of that day are opened.

        Raises:
            PredictionNotFound: there is none.
            Unavailable: none is here, and records that lie elsewhere cannot be reached.
        """
        try:
            found = self._found(prediction_id, self._looked)
        except Unavailable:
            found = self._found(prediction_id, lambda days: look(self._root, None, days))
            if not found:
                raise
        if not found:
            raise PredictionNotFound(prediction_id)
        return sorted(found, key=_order)

    def export(self, path: Path, sql: str | None, form: ExportFormat) -> int:
        """Write what a SELECT gives, or all predictions, to a file; gives how many rows.

        Raises:
            InvalidInput: as for ``query``.
            TargetExists: the file is there already.
        """
        sql = _ALL if sql is None else sql
        check_select(sql)

        def written() -> int:
            with self._opened(sql) as connection:
                return write_rows(connection, sql, path, form)

        return _steady(written)

    def coverage(self) -> Sequence[Coverage]:
        """How many rows of each endpoint and age are labelled."""
        now = datetime.now(UTC).replace(tzinfo=None)

        def counted() -> list[Coverage]:
            with self._opened(_COVERAGE) as connection:
                rows = connection.execute(_COVERAGE, {"now": now}).fetchall()
            return [Coverage(name, _AGES[age], n, labelled) for name, age, n, labelled in rows]

        return _steady(counted)

    @contextmanager
    def _opened(self, sql: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for ``sql`` that sees the views alone, for as long as it may take.

        Raises:
            FileNotFoundError: files that were to be read have been replaced.
        """
        records = self._looked()
        with duckdb.connect(":memory:", config=dict(_CLOSED)) as connection:
            relations: dict[str, list[Relation]] = {}
            for place, (shelf, one) in enumerate(_sources(records)):
                name = f"_records_{place}"
                connection.register(name, one)
                relations.setdefault(shelf.endpoint, []).append((name, one.schema))
            # Labels are read whole: only for what names them, or ``labelled``.
            with_labels = "label" in sql.lower()
            if with_labels:
                connection.register("labels", _label_table(self._labels()))
            for statement in statements(relations, labelled=with_labels):
                connection.execute(statement)
            connection.execute("SET lock_configuration = true")
            limit = Limit(self._deadline_s, self._left())
            try:
                with limit.on("the query", connection.interrupt):
                    yield connection
            except duckdb.Error as error:
                if self._looked().files != records.files:
                    raise FileNotFoundError("the records were changed") from error
                raise InvalidInput(f"the query cannot be answered: {error}") from error

    def _looked(self, days: Sequence[date] | None = None) -> Look:
        return look(self._root, self._sent, days)

    def _found(
        self, prediction_id: str, looked: Callable[[Sequence[date] | None], Look]
    ) -> list[Mapping[str, Any]]:
        day = _day_of(prediction_id)
        days = None if day is None else [day + timedelta(days=k) for k in (-1, 0, 1)]
        found = _steady(lambda: self._of(prediction_id, looked(days)))
        if not found and days is not None:
            # Callers may bring ids that were made on another day.
            found = _steady(lambda: self._of(prediction_id, looked(None)))
        return found

    def _of(self, prediction_id: str, records: Look) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        for _, paths, filesystem in records.groups():
            with records.told():
                rows = _rows_of(prediction_id, paths, filesystem)
                if rows:
                    schema = pq.read_schema(paths[0], filesystem=filesystem)
                    found += _whole(rows, columns_in(schema))
        for _, table in _unsealed(records.here):
            mine = ds.field("prediction_id") == prediction_id
            found += _whole(table.filter(mine).to_pylist(), columns_in(table.schema))
        return found


def _rows_of(prediction_id: str, paths: Sequence[str], filesystem: Any) -> list[dict[str, Any]]:
    """The records of a prediction in some files of one layout.

    Raises:
        FileNotFoundError: one has been replaced.
    """
    # A second thread of DuckDB may wait for the interpreter, to ask the file system, while the one
    # that asks has it and waits for that thread: then nothing in this process goes on.
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        if filesystem is not None:
            connection.register_filesystem(filesystem)
            paths = [str(filesystem.unstrip_protocol(one)) for one in paths]
        # Row groups are passed over by the range of their ids and by their Bloom filters.
        parameters = {"files": paths, "id": prediction_id}
        try:
            found = connection.sql(_OF_ONE, params=parameters).to_arrow_table().to_pylist()
        except duckdb.Error as error:
            raise FileNotFoundError(f"records cannot be read: {error}") from error
    return list(found)


def _order(record: Mapping[str, Any]) -> tuple[bool, str, int]:
    return record["role"] == "shadow", record["version"] or "", record["row"] or 0


def _whole(
    rows: Sequence[dict[str, Any]], columns: Sequence[Mapping[str, str]]
) -> Iterator[Mapping[str, Any]]:
    """The records of one layout, with what is said of their columns."""
    return ({**dict.fromkeys(NESTED), **row, "columns": columns} for row in rows)


def check_select(sql: str) -> None:
    """Do nothing if the text is one SELECT.

    Raises:
        InvalidInput: it is not.
    """
    try:
        found = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise InvalidInput(f"the query is not SQL: {error}") from error
    if len(found) != 1 or found[0].type != duckdb.StatementType.SELECT:
        kinds = ", ".join(one.type.name for one in found[:5]) or "nothing"
        raise InvalidInput(
            f"expected one SELECT statement, got {kinds}",
            hint="records are only read here: modelway record export writes files",
        )


def _first(found: duckdb.DuckDBPyConnection, most_rows: int) -> tuple[list[tuple[Any, ...]], bool]:
    """The first rows of what was found, and whether there are more."""
    rows: list[tuple[Any, ...]] = []
    n_bytes = 0
    while (row := found.fetchone()) is not None:
        n_bytes += _size(row)
        if len(rows) == most_rows or n_bytes > MOST_BYTES:
            return rows, True
        rows.append(row)
    return rows, False


def _size(value: Any) -> int:
    """About how many bytes a value takes as JSON."""
    if isinstance(value, str | bytes):
        return len(value) + 3
    if isinstance(value, Mapping):
        return sum(_size(one) for pair in value.items() for one in pair) + 2
    if isinstance(value, list | tuple):
        return sum(map(_size, value)) + 2
    return _NUMBER_BYTES


def _steady(work: Callable[[], Result]) -> Result:
    """The result of work on a snapshot, tried again where files were replaced meanwhile."""
    for tried in range(_TRIES):
        try:
            return work()
        except (FileNotFoundError, duckdb.IOException) as error:
            last = error
        time.sleep(_WAIT_S * tried)
    raise Unavailable(f"the records changed while they were read: {last}") from last


def _sources(records: Look) -> Iterator[tuple[Shelf, ds.Dataset | pa.Table]]:
    """One relation for the files of an endpoint and layout, and one for what is not sealed."""
    for shelf, paths, filesystem in records.groups():
        with records.told():
            schema = pq.read_schema(paths[0], filesystem=filesystem)
        if filesystem is None:
            yield shelf, ds.dataset(paths, schema=schema, format="parquet")
        else:
            yield shelf, ScannedDataset(paths, schema, filesystem)
    yield from _unsealed(records.here)


def _unsealed(records: Snapshot) -> Iterator[tuple[Shelf, pa.Table]]:
    """The records of segments, one table an endpoint and layout."""
    found: dict[tuple[str, str], list[tuple[Shelf, pa.Table]]] = {}
    for data in records.segments.values():
        for shelf, table in shelved(frames_in(data)).items():
            found.setdefault((shelf.endpoint, shelf.layout), []).append((shelf, table))
    for same in found.values():
        yield same[0][0], pa.concat_tables([table for _, table in same])


def _label_table(labels: Iterable[Label]) -> pa.Table:
    """The newest label of every row; texts as in ``predictions``, numbers beside them."""
    newest: dict[tuple[str, int], Label] = {}
    for one in labels:
        known = newest.get((one.prediction_id, one.row))
        if known is None or known.revision < one.revision:
            newest[one.prediction_id, one.row] = one
    rows = list(newest.values())
    arrays = [
        [one.prediction_id for one in rows],
        [one.row for one in rows],
        [_text(one.value) for one in rows],
        [_number(one.value) for one in rows],
        [_naive(one.at) for one in rows],
        [_naive(one.received_at) for one in rows],
        [one.source for one in rows],
        [one.revision for one in rows],
    ]
    columns = [pa.array(array, one.type) for array, one in zip(arrays, _LABELS, strict=True)]
    return pa.Table.from_arrays(columns, schema=_LABELS)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _naive(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _day_of(prediction_id: str) -> date | None:
    """The day (UTC) on which a UUIDv7 was made; None of any other id."""
    try:
        found = UUID(prediction_id)
    except ValueError:
        return None
    if found.version != 7:
        return None
    try:
        return datetime.fromtimestamp((found.int >> 80) / 1000, UTC).date()
    except (OverflowError, ValueError, OSError):
        return None
