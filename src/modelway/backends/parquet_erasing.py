"""Erasing: which records of Parquet files are sought, and what is left of a file without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from modelway.backends.arrow_records import columns_in
from modelway.domain.errors import InvalidInput
from modelway.domain.signature import Datatype
from modelway.records.policy import hashed_text
from modelway.records.ports import Erased, Forget

HASHED = "hashed"

_OWN = ("prediction_id", "principal")
_OWN_SAID = {"form": "kept", "datatype": "STRING"}
_RECORDED = "record_time"


class Sought(Protocol):
    """A value in ``column``, of records until ``until_us`` (µs since 1970), None for all."""

    @property
    def column(self) -> str:
        """The column's name in the signature."""
        ...

    @property
    def until_us(self) -> int | None:
        """The last moment at which a record of it was made."""
        ...

    def among(self, values: pa.ChunkedArray, said: Mapping[str, str]) -> pa.ChunkedArray | None:
        """Which of the column's values are the one; None where none of this type is.

        ``said`` is the column's form and datatype.
        """
        ...


@dataclass(frozen=True, slots=True)
class Value:
    """A value that is known. In a column of numbers a text is taken as the number it says; in a
    hashed one it is compared by the hash that ``key`` gives.
    """

    column: str
    value: str | float | bool
    key: bytes
    until_us: int | None = None

    def among(self, values: pa.ChunkedArray, said: Mapping[str, str]) -> pa.ChunkedArray | None:
        """Which values are this one; None where none of this type is."""
        wanted = self.wanted(values.type, said)
        return None if wanted is None else pc.equal(values, wanted)

    def wanted(self, kind: pa.DataType, said: Mapping[str, str]) -> pa.Scalar | None:
        """The value as a column of this type, form and datatype holds it; None if it cannot."""
        value: Any = self.value
        if said["form"] == HASHED:
            return pa.scalar(hashed_text(_as_recorded(value, said["datatype"]), self.key))
        try:
            if pa.types.is_string(kind):
                return pa.scalar(str(value))
            if pa.types.is_binary(kind):
                return pa.scalar(str(value).encode())
            if pa.types.is_timestamp(kind):
                return pa.scalar(_moment(str(value)), kind)
            return pa.scalar(_number(value)).cast(kind)
        except (ValueError, pa.ArrowInvalid):
            return None  # no value of this type says the same


class Erasing:
    """Removes the records that hold something ``sought``, file by file, and counts them.

    ``forget`` is told of which predictions they are while they are still there: who dies then, or
    cannot forget them, finds them again.
    """

    def __init__(self, sought: Sequence[Sought], forget: Forget = lambda _: None) -> None:
        self._sought = sought
        self._forget = forget
        self._records = 0
        self._ids: dict[str, None] = {}
        self._known: set[str] = set()
        self._unseen = {one.column for one in sought} - set(_OWN)
        self._only_tensors: dict[str, bool] = {}
        self._n_files = 0

    def rest(self, path: Path) -> pa.Table | None:
        """The records of a file that stay; None where all do."""
        self._n_files += 1
        schema = pq.read_schema(path)
        columns = {one["name"]: one for one in columns_in(schema) if "field" in one}
        self._known.update(columns)
        self._unseen -= columns.keys()
        if "inputs" not in schema.names:
            columns = {}
        for name in columns.keys() & {one.column for one in self._sought} - set(_OWN):
            others_are = self._only_tensors.get(name, True)
            self._only_tensors[name] = others_are and _is_tensor(schema, columns[name])
        oldest = _oldest_us(path)
        matches = None
        for one in self._sought:
            if one.until_us is not None and oldest is not None and one.until_us < oldest:
                continue
            found = self._matches(one, path, schema, columns)
            if found is not None:
                matches = found if matches is None else pc.or_(matches, found)
        n = 0 if matches is None else pc.sum(matches).as_py() or 0
        if not n:
            return None
        table = pq.read_table(path, partitioning=None)
        ids = table["prediction_id"].filter(matches).unique().to_pylist()
        self._forget(ids)
        self._records += n
        self._ids.update(dict.fromkeys(ids))
        return table.filter(pc.invert(matches))

    def result(self) -> Erased:
        """What was removed.

        Raises:
            InvalidInput: no file has the column, or all that have it hold tensors in it; nothing
                was removed then.
        """
        if self._n_files and self._unseen:
            known = ", ".join(sorted(self._known)[:20]) or "none"
            raise InvalidInput(
                f"no record keeps a column {min(self._unseen)[:80]!r}; kept are: {known}",
                hint="prediction_id and principal can be erased by, too",
            )
        for column, is_one in self._only_tensors.items():
            if is_one:
                raise InvalidInput(f"{column} is a tensor: records are not erased by one")
        return Erased(self._records, tuple(self._ids))

    def _matches(
        self,
        sought: Sought,
        path: Path,
        schema: pa.Schema,
        columns: Mapping[str, Mapping[str, str]],
    ) -> pa.ChunkedArray | None:
        """Which records of a file hold it; None where none does."""
        if sought.column in _OWN:
            said: Mapping[str, str] = _OWN_SAID
            values = _read(path, sought.column)
        elif sought.column in columns and not _is_tensor(schema, columns[sought.column]):
            said = columns[sought.column]
            place = schema.field("inputs").type.get_field_index(said["field"])
            values = pc.struct_field(_read(path, "inputs"), [place])
        else:
            return None
        found = sought.among(values, said)
        if found is None:
            return None
        found = pc.fill_null(found, False)
        if sought.until_us is not None:
            until = pa.scalar(sought.until_us, pa.timestamp("us"))
            found = pc.and_(found, pc.less_equal(_read(path, _RECORDED), until))
        return found


def _is_tensor(schema: pa.Schema, said: Mapping[str, str]) -> bool:
    """Whether a file keeps a column as nested lists."""
    return bool(pa.types.is_nested(schema.field("inputs").type.field(said["field"]).type))


def _read(path: Path, column: str) -> pa.ChunkedArray:
    return pq.read_table(path, columns=[column], partitioning=None)[column]


def _oldest_us(path: Path) -> int | None:
    """When the first record of a file was made, as its footer says; None where it does not."""
    metadata = pq.read_metadata(path)
    place = metadata.schema.names.index(_RECORDED)
    groups = [
        metadata.row_group(k).column(place).statistics for k in range(metadata.num_row_groups)
    ]
    if not groups or not all(one is not None and one.has_min_max for one in groups):
        return None
    return min(int(one.min_raw) for one in groups)


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
