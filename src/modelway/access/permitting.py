"""Whether a key allows something: its scopes, and the endpoints that it names.

A key that names endpoints allows nothing that concerns all of them. One with the scope ``admin``
allows everything.
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache

from modelway.access.keys import Key, Scope
from modelway.domain.errors import Forbidden


def permit(key: Key, scopes: frozenset[Scope], endpoint: str | None) -> None:
    """Do nothing if one of ``scopes`` is the key's, and the endpoint is one of its own.

    ``endpoint`` is None for what concerns no single endpoint. What else the key allows is never
    said: whoever has stolen it shall not be told.

    Raises:
        Forbidden: it does not; says which scope or endpoint is missing.
    """
    permit_scopes(key, scopes)
    permit_endpoint(key, endpoint)


def permit_scopes(key: Key, scopes: frozenset[Scope]) -> None:
    """Do nothing if one of ``scopes`` is the key's. Raises Forbidden, as ``permit`` does."""
    if key.scopes.isdisjoint(scopes) and Scope.ADMIN not in key.scopes:
        raise Forbidden(
            f"this key does not allow it: the scope {' or '.join(sorted(scopes))} is missing",
            hint="modelway key create makes a key that has it",
        )


def permit_endpoint(key: Key, endpoint: str | None) -> None:
    """Do nothing if an endpoint is one of the key's. Raises Forbidden, as ``permit`` does."""
    if not is_for(key, endpoint):
        what = "what concerns all endpoints" if endpoint is None else f"{endpoint[:128]!r}"
        raise Forbidden(f"this key is not for {what}")


def is_for(key: Key, endpoint: str | None) -> bool:
    """Whether an endpoint is one of those that a key names; every one is where it names none.

    Upper and lower case are different letters, on every system.
    """
    if not key.endpoints or Scope.ADMIN in key.scopes:
        return True
    return endpoint is not None and _matcher(key.endpoints).fullmatch(endpoint) is not None


@lru_cache(maxsize=1024)
def _matcher(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)))
