"""The signature: what a model takes and gives, as its callers see it.

A model takes either named columns (one value a row each) or named tensors, never both. Datatypes
are those of the Open Inference Protocol; columns may also be STRING, CATEGORICAL or DATETIME.

Source: Open Inference Protocol, "Tensor Data Types".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from modelway.domain.errors import InvalidSignature
from modelway.domain.names import alias_of


class Datatype(StrEnum):
    """The type of a value at the edge."""

    BOOL = "BOOL"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP16 = "FP16"
    FP32 = "FP32"
    FP64 = "FP64"
    BYTES = "BYTES"
    STRING = "STRING"
    CATEGORICAL = "CATEGORICAL"
    DATETIME = "DATETIME"

    @property
    def is_integer(self) -> bool:
        """Whether values are whole numbers."""
        return self.value.startswith(("INT", "UINT"))

    @property
    def is_float(self) -> bool:
        """Whether values are floating-point numbers."""
        return self.value.startswith("FP")

    @property
    def is_number(self) -> bool:
        """Whether values are numbers, Booleans not among them."""
        return self.is_integer or self.is_float


Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Column:
    """One named column of a tabular model.

    ``minimum`` and ``maximum`` are the range in the training data, ``categories`` the values seen
    there, ``missing_ratio`` the share of missing values there (0 to 1); None where no training
    data was seen. A CATEGORICAL column holds text or whole numbers, as its categories do. Where
    ``closed``, the model itself refuses any other category, so a request with one is refused.
    Where ``nullable``, null is a value; where ``optional`` too, a row may leave the column out.
    """

    name: str
    alias: str
    datatype: Datatype
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str | int, ...] | None = None
    missing_ratio: float | None = None
    closed: bool = False
    optional: bool = False
    description: str | None = None
    unit: str | None = None

    @property
    def was_never_missing(self) -> bool:
        """Whether training data was seen in which every row has a value."""
        return self.missing_ratio == 0.0

    @property
    def is_text(self) -> bool:
        """Whether the values are text."""
        if self.datatype is Datatype.CATEGORICAL:
            return not self.categories or isinstance(self.categories[0], str)
        return self.datatype in (Datatype.STRING, Datatype.BYTES)

    @property
    def is_numeric(self) -> bool:
        """Whether a float64 holds every value: numbers, Booleans and whole-number categories."""
        return not self.is_text and self.datatype is not Datatype.DATETIME


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One named tensor; ``shape`` has -1 for an axis of any length, the first axis is the rows."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    description: str | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Signature:
    """What a model takes (columns or tensors), and what it gives.

    ``label_names`` maps the text of a label to a name shown beside it.

    Raises:
        InvalidSignature: both or neither of columns and tensors, a name twice, an alias that is
            another column's name or alias, or a minimum above the maximum.
    """

    columns: tuple[Column, ...] = ()
    tensors: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    label_names: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None

    def __post_init__(self) -> None:
        if bool(self.columns) == bool(self.tensors):
            raise InvalidSignature("a signature has either columns or tensors, and at least one")
        owners: dict[str, str] = {}
        for column in self.columns:
            for key in {column.name, column.alias}:
                if key in owners:
                    raise InvalidSignature(
                        f"columns {owners[key]!r} and {column.name!r} would both be called {key!r}",
                        hint="rename one of them, or give it another alias in signature.toml",
                    )
                owners[key] = column.name
            if (
                column.minimum is not None
                and column.maximum is not None
                and column.minimum > column.maximum
            ):
                raise InvalidSignature(
                    f"column {column.name!r}: its minimum, {column.minimum:g}, is above its "
                    f"maximum, {column.maximum:g}",
                    hint="give both in signature.toml",
                )
        names = [t.name for t in self.tensors]
        if len(set(names)) != len(names):
            raise InvalidSignature(f"two tensors have the same name: {', '.join(sorted(names))}")

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Position of a column by its name and by its alias."""
        found = {c.alias: i for i, c in enumerate(self.columns)}
        found.update((c.name, i) for i, c in enumerate(self.columns))
        return found

    @property
    def is_tabular(self) -> bool:
        """Whether the model takes columns."""
        return bool(self.columns)

    @cached_property
    def is_numeric(self) -> bool:
        """Whether one float64 matrix holds a whole request."""
        return self.is_tabular and all(c.is_numeric for c in self.columns)


def columns_named(names: Sequence[str], datatype: Datatype = Datatype.FP64) -> tuple[Column, ...]:
    """Columns of which nothing is known but their names."""
    return tuple(Column(n, alias_of(n, i), datatype) for i, n in enumerate(names))
