"""Names: of endpoints, and the URL-safe aliases of columns."""

from __future__ import annotations

import re
import unicodedata

from modelway.domain.errors import InvalidName

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_NOT_SAFE = re.compile(r"[^A-Za-z0-9]+")


def check_name(name: str) -> str:
    """Return ``name`` if it may name a model or an endpoint.

    Raises:
        InvalidName: it is not a letter or digit followed by up to 127 letters, digits, ``._-``.
    """
    if not _NAME.fullmatch(name):
        raise InvalidName(name, "a letter or digit, then up to 127 letters, digits, '.', '_', '-'")
    return name


def alias_of(name: str, position: int) -> str:
    """The URL-safe alias of a column name: ``"sepal length (cm)"`` gives ``sepal_length_cm``.

    ``position`` counts from 0 and names the columns of which nothing safe is left, as ``column_1``.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    alias = _NOT_SAFE.sub("_", plain).strip("_")
    return alias or f"column_{position + 1}"
