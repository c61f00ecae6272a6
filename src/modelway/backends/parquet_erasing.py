"""Erasing: which records of a Parquet file hold a value, and what is left without them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from modelway.backends.arrow_records import columns_in
from modelway.domain.errors import InvalidInput
from modelway.domain.signature import Datatype
from modelway.records.policy import hashed_text
from modelway.records.ports import Erased

_OWN = ("prediction_id", "principal")


class Erasing:
    """Removes the records with ``value`` in ``column``, file by file, and counts them.

    A hashed column is compared by the hash that ``key`` gives. In a column of numbers a text is
    taken as the number it says.
    """

    def __init__(self, column: str, value: str | float | bool, key: bytes) -> None:
        self._column = column
        self._value = value
        self._key = key
        self._records = 0
        self._ids: dict[str, None] = {}
        self._known: set[str] = set()
        self._was_seen = column in _OWN
        self._n_files = 0

    def rest(self, path: Path) -> pa.Table | None:
        """The records of a file that stay; None where all do."""
        self._n_files += 1
        schema = pq.read_schema(path)
        found = self._values(path, schema)
        if found is None:
            return None
        values, wanted = found
        if wanted is None:
            return None
        matches = pc.fill_null(pc.equal(values, wanted), False)
        n = pc.sum(matches).as_py() or 0
        if not n:
            return None
        table = pq.read_table(path, partitioning=None)
        self._records += n
        ids = table["prediction_id"].filter(matches).unique().to_pylist()
        self._ids.update(dict.fromkeys(ids))
        return table.filter(pc.invert(matches))

    def result(self) -> Erased:
        """What was removed.

        Raises:
            InvalidInput: no file has the column.
        """
        if self._n_files and not self._was_seen:
            known = ", ".join(sorted(self._known)[:20]) or "none"
            raise InvalidInput(
                f"no record keeps a column {self._column[:80]!r}; kept are: {known}",
                hint="prediction_id and principal can be erased by, too",
            )
        return Erased(self._records, tuple(self._ids))

    def _values(self, path: Path, schema: pa.Schema) -> tuple[Any, pa.Scalar | None] | None:
        """The column's values in a file, and the value in their type; None where it has none."""
        if self._column in _OWN:
            values = pq.read_table(path, columns=[self._column], partitioning=None)[self._column]
            return values, pa.scalar(str(self._value))
        for said in columns_in(schema):
            if "field" in said:
                self._known.add(said["name"])
            if said["name"] != self._column or "field" not in said:
                continue
            self._was_seen = True
            if "inputs" not in schema.names:
                return None
            struct = pq.read_table(path, columns=["inputs"], partitioning=None)["inputs"]
            values = pc.struct_field(
                struct, [schema.field("inputs").type.get_field_index(said["field"])]
            )
            return values, self._wanted(values.type, said)
        return None

    def _wanted(self, kind: pa.DataType, said: dict[str, str]) -> pa.Scalar | None:
        value: Any = self._value
        if said["form"] == "hashed":
            return pa.scalar(hashed_text(_as_recorded(value, said["datatype"]), self._key))
        try:
            if pa.types.is_string(kind):
                return pa.scalar(str(value))
            if pa.types.is_binary(kind):
                return pa.scalar(str(value).encode())
            if pa.types.is_timestamp(kind):
                return pa.scalar(_moment(str(value)), kind)
            if pa.types.is_nested(kind):
                raise InvalidInput(f"{self._column} is a tensor: records are not erased by one")
            return pa.scalar(_number(value)).cast(kind)
        except (ValueError, pa.ArrowInvalid):
            return None  # no value of this type says the same


def _as_recorded(value: Any, datatype: str) -> Any:
    """The value as it was when it was hashed."""
    kind = Datatype(datatype)
    try:
        if kind is Datatype.DATETIME:
            return str(_moment(str(value)))
        if kind.is_number or kind is Datatype.BOOL:
            return _number(value)
    except ValueError:
        return value
    return str(value)


def _number(value: Any) -> float:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return float(value.lower() == "true")
    return float(value)


def _moment(text: str) -> np.datetime64:
    moment = datetime.fromisoformat(text.upper())
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(moment, "us")
