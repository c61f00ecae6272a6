"""Secrets that a home keeps in files of its own: made once, whole or not at all, mode 0600."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from modelway.domain.errors import BadValue


def secret_in(path: Path, made: Callable[[], str]) -> str:
    """The text in a file, which is made when it is first asked for; what is brought is kept.

    Of several processes that ask at once all are given the same. One that dies leaves no half.

    Raises:
        BadValue: the file cannot be made or read, or is empty.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            descriptor, waiting = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            try:
                with os.fdopen(descriptor, "w") as file:
                    file.write(made() + "\n")
                with contextlib.suppress(FileExistsError):
                    os.link(waiting, path)
            finally:
                Path(waiting).unlink()
        text = path.read_text().strip()
    except OSError as error:
        raise BadValue(f"the key {path}: {error.strerror}") from error
    if not text:
        raise BadValue(f"{path} is empty", hint="remove it, and a new key is made")
    return text
