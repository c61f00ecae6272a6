"""Operations on records: asking what was predicted, and removing what is not to be kept."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

from modelway.access.auditing import Audited
from modelway.access.keys import Key
from modelway.composition.confining import confine
from modelway.composition.control import Control, now
from modelway.composition.model_operations import Nothing
from modelway.composition.operations import Operation
from modelway.domain.errors import InvalidInput, PredictionNotFound
from modelway.records.labelling import split_row
from modelway.records.policy import hashed_text
from modelway.records.ports import ExportFormat

MOST_ROWS = 100_000
"""So many rows one query gives; more of them are exported."""

Choice = Literal["parquet", "csv", "jsonl"]


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One SELECT over ``predictions``, ``labels``, ``labelled`` and the endpoints by their names.

    ``limit`` is how many rows come at most, and no more of them than 32 MiB hold.
    """

    sql: str
    limit: int = 1_000


class OfPrediction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prediction by its id, or a row of it: ``ID:k``."""

    id: str


class Export(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is written to a file: what a SELECT gives, or all predictions.

    ``form`` is taken from the file's name where it is not said.
    """

    path: str
    sql: str | None = None
    form: Choice | None = None


class Erase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose records go: those with ``value`` in ``column``."""

    column: str
    value: str | float | bool


class Retain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept: days, and bytes; None as the settings say, 0 is no bound."""

    days: int | None = None
    n_bytes: int | None = None


class Found(msgspec.Struct, frozen=True):
    """What a query gave, in JSON's types; there are more rows where it is ``truncated``."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    truncated: bool


class Covered(msgspec.Struct, frozen=True):
    """How many rows of an endpoint and age were predicted, and which share is labelled."""

    endpoint: str
    age: str
    predicted: int
    labelled: int
    share: float


class Exported(msgspec.Struct, frozen=True):
    """A file that was written, and its rows."""

    path: str
    rows: int


class Gone(msgspec.Struct, frozen=True):
    """What was erased: records, of so many predictions, and the labels and jobs of those."""

    records: int
    predictions: int
    labels: int
    jobs: int


class Compacted(msgspec.Struct, frozen=True):
    """What was sealed into files, and how many files were merged away."""

    sealed: int
    merged: int


class Retained(msgspec.Struct, frozen=True):
    """How many files were removed."""

    removed: int


def _query(control: Control, of: Query, _: str) -> Found:
    if not 1 <= of.limit <= MOST_ROWS:
        raise InvalidInput(
            f"limit: expected a whole number from 1 to {MOST_ROWS:,}, got {of.limit}",
            hint="modelway record export writes any number of rows to a file",
        )
    found = control.records.query(of.sql, most_rows=of.limit)
    rows = [[_plain(value) for value in row] for row in found.rows]
    return Found(found.columns, rows, found.truncated)


def _show(control: Control, of: OfPrediction, _: str) -> Sequence[Mapping[str, Any]]:
    return [
        {name: _plain(value) for name, value in record.items()}
        for record in _records(control, of.id)
    ]


def _confine(control: Control, of: OfPrediction, key: Key) -> None:
    confine(key, lambda: {record["endpoint"] for record in _records(control, of.id)})


def _records(control: Control, id: str) -> Sequence[Mapping[str, Any]]:
    """The records of a prediction, or of its row. A caller's own id may end as a row's does."""
    try:
        return control.records.show(id)
    except PredictionNotFound:
        whole, row = split_row(id)
        if row is None:
            raise
    try:
        found = [one for one in control.records.show(whole) if one["row"] == row]
    except PredictionNotFound:
        found = []
    if not found:
        raise PredictionNotFound(id)
    return found


def _export(control: Control, of: Export, _: str) -> Exported:
    path = Path(of.path)
    form: ExportFormat | None = of.form or _FORMS.get(path.suffix.lower())
    if form is None:
        raise InvalidInput(
            f"{path.name} does not say what it is to be",
            hint="name it .parquet, .csv or .jsonl, or say --format",
        )
    return Exported(str(path), control.records.export(path, of.sql, form))


def _coverage(control: Control, _: Nothing, __: str) -> Sequence[Covered]:
    return [
        Covered(one.endpoint, one.age, one.predicted, one.labelled, one.share)
        for one in control.records.coverage()
    ]


def _erase(control: Control, of: Erase, actor: str) -> Gone:
    # In the trail the value stands as a keyed hash: whom it was about is not to be learnt there.
    said = hashed_text(of.value, control.records_key)
    detail = {"column": of.column, "value_hash": said}
    with Audited(control.store.audit, now).act(actor, "record.erase", of.column, detail) as act:
        control.store.generation.now()  # where the store is away nothing is begun
        beside: Counter[str] = Counter()

        def forget(ids: Sequence[str]) -> None:
            beside.update(control.forget(ids))

        erased = control.keeper.erase(of.column, of.value, forget)
        if of.column == "prediction_id":
            forget([str(of.value)])  # labels and jobs may be of what never was recorded
        n_predictions = len(erased.prediction_ids)
        gone = Gone(erased.records, n_predictions, beside["labels"], beside["jobs"])
        act.detail |= msgspec.to_builtins(gone)
    return gone


def _compact(control: Control, _: Nothing, __: str) -> Compacted:
    sealed = control.keeper.seal_once()
    return Compacted(sealed.records, control.keeper.compact(now().date()))


def _retain(control: Control, of: Retain, _: str) -> Retained:
    records = control.settings.records
    days = records.keep_days if of.days is None else of.days
    n_bytes = records.keep_bytes if of.n_bytes is None else of.n_bytes
    if days < 0 or n_bytes < 0:
        raise InvalidInput(f"expected days and bytes from 0 on, got {days} and {n_bytes}")
    if not (days or n_bytes):
        raise InvalidInput(
            "nothing says what is to go: records are kept for ever",
            hint="say --days or --bytes, or set records.keep_days or records.keep_bytes",
        )
    age = timedelta(days=days) if days else None
    return Retained(control.keeper.retain(age, n_bytes or None))


def _plain(value: Any) -> Any:
    """A value in the types of JSON; a number that JSON has not is null, what it has not is text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, bytes):
        return msgspec.to_builtins(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


_FORMS: Mapping[str, ExportFormat] = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl"}

QUERY = Operation("POST", "/records/query", Query, _query)
SHOW = Operation("GET", "/records/{id}", OfPrediction, _show, confine=_confine)
COVERAGE = Operation("GET", "/records/coverage", Nothing, _coverage)
ERASE = Operation("POST", "/records/erase", Erase, _erase)
COMPACT = Operation("POST", "/records/compact", Nothing, _compact, "record.compact")
RETAIN = Operation("POST", "/records/retain", Retain, _retain, "record.retain")
EXPORT = Operation(
    "POST",
    "/records/export",
    Export,
    _export,
    "record.export",
    learnt=lambda exported: {"rows": exported.rows},
)
"""For the home that is here alone: a file of another host would be no good to whoever asks."""

RECORD_OPERATIONS = (QUERY, COVERAGE, SHOW, ERASE, COMPACT, RETAIN)
