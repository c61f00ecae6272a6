"""``signature.toml``: a signature written by a person, who may say as little as they like.

    description = "Loans that were paid back"

    [[columns]]
    name = "age"
    datatype = "INT64"
    unit = "years"
    minimum = 18
    nullable = true

    [label_names]
    0 = "refused"
    1 = "granted"

Columns have the fields of ``domain.signature.Column``; one that is said to be ``nullable`` is
``optional`` too where the file does not say otherwise. A model of tensors has ``[[tensors]]`` with
``name``, ``datatype`` and ``shape``. A key that is none of these is an error, and so is a value
that makes no sense: an alias that no URL could hold, a bound that is no number, a ratio above 1.
"""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path

import msgspec

from modelway.bundles.inferring import ColumnFacts, SignatureFacts
from modelway.domain.errors import InvalidSignature, SourceNotFound
from modelway.domain.signature import Datatype, TensorSpec

_ALIAS = re.compile(r"[A-Za-z0-9._-]+")


class _Tensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    description: str | None = None
    unit: str | None = None

    def spec(self) -> TensorSpec:
        return TensorSpec(self.name, self.datatype, self.shape, self.description, self.unit)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    description: str | None = None
    columns: tuple[ColumnFacts, ...] = ()
    tensors: tuple[_Tensor, ...] = ()
    outputs: tuple[_Tensor, ...] = ()
    label_names: dict[str, str] = {}


def read_signature_file(path: Path) -> SignatureFacts:
    """What the file says.

    Raises:
        SourceNotFound: there is no such file.
        InvalidSignature: it is not TOML, or something in it is not known, not of its type or
            without sense.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        read = msgspec.convert(content, _File)
    except FileNotFoundError:
        raise SourceNotFound(str(path)) from None
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise InvalidSignature(f"{path.name}: {error}") from error
    for one in read.columns:
        _check(one, path.name)
    return SignatureFacts(
        origin=path.name,
        columns=tuple(
            one if one.optional is not None else msgspec.structs.replace(one, optional=one.nullable)
            for one in read.columns
        ),
        tensors=tuple(one.spec() for one in read.tensors),
        outputs=tuple(one.spec() for one in read.outputs),
        label_names=read.label_names,
        description=read.description,
    )


def _check(column: ColumnFacts, origin: str) -> None:
    """Do nothing if what is said of a column makes sense. Raises InvalidSignature."""
    wrong = []
    if column.alias is not None and not _ALIAS.fullmatch(column.alias):
        wrong.append(f"alias {column.alias!r} has other than letters, digits, '.', '_', '-'")
    for name, bound in (("minimum", column.minimum), ("maximum", column.maximum)):
        if bound is not None and not math.isfinite(bound):
            wrong.append(f"{name} {bound} is no finite number")
    if column.missing_ratio is not None and not 0 <= column.missing_ratio <= 1:
        wrong.append(f"missing_ratio {column.missing_ratio} is not between 0 and 1")
    if wrong:
        raise InvalidSignature(f"{origin}, column {column.name!r}: {'; '.join(wrong)}")
