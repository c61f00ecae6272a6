"""Making a key, and the parts of one that somebody brings.

The text ``mw_ID_SECRET`` is shown once, to whoever made the key; what is stored cannot be turned
back into it.
"""

from __future__ import annotations

import math
import re
import secrets
import string
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256

from modelway.access.keys import Key, Scope
from modelway.domain.errors import InvalidInput, InvalidName

PREFIX = "mw_"

_SECRET_BYTES = 32
_ID_LETTERS = string.ascii_lowercase + string.digits
_ID_LENGTH = 10
_LONGEST_NAME = 128
_MOST_PATTERNS = 100
_PATTERN = re.compile(r"[A-Za-z0-9*?][A-Za-z0-9._*?-]{0,127}")


def new_key(
    name: str,
    scopes: Iterable[str],
    endpoints: Iterable[str],
    rate_per_s: float,
    now: datetime,
) -> tuple[Key, str]:
    """A key of 256 random bits, and its text, which nobody can make out of it again.

    ``endpoints`` are patterns of endpoints' names in which ``*`` stands for any letters and ``?``
    for one; none allow all. ``rate_per_s`` 0 is no bound. ``now`` has a time zone.

    Raises:
        InvalidName: the name is empty, too long, or has letters that cannot be shown.
        InvalidInput: a scope is unknown or there is none, a pattern is no pattern, the rate is no
            rate, or a key for everything is bound to some endpoints.
    """
    allowed = scopes_of(scopes)
    patterns = _patterns_of(endpoints)
    if Scope.ADMIN in allowed and patterns:
        raise InvalidInput(
            "a key with the scope admin allows everything, on all endpoints",
            hint="leave the endpoints out, or give it the scopes that it needs",
        )
    if not math.isfinite(rate_per_s) or rate_per_s < 0:
        raise InvalidInput(
            f"the rate {rate_per_s:g} is none: expected requests per second, 0 for no bound"
        )
    id = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    key = Key(
        id,
        _checked_name(name),
        sha256(secret.encode()).digest(),
        allowed,
        patterns,
        now,
        float(rate_per_s),
    )
    return key, f"{PREFIX}{id}_{secret}"


def scopes_of(texts: Iterable[str]) -> frozenset[Scope]:
    """The scopes of these names, at least one. Raises InvalidInput, which lists all there are."""
    known = ", ".join(Scope)
    found = set()
    for text in texts:
        try:
            found.add(Scope(text))
        except ValueError:
            raise InvalidInput(f"no scope is called {text[:40]!r}; there is: {known}") from None
    if not found:
        raise InvalidInput(f"a key needs at least one scope; there is: {known}")
    return frozenset(found)


def parts_of(text: str) -> tuple[str, bytes]:
    """The id that a key's text names, and the SHA-256 of the secret that it brings.

    Of a text that is no key the id is empty, which no key's is.
    """
    prefix, _, rest = text.partition("_")
    id, _, secret = rest.partition("_")
    return (id if prefix == "mw" else ""), sha256(secret.encode(errors="replace")).digest()


def is_id(text: str) -> bool:
    """Whether this may be the id of a key: what else stands in its place may be a secret."""
    return len(text) == _ID_LENGTH and all(one in _ID_LETTERS for one in text)


def _checked_name(name: str) -> str:
    if not name or name != name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise InvalidName(
            name[:_LONGEST_NAME],
            f"1 to {_LONGEST_NAME} letters that can be shown, with no space around them",
        )
    return name


def _patterns_of(texts: Iterable[str]) -> tuple[str, ...]:
    """The patterns, each once, in the order in which they were given."""
    patterns = tuple(dict.fromkeys(texts))
    for pattern in patterns:
        if not _PATTERN.fullmatch(pattern):
            raise InvalidInput(
                f"{pattern[:80]!r} is no pattern of endpoints: expected a name such as loan, with "
                "'*' for any letters or '?' for one",
                hint="a pattern has up to 128 letters, digits, '.', '_', '-', '*', '?'",
            )
    if len(patterns) > _MOST_PATTERNS:
        raise InvalidInput(f"{len(patterns)} patterns of endpoints: at most {_MOST_PATTERNS} go")
    return patterns
