"""URLs as they may be shown: without what is secret in them."""

from __future__ import annotations

import re

_USER = re.compile(r"(?<=//)[^/?#]*@")


def without_secrets(url: str) -> str:
    """Origin and path alone: users, queries and fragments have passwords and tokens in them."""
    return _USER.sub("", re.split(r"[?#]", url, maxsplit=1)[0])
