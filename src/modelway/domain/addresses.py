"""Addresses as people may see them: a URL may have a password or a token in it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

HIDDEN = "***"

_NEXT = re.compile(r"(,\s*(?=[\w+.-]+://))")
_USER = re.compile(r"(?<=//)[^/?#]*@")
_PASSWORD = re.compile(r"(://[^:/@]*:).*@", re.DOTALL)
_NAMED = r"(?:pass|pwd|secret|token|key)"
_SECRET = re.compile(rf"([?&][^=&]*{_NAMED}[^=&]*=)[^&]*", re.IGNORECASE)


def shown_url(url: str) -> str:
    """The URL without its password and its query; a path as an absolute one."""
    if "://" not in url:
        return str(Path(url).absolute())
    parts = urlsplit(url)
    netloc = parts.netloc
    if "@" in netloc:
        user, _, host = netloc.rpartition("@")
        netloc = f"{user.partition(':')[0]}@{host}"
    return urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", ""))


def without_secrets(url: str) -> str:
    """Origin and path alone: users, queries and fragments have passwords and tokens in them."""
    return _USER.sub("", re.split(r"[?#]", url, maxsplit=1)[0])


def names_secret(name: str) -> bool:
    """Whether what has this name in a query is called a password, a secret, a token or a key."""
    return re.search(_NAMED, name, re.IGNORECASE) is not None


def without_passwords(text: str) -> str:
    """The text, with ``***`` for every password in the URLs of it, which have commas between.

    Of a query what is called a password, a secret, a token or a key is hidden.
    """
    parts = _NEXT.split(text)
    return "".join(_SECRET.sub(rf"\1{HIDDEN}", _PASSWORD.sub(rf"\1{HIDDEN}@", p)) for p in parts)
