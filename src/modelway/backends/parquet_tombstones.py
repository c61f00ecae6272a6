"""Tombstones: what was erased, for those who hold records of it that the eraser does not see.

A tombstone says of which column and until when, and the value as hashes under a salt of its own:
one for each type in which a column may hold it, so that it is compared by type as the value itself
is. The salt lies beside the hashes, since every home has to compare: the value is not to be read
there, but where only few are possible, who may read the place can try them out.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from modelway.backends.parquet_erasing import HASHED, Value
from modelway.domain.signature import Datatype
from modelway.records.policy import hashed_text

_KINDS = (
    *(pa.string(), pa.binary(), pa.timestamp("us"), pa.bool_()),
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
    *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float32(), pa.float64()),
)
_SALT_BYTES = 16


class Tombstone(msgspec.Struct, frozen=True):
    """``Sought`` without its value; ``hashes`` of that are by the kind of column."""

    column: str
    until_us: int
    salt: bytes
    hashes: dict[str, str]

    def among(self, values: pa.ChunkedArray, said: Mapping[str, str]) -> pa.ChunkedArray | None:
        """Which values are the erased one; None where none of this type is."""
        wanted = self.hashes.get(_kind(values.type, said))
        if wanted is None:
            return None
        different = values.unique()
        same = [text == wanted for text in _hashes(different, self.salt)]
        if not any(same):
            return None
        return pc.is_in(values, value_set=different.filter(pa.array(same)))


def tombstone_of(value: Value, until_us: int) -> Tombstone:
    """The tombstone of a value that is erased from what was recorded until a moment."""
    salt = secrets.token_bytes(_SALT_BYTES)
    said = [(kind, {"form": "kept", "datatype": ""}) for kind in _KINDS]
    said += [(pa.string(), {"form": HASHED, "datatype": one.value}) for one in Datatype]
    hashes = {}
    for kind, form in said:
        wanted = value.wanted(kind, form)
        if wanted is not None and pc.equal(wanted, wanted).as_py():  # NaN equals nothing
            (hashes[_kind(kind, form)],) = _hashes(pa.array([wanted.as_py()], kind), salt)
    return Tombstone(value.column, until_us, salt, hashes)


def _kind(kind: pa.DataType, said: Mapping[str, str]) -> str:
    return f"{HASHED} {said['datatype']}" if said["form"] == HASHED else str(kind)


def _hashes(values: pa.Array, salt: bytes) -> list[str]:
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    return ["" if one is None else hashed_text(one, salt) for one in values.to_pylist()]
