"""Recorded predictions as lineage asks for them: records turned back into columns and outputs.

Numbers are given in the widest form of their kind, int64 and float64, on both sides of a
comparison: widening is exact, so values that are the same bits then were so before. A class is
given as its label, as the manifest has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from modelway.bundles.manifest import read_manifest
from modelway.bundles.store import Bundle
from modelway.composition.leaving import left
from modelway.domain.errors import InvalidInput, PredictionNotFound
from modelway.domain.inference import Outputs
from modelway.domain.signature import Datatype, Scalar
from modelway.domain.stopping import Limit
from modelway.domain.tables import NUMPY_DTYPES, Array, Table
from modelway.lineage.ports import Batch, Batched, Recorded
from modelway.records.ports import RecordReader
from modelway.settings import Settings

_KEPT, _SHADOW, _OK = "kept", "shadow", "ok"
_ANSWER_S = 120.0
"""So long a model may take to be opened and to answer what is replayed."""

_TEXTS = (Datatype.STRING, Datatype.BYTES, Datatype.CATEGORICAL)


class RecordedPredictions:
    """The predictions of ``reader``; ``bundle`` gives that of a digest, None if it is not here."""

    def __init__(self, reader: RecordReader, bundle: Callable[[str], Bundle | None]) -> None:
        self._reader = reader
        self._bundle = bundle

    def find(self, prediction_id: str, endpoint: str | None = None) -> Recorded:
        """A prediction as it was answered last, or else refused.

        Raises:
            PredictionNotFound: there is none.
            InvalidInput: several endpoints have one of that id, and none of them is named.
        """
        shown = self._reader.show(prediction_id)
        rows = _last([o for o in shown if o["role"] != _SHADOW and _is_of(o, endpoint)])
        if not rows:
            raise PredictionNotFound(prediction_id, endpoint)
        first = rows[0]
        answered = first["status"] == _OK and first["outputs"] is not None
        inputs = [one["inputs"] for one in rows if one["inputs"] is not None]
        return Recorded(
            prediction_id=prediction_id,
            endpoint=first["endpoint"],
            model=first["model"],
            version=first["version"],
            digest=first["digest"],
            role=first["role"],
            at=first["event_time"].replace(tzinfo=UTC),
            n_rows=len(inputs) if answered else sum(one["row"] is not None for one in rows),
            inputs={one["name"]: _column(one, inputs) for one in first["columns"]},
            outputs=self._outputs(first["digest"], rows) if answered else None,
            status=first["status"],
            batch=self._batch(first["batch"]),
            parameters=msgspec.json.decode(first["parameters"]) if first["parameters"] else None,
        )

    def _outputs(self, digest: str | None, rows: Sequence[Mapping[str, Any]]) -> Outputs:
        bundle = self._bundle(digest) if digest else None
        classes = None if bundle is None else bundle.manifest.classes
        found: dict[str, Array] = {}
        for name in rows[0]["outputs"]:
            values = [one["outputs"][name] for one in rows]
            if name == "prediction" and classes is not None:
                places = {_label(one): place for place, one in enumerate(classes)}
                found[name] = np.array(classes)[[places[_label(one)] for one in values]]
            else:
                found[name] = _widest(values)
        return found

    def _batch(self, said: Mapping[str, Any] | None) -> Batch | None:
        if said is None:
            return None
        name = str(said["id"]).replace("'", "''")
        answers = self._reader.query(
            "select prediction_id, min(batch.place), count(*) from predictions "  # noqa: S608 - quoted
            f"where batch.id = '{name}' and role <> '{_SHADOW}' group by prediction_id"
        )
        members = tuple(Batched(id, place, n_rows) for id, place, n_rows in answers.rows)
        return Batch(said["rows"], members)


def _is_of(row: Mapping[str, Any], endpoint: str | None) -> bool:
    return endpoint is None or row["endpoint"] == endpoint


def _last(rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The rows of one prediction among those of an id, which a caller may have brought again.

    Raises:
        InvalidInput: they are of several endpoints.
    """
    endpoints = sorted({one["endpoint"] for one in rows})
    if len(endpoints) > 1:
        raise InvalidInput(
            f"{rows[0]['prediction_id']} is the id of predictions of {', '.join(endpoints)}",
            hint=f"say which is meant: modelway trace ID --endpoint {endpoints[0]}",
        )
    times = [(one["status"] == _OK, one["event_time"]) for one in rows]
    last = max(times, default=None)
    return [one for one, time in zip(rows, times, strict=True) if time == last]


def answer_of(settings: Settings) -> Callable[[Path, Table], Outputs]:
    """What the bundle in a folder gives for a table, in the form of recorded outputs.

    It is asked in a process of its own, which is ended when whoever asks has left.
    """
    from modelway.composition.answering_apart import answer_apart

    def answer(folder: Path, table: Table) -> Outputs:
        limit = Limit(_ANSWER_S, left())
        allow_pickle = settings.bundles.allow_pickle
        outputs = answer_apart(folder, table, settings.inference, limit, allow_pickle=allow_pickle)
        classes = read_manifest(folder).classes
        if classes is not None and "class_index" in outputs:
            index = outputs["class_index"]
            others = {name: one for name, one in outputs.items() if name != "class_index"}
            outputs = {"prediction": np.array(classes)[index], **others}
        return {name: _widened(values) for name, values in outputs.items()}

    return answer


def _column(said: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]]) -> Array | None:
    """A column as a table holds it, None where it was not kept."""
    if said["form"] != _KEPT:
        return None
    values = [one[said["field"]] for one in inputs]
    datatype = Datatype(said["datatype"])
    if any(isinstance(value, list) for value in values):
        return np.array(values, NUMPY_DTYPES[datatype])
    if datatype is Datatype.DATETIME:
        return np.array(
            [np.datetime64("NaT") if v is None else v for v in values], "datetime64[us]"
        )
    if datatype in _TEXTS and not all(isinstance(v, int | float | None) for v in values):
        texts = np.empty(len(values), dtype=object)
        texts[:] = values
        return texts
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _label(label: Scalar) -> object:
    """A label as it is compared: records may hold a whole number as a float, or any as text."""
    if isinstance(label, bool | str):
        return str(label)
    return str(int(label)) if float(label).is_integer() else str(label)


def _widest(values: Sequence[Any]) -> Array:
    kinds = {type(value) for value in np.array(values, dtype=object).ravel()}
    if kinds <= {bool}:
        return np.array(values, np.bool_)
    if kinds <= {int}:
        return np.array(values, np.int64)
    if kinds <= {int, float, type(None)}:
        return np.array(values, np.float64)
    return np.array(values, dtype=object)


def _widened(values: Array) -> Array:
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    return values.astype(np.float64) if values.dtype.kind == "f" else values
