"""A setting: a field of a section that says what it means, and what may be in it."""

from __future__ import annotations

import os
from dataclasses import MISSING, field
from typing import Any

MEBIBYTE = 1024 * 1024


def setting(
    default: Any = MISSING,
    *,
    help: str,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    factory: Any = MISSING,
    default_text: str = "",
) -> Any:
    """A dataclass field that says what it means; ``default_text`` is for what a machine decides."""
    metadata = {
        "help": help,
        "unit": unit,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "default_text": default_text,
    }
    if factory is not MISSING:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parts_of(text: str) -> list[str]:
    """What stands between commas."""
    return [part for part in text.replace(" ", "").split(",") if part]


def names_of(text: str) -> list[str]:
    """What stands between commas, spaces inside kept: columns may have some."""
    return [part.strip() for part in text.split(",") if part.strip()]
