"""Keys that are for some endpoints, where what is asked about is found only once it is looked up.

Who acts is known by name here (``Key.actor``). Whoever is none of the keys of the store has the
home itself, or its own key, and may do everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from modelway.access.permitting import is_for, permit_endpoint
from modelway.composition.control import Control


def confine(control: Control, actor: str, endpoints: Callable[[], Iterable[str | None]]) -> None:
    """Do nothing if whoever acts may at all of these endpoints, None being no single one.

    ``endpoints`` is asked only where the key is not for all of them anyway.

    Raises:
        Forbidden: the key is not for one of them.
    """
    key = next((one for one in control.store.keys.all() if one.actor == actor), None)
    if key is None or is_for(key, None):
        return
    for endpoint in endpoints():
        permit_endpoint(key, endpoint)
