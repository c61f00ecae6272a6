"""Paths that a file names, kept inside the folder they are said to lie in.

An MLflow folder and a bundle come from elsewhere: what they name may be read only where they are.
"""

from __future__ import annotations

from pathlib import Path


def confined(folder: Path, name: str) -> Path | None:
    """``folder / name``; None where that leads out of the folder, by ``..``, root or link."""
    path = folder / name
    return path if path.resolve().is_relative_to(folder.resolve()) else None
