"""Modelway: from a trained model to a monitored production service.

For notebooks: ``modelway.bundle(model, data=X)`` makes a bundle of a fitted model,
``modelway.Client(url).predict(df)`` asks a running service. Both are imported when they are first
used, so that ``import modelway`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelway.client import Client
    from modelway.composition.notebook import bundle

__version__ = "0.1.0"

__all__ = ["Client", "__version__", "bundle"]

_HOMES = {"Client": "modelway.client", "bundle": "modelway.composition.notebook"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
