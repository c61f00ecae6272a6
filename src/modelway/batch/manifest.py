"""The manifest of a run: of what model, which files and how an output is made.

It lies in ``OUTPUT.parts/manifest.json`` from before the first part until the output is there. A
run goes on only where all of it is as it was, since otherwise one output would have the answers of
two models, or the rows of two files.

A file is known by its path, its size, when it was last changed, and the SHA-256 of its first and
last MiB. The time sees any change in the middle, which only reading the whole file would see
otherwise; the ends see a file that was put in the place of another with its time kept, and hold the
footer of Parquet, which has the sizes and places of all of it. A table is known by its columns; how
many rows a part of it has is checked where the part is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from modelway.batch.parts import Done, Part
from modelway.domain.errors import Conflict, LoadFailed, ResumeMismatch

Kept = TypeVar("Kept")

FORMAT = 2
_END_BYTES = 1024 * 1024


class Fingerprint(msgspec.Struct, frozen=True, tag="file"):
    """What an input file is known by."""

    path: str
    n_bytes: int
    changed_ns: int
    ends_sha256: str


class TableFingerprint(msgspec.Struct, frozen=True, tag="table"):
    """What an input table is known by: its URL without secrets, its columns with their types."""

    path: str
    columns: tuple[str, ...]


class Options(msgspec.Struct, frozen=True):
    """What an output depends on beside model and input; ``columns`` None stands for all.

    ``output`` is the format of a file, or a table without its secrets. ``errors`` is the file of
    the rows that cannot be answered, which is the run's own.
    """

    output: str
    id_column: str | None
    columns: tuple[str, ...] | None
    batch_rows: int
    strict: bool
    errors: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """One run, and how its input is divided; ``made_by`` is the version of Modelway.

    ``pyarrow`` is that of pyarrow where it reads or writes.
    """

    made_by: str
    model: str
    options: Options
    inputs: tuple[Fingerprint | TableFingerprint, ...]
    parts: tuple[Part, ...] = ()
    pyarrow: str = ""
    format: int = FORMAT


class Over(msgspec.Struct, frozen=True):
    """What became of a run whose output was made; its manifest has no parts any more."""

    done: Done
    manifest: Manifest


def fingerprint(path: Path) -> Fingerprint:
    """What the file is known by, as it is now."""
    with path.open("rb") as stream:
        found = path.stat()
        ends = hashlib.sha256(stream.read(_END_BYTES))
        stream.seek(max(0, found.st_size - _END_BYTES))
        ends.update(stream.read(_END_BYTES))
    return Fingerprint(str(path), found.st_size, found.st_mtime_ns, ends.hexdigest())


def check_unchanged(known: Fingerprint) -> None:
    """Do nothing if a file has still the size and the time that it is known by.

    Raises:
        Conflict: it has not, or is gone.
    """
    try:
        found = Path(known.path).stat()
    except FileNotFoundError:
        raise changed(known.path, "it is gone") from None
    if (found.st_size, found.st_mtime_ns) != (known.n_bytes, known.changed_ns):
        raise changed(known.path, "it was written to")


def changed(place: str, how: str) -> Conflict:
    """The error of an input that is not any more what is being scored."""
    return Conflict(
        f"{place} has changed since the run was begun: {how}",
        hint="remove OUTPUT.parts and begin anew, once nobody writes to it",
    )


def encoded(manifest: Manifest) -> bytes:
    """The manifest as JSON."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1)


def decoded(text: bytes, where: Path) -> Manifest:
    """The manifest that was written at ``where``. Raises LoadFailed."""
    found = read_as(Manifest, text, where)
    if found.format != FORMAT:
        raise LoadFailed(f"{where} has format {found.format}, which is not known here")
    return found


def read_as(kind: type[Kept], text: bytes, where: Path) -> Kept:
    """What was written at ``where``. Raises LoadFailed."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as error:
        raise LoadFailed(f"{where} cannot be read: {error}") from error


def check_same(begun: Manifest, wanted: Manifest, output: Path) -> None:
    """Do nothing if a run that was begun is the one that is wanted; its parts are not compared.

    Raises:
        ResumeMismatch: it is not; says what has changed.
    """
    found = _changes(begun, wanted)
    if found:
        raise ResumeMismatch(str(output), found, begun.options.errors)


def _changes(begun: Manifest, wanted: Manifest) -> Sequence[str]:
    found = []
    if begun.made_by != wanted.made_by:
        found.append(f"Modelway was {begun.made_by} and is {wanted.made_by}")
    if begun.pyarrow != wanted.pyarrow:
        found.append(
            f"pyarrow was {begun.pyarrow or 'not used'} and is {wanted.pyarrow or 'not used'}"
        )
    if begun.model != wanted.model:
        found.append(f"the model was {begun.model} and is {wanted.model}")
    for name in Options.__struct_fields__:
        was, now = getattr(begun.options, name), getattr(wanted.options, name)
        if was != now:
            found.append(f"{name} was {_shown(was)} and is {_shown(now)}")
    was_of = {one.path: one for one in begun.inputs}
    now_of = {one.path: one for one in wanted.inputs}
    found += [f"input {path} is not there any more" for path in was_of if path not in now_of]
    found += [f"input {path} was not there" for path in now_of if path not in was_of]
    found += [
        f"input {path} has changed"
        for path in now_of
        if path in was_of and was_of[path] != now_of[path]
    ]
    return found


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
