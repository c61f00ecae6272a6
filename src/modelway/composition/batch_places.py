"""Where the rows of a bulk run come from and go to: files by their names, tables by their URLs."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelway.batch.manifest import Fingerprint, TableFingerprint, fingerprint
from modelway.composition.row_files import format_of
from modelway.domain.errors import InvalidInput, MissingExtra, SourceNotFound, UnsupportedMedia

if TYPE_CHECKING:
    from modelway.backends.table_place import TablePlace

    Place = Path | TablePlace

TABLE = "table"
"""The form of what is no file."""


def place_of(text: str) -> Place:
    """The table that a URL names, or the path of a file.

    Raises:
        BadValue: the URL names no table.
        MissingExtra: SQLAlchemy is not installed.
    """
    if "://" not in text:
        return Path(text)
    try:
        from modelway.backends.table_place import TablePlace
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), "store", "a table of a database") from error
    return TablePlace(text)


def form_of(place: Place) -> str:
    """The form of a place: the format of a file, or ``TABLE``. Raises UnsupportedMedia."""
    return format_of(place) if isinstance(place, Path) else TABLE


def shown(place: Place) -> str:
    """A place for everyone: without a password."""
    return str(place) if isinstance(place, Path) else place.shown


def told(place: Place) -> str:
    """A place for whoever is to open it: with its password."""
    return str(place) if isinstance(place, Path) else place.text


def known_by(place: Place) -> Fingerprint | TableFingerprint:
    """What an input is known by, as it is now. Raises SourceNotFound."""
    if isinstance(place, Path):
        return fingerprint(place)
    from modelway.backends.table_reading import table_fingerprint

    return table_fingerprint(place)


@dataclass(frozen=True)
class Target:
    """Where rows go, and where those without an answer are listed.

    ``beside`` is what the parts lie beside: the file, or for a table its name in this folder.
    """

    place: Place
    form: str
    beside: Path
    errors: Path

    @property
    def files(self) -> Sequence[Path]:
        """The files that are made."""
        return (self.errors,) if self.form == TABLE else (self.beside, self.errors)

    @property
    def kept_as(self) -> str:
        """How the manifest has it: a file may be moved, with its parts."""
        return shown(self.place) if self.form == TABLE else self.form


def target_of(output: str, errors: Path | None) -> Target:
    """What an output is. Raises UnsupportedMedia, BadValue, MissingExtra."""
    place = place_of(output)
    beside = place if isinstance(place, Path) else Path(place.name)
    return Target(
        place,
        form_of(place),
        beside,
        errors or beside.with_name(f"{beside.name}.errors.jsonl"),
    )


def inputs_of(source: str, target: Target) -> Sequence[Place]:
    """The table, or the files in the order of their names, that are meant.

    Raises:
        SourceNotFound: there are none.
        UnsupportedMedia: they are of no format, or of several.
        InvalidInput: the output is one of them, or a folder is named.
    """
    if "://" in source:
        table = place_of(source)
        if shown(table) == shown(target.place):
            raise InvalidInput(f"{shown(table)} is an input itself", hint="name another --output")
        return [table]
    if Path(source).is_file():
        paths = [Path(source)]
    else:
        if Path(source).is_dir():
            raise InvalidInput(
                f"{source} is a folder",
                hint=f"give a pattern of its files, such as '{Path(source) / '*.parquet'}'",
            )
        # Path.glob takes no absolute pattern. A file fits twice where there are two ``**``.
        found = sorted(set(glob.glob(source, recursive=True)))  # noqa: PTH207
        # What an earlier attempt has written may fit the pattern too.
        own = {one.absolute() for one in target.files}
        paths = [path for path in map(Path, found) if path.absolute() not in own]
        paths = [path for path in paths if path.is_file()]
    if not paths:
        raise SourceNotFound(f"a file that fits {source!r}" if glob.has_magic(source) else source)
    forms = sorted({format_of(path) for path in paths})
    if len(forms) > 1:
        raise UnsupportedMedia(
            f"{source} are files of several formats: {', '.join(forms)}",
            hint="score each format for itself",
        )
    for written in target.files:
        if written.exists() and any(written.samefile(path) for path in paths):
            option = "--errors" if written == target.errors else "--output"
            raise InvalidInput(f"{written} is an input itself", hint=f"give {option} another name")
    return paths
