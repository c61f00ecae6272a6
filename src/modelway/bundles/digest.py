"""The digest of a bundle: SHA-256 over its contents and nothing else.

It is the SHA-256 of one line a file, sorted by path, ``<sha256 of the file>  <relative path>\\n``,
every file but ``record.json``: what ``sha256sum`` prints, so anybody can check it without Modelway.
No time, owner, mode or place is part of it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from modelway.bundles.manifest import RECORD
from modelway.domain.errors import LoadFailed

PREFIX = "sha256:"


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def tree_sha256(folder: Path, *, leave_out: tuple[str, ...] = ()) -> str:
    """The SHA-256 over all files of a folder, as 64 hexadecimal digits.

    Raises:
        LoadFailed: the folder holds a link or something that is neither file nor folder.
    """
    lines = []
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise LoadFailed(f"{path} is a link or a special file; a bundle holds plain files only")
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in leave_out:
            lines.append((name, f"{file_sha256(path)}  {name}\n"))
    return hashlib.sha256("".join(line for _, line in sorted(lines)).encode()).hexdigest()


def bundle_digest(folder: Path) -> str:
    """The digest of the bundle in ``folder``: ``sha256:`` and 64 hexadecimal digits.

    Raises:
        LoadFailed: the folder holds a link or something that is neither file nor folder.
    """
    return PREFIX + tree_sha256(folder, leave_out=(RECORD,))
