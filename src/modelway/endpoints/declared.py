"""Endpoints as a file declares them, and what is to change so that they are so.

    [endpoints.loan]
    live = "loan@champion"
    split_by = "header:customer"
    automatic = true
    canaries = { "loan:8" = "5%" }
    shadows = ["loan:9"]

    [endpoints.loan.bounds]
    error_ratio = 0.02

References are written in any of their forms. What is left out has its default: the file says the
whole. Only what it does not know of, the salt of the split, stays as it is. Carried out twice, the
second time changes nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from modelway.domain.errors import InvalidInput
from modelway.domain.references import parse_reference
from modelway.endpoints.endpoint import Bounds, Canary, Endpoint, remote_name
from modelway.endpoints.rollouts import check_beside_references

_KNOWN = ("live", "split_by", "automatic", "canaries", "shadows", "bounds")


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of an endpoint, as text: what it was, and what it is to be."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """One endpoint that is to change: ``kind`` is created, changed or removed."""

    name: str
    kind: str
    fields: tuple[FieldChange, ...] = ()


def read_declared(text: str) -> Mapping[str, Any]:
    """The document of a TOML text, not looked at yet. Raises InvalidInput."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"it is not TOML: {error}") from None


def declared(document: Mapping[str, Any]) -> Mapping[str, Endpoint]:
    """The endpoints that a document declares, by their names.

    Raises:
        InvalidInput: a key is not known, or a value cannot be; names which.
        InvalidName: a name or a reference cannot be.
    """
    _check_known(document, ("endpoints",), "the document")
    tables = _table(document.get("endpoints", {}), "endpoints")
    return {name: _endpoint(name, _table(one, name)) for name, one in tables.items()}


def changes(
    now: Mapping[str, Endpoint], wanted: Mapping[str, Endpoint], *, prune: bool
) -> Sequence[Change]:
    """What is to be done so that the endpoints of ``now`` are as ``wanted``, by name.

    Those that are not wanted are removed only where they are to be pruned.
    """
    found = []
    for name, endpoint in sorted(wanted.items()):
        before = now.get(name)
        if before is None:
            found.append(Change(name, "created", _differing(None, endpoint)))
        elif differing := _differing(before, endpoint):
            found.append(Change(name, "changed", differing))
    if prune:
        found += [Change(name, "removed") for name in sorted(now) if name not in wanted]
    return found


def meant(endpoint: Endpoint, followed: Callable[[str], str]) -> Endpoint:
    """An endpoint with its references as endpoints keep them; ``followed`` says how.

    Raises:
        InvalidInput: two of them mean one version.
    """
    found = replace(
        endpoint,
        live=followed(endpoint.live),
        canaries=tuple(Canary(followed(one.reference), one.weight) for one in endpoint.canaries),
        shadows=tuple(followed(one) for one in endpoint.shadows),
    )
    check_beside_references(found)
    return found


def as_declared(before: Endpoint, wanted: Endpoint) -> Endpoint:
    """An endpoint as it is to be, with what no file says left as it was."""
    return replace(wanted, salt=before.salt)


def _differing(before: Endpoint | None, after: Endpoint) -> tuple[FieldChange, ...]:
    old = _texts(before or Endpoint(after.name, ""))
    new = _texts(after)
    return tuple(FieldChange(one, old[one], new[one]) for one in new if old[one] != new[one])


def _texts(endpoint: Endpoint) -> dict[str, str]:
    """The fields as they are shown and compared; the order of canaries means nothing."""
    canaries = sorted(f"{one.reference} {one.weight * 100:.8g}%" for one in endpoint.canaries)
    found = {
        "live": endpoint.live,
        "canaries": ", ".join(canaries),
        "shadows": ", ".join(sorted(endpoint.shadows)),
        "split_by": endpoint.split_by,
        "automatic": "true" if endpoint.automatic else "false",
    }
    for one in fields(Bounds):
        found[f"bounds.{one.name}"] = f"{getattr(endpoint.bounds, one.name):g}"
    return found


def _endpoint(name: str, table: Mapping[str, Any]) -> Endpoint:
    where = f"endpoints.{name}"
    _check_known(table, _KNOWN, where)
    if "live" not in table:
        raise InvalidInput(f"{where} has no live", hint='name a version: live = "loan@champion"')
    weights = _table(table.get("canaries", {}), f"{where}.canaries")
    endpoint = Endpoint(
        name,
        _reference(table["live"], f"{where}.live"),
        tuple(
            Canary(
                _reference(reference, f"{where}.canaries"),
                _share(weight, f"{where}.canaries.{reference}"),
            )
            for reference, weight in weights.items()
        ),
        _references(table.get("shadows", []), f"{where}.shadows"),
        split_by=_of(str, table.get("split_by", ""), f"{where}.split_by"),
        automatic=_of(bool, table.get("automatic", False), f"{where}.automatic"),
        bounds=_bounds(_table(table.get("bounds", {}), f"{where}.bounds"), f"{where}.bounds"),
    )
    check_beside_references(endpoint)
    return endpoint


def _bounds(table: Mapping[str, Any], where: str) -> Bounds:
    _check_known(table, [one.name for one in fields(Bounds)], where)
    default = Bounds()
    return Bounds(
        _number(table.get("error_ratio", default.error_ratio), f"{where}.error_ratio"),
        _number(table.get("latency_ratio", default.latency_ratio), f"{where}.latency_ratio"),
        _of(int, table.get("requests", default.requests), f"{where}.requests"),
    )


def _references(found: object, where: str) -> tuple[str, ...]:
    if not isinstance(found, list):
        raise _expected(where, "an array of references", found)
    return tuple(_reference(one, where) for one in found)


def _reference(found: object, where: str) -> str:
    """A reference in its shortest form, so that one version is not named in two ways."""
    text = _of(str, found, where)
    return text if remote_name(text) is not None else str(parse_reference(text))


def _share(found: object, where: str) -> float:
    """``"5%"`` or 0.05."""
    if isinstance(found, str):
        text = found.strip()
        try:
            return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            raise _expected(where, 'a share such as "5%" or 0.05', found) from None
    return _number(found, where)


def _number(found: object, where: str) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise _expected(where, "a number", found)
    return float(found)


def _table(found: object, where: str) -> Mapping[str, Any]:
    if not isinstance(found, Mapping):
        raise _expected(where, "a table", found)
    return found


_WORDS: Mapping[type, str] = {str: "a text", bool: "true or false", int: "a whole number"}


def _of(kind: Any, found: object, where: str) -> Any:
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise _expected(where, _WORDS[kind], found)
    return found


def _expected(where: str, expected: str, found: object) -> InvalidInput:
    return InvalidInput(f"{where}: expected {expected}, got {found!r}"[:500])


def _check_known(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise InvalidInput(
                f"{where} has a key {key[:80]!r} that is not known",
                hint=f"known are: {', '.join(known)}",
            )
