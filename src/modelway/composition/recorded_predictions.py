"""Recorded predictions as lineage asks for them: records turned back into columns and outputs.

Numbers are given in the widest form of their kind, int64 and float64, on both sides of a
comparison: widening is exact, so values that are the same bits then were so before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from modelway.bundles.store import Bundle
from modelway.domain.errors import PredictionNotFound
from modelway.domain.inference import Outputs
from modelway.domain.signature import Datatype, Scalar
from modelway.domain.tables import NUMPY_DTYPES, Array, Table
from modelway.lineage.ports import Batch, Batched, Recorded
from modelway.records.ports import RecordReader
from modelway.settings import Settings

_KEPT, _SHADOW, _OK = "kept", "shadow", "ok"
_TEXTS = (Datatype.STRING, Datatype.BYTES, Datatype.CATEGORICAL)


class RecordedPredictions:
    """The predictions of ``reader``; ``bundle`` gives that of a digest, None if it is not here."""

    def __init__(self, reader: RecordReader, bundle: Callable[[str], Bundle | None]) -> None:
        self._reader = reader
        self._bundle = bundle

    def find(self, prediction_id: str) -> Recorded:
        """A prediction as it was answered or refused. Raises PredictionNotFound."""
        rows = [one for one in self._reader.show(prediction_id) if one["role"] != _SHADOW]
        if not rows:
            raise PredictionNotFound(prediction_id)
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
                found["class_index"] = np.array([places[_label(one)] for one in values], np.int64)
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


def answer_of(settings: Settings) -> Callable[[Path, Table], Outputs]:
    """What the bundle in a folder gives for a table, in the form of recorded outputs."""
    from modelway.composition.frameworks import open_runtime
    from modelway.inference.loading import load_model

    def answer(folder: Path, table: Table) -> Outputs:
        model = load_model(
            folder.name,
            folder,
            lambda *of: open_runtime(*of, allow_pickle=settings.bundles.allow_pickle),
            settings.inference,
        )
        try:
            outputs = model.execution.predict(table)
            return {name: _widened(values) for name, values in outputs.items()}
        finally:
            model.execution.abandon()

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
