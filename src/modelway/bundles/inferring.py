"""Signatures put together from what several sources know, the better source winning field by field.

Best first: an explicit ``signature.toml``, the signature that MLflow keeps, the training data, the
model itself. Which columns there are, and in what order, the model says where it knows their names;
names that only count them (``x1``, ``Column_0``) give way to a better source's, by position.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from modelway.domain.errors import InvalidSignature
from modelway.domain.names import alias_of
from modelway.domain.signature import Column, Datatype, Signature, TensorSpec

_LISTED = 10
_COUNTED = re.compile(r"(\D*)(\d+)")


class ColumnFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one source knows of a column, in the words of ``domain.signature.Column``.

    None is what it does not know.
    """

    name: str
    alias: str | None = None
    datatype: Datatype | None = None
    nullable: bool | None = None
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str | int, ...] | None = None
    missing_ratio: float | None = None
    closed: bool | None = None
    optional: bool | None = None
    description: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class SignatureFacts:
    """What one source, called ``origin`` in messages, knows of a signature.

    Where ``may_have_more``, columns that are not the model's are left out without a word, and a
    column that is the model's must be there: training data is such a source.
    """

    origin: str
    columns: tuple[ColumnFacts, ...] = ()
    tensors: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    label_names: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None
    may_have_more: bool = False


def facts_of(signature: Signature) -> SignatureFacts:
    """A model's own signature as facts: what it says of a column, but for the alias.

    A model has names only. An alias comes of them at the end, where a better source has no other.
    """
    columns = [msgspec.convert(c, ColumnFacts, from_attributes=True) for c in signature.columns]
    nameless = tuple(msgspec.structs.replace(column, alias=None) for column in columns)
    return SignatureFacts("the model", columns=nameless)


def merged(sources: Sequence[SignatureFacts], own: Signature | None) -> Signature:
    """The signature that the sources, best first, and the model's own words make together.

    ``own`` is None where the model knows nothing of what it takes.

    Raises:
        InvalidSignature: nothing says what the model takes, or a source contradicts the model.
    """
    said = [*sources, _of_model(own)] if own else list(sources)
    telling = [s for s in said if s.columns or s.tensors]
    if not telling:
        raise InvalidSignature(
            "nothing says what the model takes",
            hint="give its training data with --data, or a signature.toml with --signature",
        )
    # Whether it takes columns or tensors, the model itself knows best.
    tabular = bool((telling[-1] if own else telling[0]).columns)
    for source in telling:
        if bool(source.columns) != tabular:
            kinds = ("tensors", "columns") if tabular else ("columns", "tensors")
            raise InvalidSignature(f"{source.origin} has {kinds[0]}; the model takes {kinds[1]}")
    return Signature(
        columns=_columns(sources, own) if tabular else (),
        tensors=() if tabular else next(s.tensors for s in said if s.tensors),
        outputs=next((s.outputs for s in said if s.outputs), ()),
        label_names=next((s.label_names for s in said if s.label_names), {}),
        description=next((s.description for s in said if s.description), None),
    )


def is_counted(names: Sequence[str]) -> bool:
    """Whether the names only count: ``x1``, ``x2``, ... or ``Column_0``, ``Column_1``, ..."""
    parts = [_COUNTED.fullmatch(name) for name in names]
    found = [(part[1], int(part[2])) for part in parts if part]
    if len(found) != len(names) or not found or found[0][1] > 1:
        return False
    stem, start = found[0]
    return found == [(stem, start + i) for i in range(len(found))]


def matched(names: Sequence[str], given: Sequence[str]) -> Mapping[str, str]:
    """For each of the model's ``names`` the one in ``given`` that means the same column.

    By name or, as some libraries write names in letters of their own, by alias; by position where
    ``given`` only counts and counts otherwise.
    """
    known = set(given)
    if not known.issuperset(names) and is_counted(given) and len(given) == len(names):
        return dict(zip(names, given, strict=True))
    own = set(names)
    by_alias = {alias_of(name, i): name for i, name in enumerate(given) if name not in own}
    found = {}
    for i, name in enumerate(names):
        place = name if name in known else by_alias.get(alias_of(name, i))
        if place is not None:
            found[name] = place
    return found


def _of_model(own: Signature) -> SignatureFacts:
    return SignatureFacts(
        "the model",
        columns=facts_of(own).columns,
        tensors=own.tensors,
        outputs=own.outputs,
        label_names=own.label_names,
        description=own.description,
    )


def _columns(sources: Sequence[SignatureFacts], own: Signature | None) -> tuple[Column, ...]:
    tabular = [s for s in sources if s.columns]
    names = _names(tabular, [c.name for c in own.columns] if own else None)
    known = [_by_name(source, names) for source in tabular]
    if own:
        own_facts = facts_of(own).columns
        known.append(dict(zip(names, own_facts, strict=True)))
    return tuple(
        _column(name, i, [facts[name] for facts in known if name in facts])
        for i, name in enumerate(names)
    )


def _names(sources: Sequence[SignatureFacts], own: Sequence[str] | None) -> Sequence[str]:
    """The names of the model's columns, in its order."""
    if own is None:
        return [c.name for c in sources[0].columns]
    if not is_counted(own):
        return own
    given = [[c.name for c in s.columns] for s in sources]
    for names in given:
        if len(names) == len(own) and not is_counted(names):
            return names
    for source, names in zip(sources, given, strict=True):
        if source.may_have_more and len(matched(own, names)) < len(own):
            raise InvalidSignature(
                f"the model takes {len(own)} columns and does not know their names; "
                f"{source.origin} has {len(names)}: {_listed(names)}",
                hint="leave out of the data what the model does not take, its target with --target",
            )
    return own


def _by_name(source: SignatureFacts, names: Sequence[str]) -> Mapping[str, ColumnFacts]:
    """The source's facts by the model's names.

    Raises:
        InvalidSignature: the source has a column that the model does not take, or, where it may
            have such, lacks one that the model takes.
    """
    given = {c.name: c for c in source.columns}
    if len(given) != len(source.columns):
        raise InvalidSignature(f"{source.origin} names a column twice")
    places = matched(names, list(given))
    wrong = [n for n in names if n not in places]
    fault = "has no column"
    if not source.may_have_more:
        wrong = [n for n in given if n not in places.values()]
        fault = "names what the model does not take:"
    if wrong:
        raise InvalidSignature(
            f"{source.origin} {fault} {_listed(wrong)}", hint=f"the model takes: {_listed(names)}"
        )
    return {name: given[place] for name, place in places.items()}


def _column(name: str, position: int, known: Sequence[ColumnFacts]) -> Column:
    """The column as the first source that knows says of each field."""

    def best(of: str) -> Any:
        return next((v for facts in known if (v := getattr(facts, of)) is not None), None)

    datatype = best("datatype") or Datatype.FP64
    is_number, is_chosen = datatype.is_number, datatype is Datatype.CATEGORICAL
    return Column(
        name=name,
        alias=best("alias") or alias_of(name, position),
        datatype=datatype,
        nullable=bool(best("nullable")),
        optional=bool(best("nullable")) and bool(best("optional")),
        minimum=best("minimum") if is_number else None,
        maximum=best("maximum") if is_number else None,
        categories=best("categories") if is_chosen else None,
        missing_ratio=best("missing_ratio"),
        closed=bool(best("closed")) and is_chosen,
        description=best("description"),
        unit=best("unit"),
    )


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    more = len(every) - _LISTED
    return ", ".join(every[:_LISTED]) + (f" and {more} more" if more > 0 else "")
