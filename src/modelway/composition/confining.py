"""Keys for some endpoints, where what is asked about is known only once it was looked up."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from modelway.access.keys import Key
from modelway.access.permitting import is_for, permit_endpoint


def confine(key: Key, endpoints: Callable[[], Iterable[str | None]]) -> None:
    """Do nothing if a key is for all of these endpoints, None being no single one.

    ``endpoints`` is asked only where the key is not for all of them anyway.

    Raises:
        Forbidden: the key is not for one of them.
    """
    if not is_for(key, None):
        for endpoint in endpoints():
            permit_endpoint(key, endpoint)
