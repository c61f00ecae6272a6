"""Operations on keys and the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from modelway.access.keys import Act, Key
from modelway.access.making import new_key
from modelway.composition.control import Control, now
from modelway.composition.model_operations import Nothing
from modelway.composition.operations import Operation


class CreateKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key to be made; ``endpoints`` are patterns, none for all, ``rate_per_s`` 0 is no bound."""

    name: str
    scopes: tuple[str, ...]
    endpoints: tuple[str, ...] = ()
    rate_per_s: float = 0.0


class OfKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key, by its id."""

    id: str


class Newest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The newest so many, before a time."""

    limit: int = 100
    before: datetime | None = None


class ShownKey(msgspec.Struct, frozen=True):
    """A key without its secret; ``key`` is its text, the one time that it is made."""

    id: str
    name: str
    scopes: Sequence[str]
    endpoints: Sequence[str]
    rate_per_s: float
    created_at: datetime
    revoked_at: datetime | None
    used_at: datetime | None
    key: str | None = None


def _list(control: Control, _: Nothing, __: str) -> Sequence[ShownKey]:
    return [_shown(key) for key in control.store.keys.all()]


def _create(control: Control, of: CreateKey, _: str) -> ShownKey:
    key, text = new_key(of.name, of.scopes, of.endpoints, of.rate_per_s, now())
    control.store.keys.add(key)
    return _shown(key, text)


def _revoke(control: Control, of: OfKey, _: str) -> OfKey:
    control.store.keys.revoke(of.id, now())
    return of


def _acts(control: Control, of: Newest, _: str) -> Sequence[Act]:
    return control.store.audit.acts(of.limit, of.before)


def _shown(key: Key, text: str | None = None) -> ShownKey:
    return ShownKey(
        key.id,
        key.name,
        sorted(key.scopes),
        key.endpoints,
        key.rate_per_s,
        key.created_at,
        key.revoked_at,
        key.used_at,
        text,
    )


LIST = Operation("GET", "/keys", Nothing, _list)
CREATE = Operation("POST", "/keys", CreateKey, _create, "key.create", lambda key: {"id": key.id})
REVOKE = Operation("DELETE", "/keys/{id}", OfKey, _revoke, "key.revoke")
AUDIT = Operation("GET", "/audit", Newest, _acts)

KEY_OPERATIONS = (LIST, CREATE, REVOKE, AUDIT)
