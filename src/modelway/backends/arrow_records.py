"""Frames as Arrow tables: one row a record, every value in a type of its own.

Columns: ``prediction_id``, ``row`` (null for a request of which no row is known), ``endpoint``,
``model``, ``version``, ``digest``, ``role``, ``event_time`` and ``record_time`` (UTC), ``status``
(``ok`` or the error's code), ``latency_s``, ``principal``, ``sampling_rate``, ``batch`` (its name,
the place of the request's first row in it, its rows; null where that does not matter),
``parameters`` (JSON), and, where there are any, ``inputs`` and ``outputs`` as structs.

Tables of one *layout* have the same schema. What stands in the signature, and how, is in the
schema's metadata under ``modelway.columns``: name, datatype, form (``kept``, ``hashed`` or
``dropped``), the field of ``inputs`` that holds it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from modelway.domain.signature import Datatype, Scalar
from modelway.domain.tables import NUMPY_DTYPES, Array
from modelway.records.frames import OK, Frame, Named
from modelway.records.joining import RECORDED_AT, joined
from modelway.records.values import Texts, Values

COLUMNS = b"modelway.columns"

_DAY_US = 86_400_000_000
_BATCH = pa.struct([("id", pa.string()), ("place", pa.int64()), ("rows", pa.int64())])


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where records belong: the endpoint, the day (UTC) of their event time, and the layout."""

    endpoint: str
    day: date
    layout: str


def shelved(frames: Iterable[Frame]) -> dict[Shelf, pa.Table]:
    """The records of frames as one table a shelf; alike ones are in the order of the frames."""
    found: dict[Shelf, list[pa.Table]] = {}
    for frame in joined(frames):
        table, days = _table(frame)
        layout = layout_of(table.schema)
        for number in np.unique(days).tolist():
            shelf = Shelf(frame.head.endpoint, _date(number), layout)
            mine = days == number
            rows = table if mine.all() else table.filter(pa.array(mine))
            found.setdefault(shelf, []).append(rows)
    return {shelf: pa.concat_tables(tables) for shelf, tables in found.items()}


def layout_of(schema: pa.Schema) -> str:
    """Twelve hexadecimal digits that tell schemas apart."""
    fields = "\n".join(f"{one.name}: {one.type}" for one in schema)
    raw = fields.encode() + (schema.metadata or {}).get(COLUMNS, b"")
    return hashlib.blake2b(raw, digest_size=6).hexdigest()


def columns_in(schema: pa.Schema) -> list[dict[str, str]]:
    """What the metadata says of the signature's columns, in its order."""
    raw = (schema.metadata or {}).get(COLUMNS, b"[]")
    return msgspec.json.decode(raw, type=list[dict[str, str]])


def unique_names(names: Sequence[str]) -> list[str]:
    """The names, with a number behind those that differ from an earlier one in case at most."""
    taken: set[str] = set()
    found = []
    for name in names:
        unique, number = name or "_", 2
        while unique.lower() in taken:
            unique, number = f"{name}_{number}", number + 1
        taken.add(unique.lower())
        found.append(unique)
    return found


def _date(number: int) -> date:
    return datetime.fromtimestamp(number * 86_400, UTC).date()


class _Places:
    """Which request and which row of the frame each record is of."""

    def __init__(self, frame: Frame) -> None:
        n = frame.head.n_requests
        said = frame.request("rows")
        rows = np.ones(n, np.int64) if said is None else _numbers(said)
        self.are_single = said is None
        self.request = np.repeat(np.arange(n), np.maximum(rows, 1))
        begins = np.cumsum(np.maximum(rows, 1)) - np.maximum(rows, 1)
        within = np.arange(len(self.request)) - begins[self.request]
        first = frame.request("first")
        shift = np.zeros(n, np.int64) if first is None else _numbers(first)
        self.unknown = (rows == 0)[self.request]
        row = within + shift[self.request]
        self.row = pa.array(row, pa.int32(), mask=self.unknown)
        self._is_first = (row == 0) & ~self.unknown
        self._source = np.cumsum(~self.unknown) - 1

    def of_requests(self, values: pa.Array) -> pa.Array:
        """One value a request, as one value a record."""
        return values if self.are_single else values.take(pa.array(self.request))

    def of_rows(self, values: pa.Array, per_row: bool) -> pa.Array:
        """One value a row, or one a request that stands with its first row, a record each."""
        if not per_row:
            return values.take(pa.array(self.request, mask=~self._is_first))
        if self.unknown.any():
            return values.take(pa.array(self._source, mask=self.unknown))
        return values


def _table(frame: Frame) -> tuple[pa.Table, npt.NDArray[np.int64]]:
    """The records of a joined frame, and the day of each, counted from 1970."""
    head, places = frame.head, _Places(frame)
    n = len(places.request)
    event_at = _required(frame, "event_at")[places.request]
    recorded_at = _required(frame, RECORDED_AT)[places.request]
    identity = head.identity
    columns: dict[str, pa.Array] = {
        "prediction_id": places.of_requests(_optional(frame, "ids", pa.string())),
        "row": places.row,
        "endpoint": pa.repeat(head.endpoint, n),
        "model": pa.repeat(pa.scalar(identity.model, pa.string()), n),
        "version": pa.repeat(pa.scalar(identity.version, pa.string()), n),
        "digest": pa.repeat(pa.scalar(identity.digest, pa.string()), n),
        "role": pa.repeat(identity.role, n),
        "event_time": pa.array(event_at).cast(pa.timestamp("us")),
        "record_time": pa.array(recorded_at).cast(pa.timestamp("us")),
        "status": _status(frame, places),
        "latency_s": places.of_requests(pa.array(_required(frame, "latency"))),
        "principal": places.of_requests(_optional(frame, "principal", pa.string())),
        "sampling_rate": pa.repeat(head.sampling_rate, n),
        "batch": places.of_requests(_batch(frame)),
        "parameters": places.of_requests(_optional(frame, "parameters", pa.string())),
    }
    inputs, outputs = list(frame.inputs()), list(frame.outputs())
    fields = dict(zip(_kept(frame), unique_names(_kept(frame)), strict=True))
    if inputs:
        named = {fields[one.name]: _input(one, head.is_tabular) for one in inputs}
        columns["inputs"] = _struct(named, inputs, places)
    if outputs:
        named = _named_outputs(outputs, identity.classes)
        columns["outputs"] = _struct(named, outputs, places)
    said = [
        {"name": one.name, "datatype": one.datatype, "form": one.form, "field": fields[one.name]}
        if one.form != "dropped"
        else {"name": one.name, "datatype": one.datatype, "form": one.form}
        for one in head.columns
    ]
    table = pa.table(columns).replace_schema_metadata({COLUMNS: msgspec.json.encode(said)})
    return table, event_at // _DAY_US


def _kept(frame: Frame) -> list[str]:
    return [one.name for one in frame.head.columns if one.form != "dropped"]


def _numbers(values: Values) -> Array:
    if isinstance(values, Texts):
        raise TypeError("expected numbers, found texts")
    return values


def _required(frame: Frame, name: str) -> Array:
    values = frame.request(name)
    if values is None:
        raise KeyError(name)
    return _numbers(values)


def _optional(frame: Frame, name: str, kind: pa.DataType) -> pa.Array:
    values = frame.request(name)
    return pa.nulls(frame.head.n_requests, kind) if values is None else plain(values)


def _status(frame: Frame, places: _Places) -> pa.Array:
    codes = frame.request("status")
    if codes is None:
        return pa.repeat(OK, len(places.request))
    return places.of_requests(plain(codes))


def _batch(frame: Frame) -> pa.Array:
    names = frame.request("batch_id")
    if names is None:
        return pa.nulls(frame.head.n_requests, _BATCH)
    ids = plain(names)
    parts = [
        ids,
        pa.array(_required(frame, "batch_place")),
        pa.array(_required(frame, "batch_rows")),
    ]
    return pa.StructArray.from_arrays(parts, fields=list(_BATCH), mask=ids.is_null())


def _struct(
    named: Mapping[str, pa.Array], sources: Sequence[Named], places: _Places
) -> pa.StructArray:
    arrays = [
        places.of_rows(array, source.per_row)
        for array, source in zip(named.values(), sources, strict=True)
    ]
    mask = pa.array(places.unknown) if places.unknown.any() else None
    return pa.StructArray.from_arrays(arrays, names=list(named), mask=mask)


def _named_outputs(
    outputs: Sequence[Named], classes: Sequence[Scalar] | None
) -> dict[str, pa.Array]:
    """The outputs by name; the position of a class becomes ``prediction``, the label itself."""
    names, arrays = [], []
    for one in outputs:
        if one.name == "class_index" and classes is not None and not isinstance(one.values, Texts):
            names.append("prediction")
            arrays.append(labels(classes).take(pa.array(one.values)))
        else:
            names.append(one.name)
            arrays.append(plain(one.values))
    return dict(zip(unique_names(names), arrays, strict=True))


def labels(classes: Sequence[Scalar]) -> pa.Array:
    """The labels as Booleans, whole numbers or numbers where all are, else as text."""
    kinds = {type(one) for one in classes}
    if kinds <= {bool} or kinds <= {int} or kinds <= {float}:
        return pa.array(list(classes))
    if kinds <= {int, float}:
        return pa.array([float(one) for one in classes])
    return pa.array([str(one) for one in classes])


def _input(one: Named, is_tabular: bool) -> pa.Array:
    values = one.values
    if isinstance(values, Texts) or not is_tabular:
        return plain(values)
    if values.dtype.kind == "M":
        return pa.array(values.astype("datetime64[us]"), mask=np.isnat(values))
    missing = np.isnan(values)
    datatype = Datatype(one.datatype)
    dtype = NUMPY_DTYPES.get(datatype, np.dtype(np.int64))
    if datatype is Datatype.FP16:
        dtype = np.dtype(np.float32)
    filled = np.where(missing, 0, values) if missing.any() else values
    return pa.array(filled.astype(dtype), mask=missing)


def plain(values: Values) -> pa.Array:
    """Values as Arrow has them: texts as text, more axes as nested lists, float16 as float32."""
    if not isinstance(values, Texts):
        kind = values.dtype.kind
        if values.dtype == np.float16:
            values = values.astype(np.float32)
        elif kind == "M":
            values = values.astype("datetime64[us]")
        elif kind == "m":
            values = values.astype("timedelta64[us]").astype(np.int64)
        elif kind == "c":
            values = np.stack([values.real, values.imag], axis=-1)
        return _nested(pa.array(np.ascontiguousarray(values).ravel()), values.shape)
    missing = values.lengths < 0
    offsets = values.offsets
    kind = pa.large_binary() if values.is_binary else pa.large_string()
    validity = np.packbits(~missing, bitorder="little").tobytes() if missing.any() else None
    parts = [
        None if validity is None else pa.py_buffer(validity),
        pa.py_buffer(offsets.tobytes()),
        pa.py_buffer(values.joined),
    ]
    flat = pa.Array.from_buffers(kind, len(values.lengths), parts)
    return _nested(flat.cast(pa.binary() if values.is_binary else pa.string()), values.shape)


def _nested(flat: pa.Array, shape: tuple[int, ...]) -> pa.Array:
    """The values of an array of this shape, as lists of lists a row."""
    for axis in range(len(shape) - 1, 0, -1):
        outer = int(np.prod(shape[:axis], dtype=np.int64))
        offsets = np.arange(outer + 1, dtype=np.int64) * shape[axis]
        flat = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat)
    return flat
