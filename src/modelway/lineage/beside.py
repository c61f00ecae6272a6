"""The origin of a model, found beside its files: repositories, the data's bytes, pointers, locks.

Source: DVC, ".dvc files".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from modelway.bundles.digest import file_sha256
from modelway.bundles.sources import ReadYaml
from modelway.domain.errors import InvalidInput, SourceNotFound
from modelway.lineage.origin import DvcPointer, Origin
from modelway.lineage.repository import Repository, repository_of

LOCKS = (
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "Pipfile.lock",
    "conda-lock.yml",
    "requirements.txt",
)
"""Lock files; of several in one folder the first counts."""

_POINTER = ".dvc"
_MD5 = "md5"
_MD5_OF_LINES = "md5-dos2unix"
"""DVC before 3 took a text's MD5 with the ends of its lines as on Unix, and does not say so."""

_CHUNK_BYTES = 1 << 20


class _Output(msgspec.Struct):
    path: str
    md5: str | None = None
    hash: str | None = None
    size: int | None = None
    etag: str | None = None
    checksum: str | None = None


class _Pointer(msgspec.Struct):
    outs: list[_Output]


def find_origin(
    source: Path, data: Path | None, read_yaml: ReadYaml, say: Callable[[str], object]
) -> Origin:
    """The origin of the model at ``source``, trained on ``data``, as the files there tell it.

    ``say`` is told where a pointer and the data it points to differ.

    Raises:
        SourceNotFound: there are neither the data nor a pointer to them.
        InvalidInput: the pointer cannot be read.
        MissingExtra: there is a pointer, and no reader of YAML.
    """
    place = source.absolute()
    code = repository_of(place if place.is_dir() else place.parent)
    lock = _lock(place, code)
    found = Origin(
        code=code.commit if code else None,
        lock=_named(lock, code) if lock else None,
        lock_sha256=file_sha256(lock) if lock else None,
    )
    return found if data is None else _with_data(found, code, data, read_yaml, say)


def pointer_of(data: Path, read_yaml: ReadYaml) -> DvcPointer | None:
    """What the DVC pointer beside ``data`` says of it; None where there is none.

    Raises:
        InvalidInput: it cannot be read.
        MissingExtra: there is no reader of YAML.
    """
    file = _pointer_file(data)
    if not file.is_file():
        return None
    try:
        outputs = msgspec.convert(read_yaml(file.read_bytes()), _Pointer).outs
    except (OSError, InvalidInput, msgspec.MsgspecError) as error:
        raise InvalidInput(f"{file} cannot be read as a DVC pointer: {error}") from error
    found = next((one for one in outputs if one.path == data.name), None)
    if found is None:
        there = ", ".join(one.path for one in outputs) or "nothing"
        raise InvalidInput(f"{file} points to {there}, and not to {data.name}")
    hashes = (
        (found.hash or _MD5_OF_LINES, found.md5),
        ("etag", found.etag),
        ("checksum", found.checksum),
    )
    for name, value in hashes:
        if value:
            return DvcPointer(name, value, found.path, found.size)
    raise InvalidInput(f"{file} has no hash of {data.name}: expected md5, etag or checksum")


def has_pointer(data: Path) -> bool:
    """Whether a DVC pointer lies beside the data, or where they would be."""
    return _pointer_file(data).is_file()


def _with_data(
    found: Origin,
    code: Repository | None,
    data: Path,
    read_yaml: ReadYaml,
    say: Callable[[str], object],
) -> Origin:
    place = data.absolute()
    pointer = pointer_of(place, read_yaml)
    if pointer is None and not place.is_file():
        raise SourceNotFound(str(data))
    holder = repository_of(place.parent)
    sums = _sums(place) if place.is_file() else None
    if sums and pointer and not _fits(pointer, sums):
        say(f"{data} is not what {_pointer_file(data).name} points to; run dvc add or dvc checkout")
    elsewhere = holder if holder and (code is None or holder.root != code.root) else None
    return Origin(
        code=found.code,
        data_code=elsewhere.commit if elsewhere else None,
        data=_named(place, holder),
        data_sha256=sums.sha256 if sums else None,
        dvc=pointer,
        lock=found.lock,
        lock_sha256=found.lock_sha256,
    )


@dataclass(frozen=True, slots=True)
class _Sums:
    sha256: str
    md5: str
    size: int


def _sums(path: Path) -> _Sums:
    """The sums over a whole file, read once and piece by piece."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            sha256.update(chunk)
            md5.update(chunk)
            size += len(chunk)
    return _Sums(sha256.hexdigest(), md5.hexdigest(), size)


def _fits(pointer: DvcPointer, sums: _Sums) -> bool:
    """Whether the data may be what is pointed to; a hash of another kind decides nothing."""
    if pointer.hash == _MD5 and pointer.value != sums.md5:
        return False
    return pointer.size is None or pointer.size == sums.size


def _pointer_file(data: Path) -> Path:
    return data.with_name(data.name + _POINTER)


def _lock(source: Path, repository: Repository | None) -> Path | None:
    """The nearest lock file upwards of the source, within its repository if it is in one."""
    start = source if source.is_dir() else source.parent
    for folder in (start, *start.parents):
        for name in LOCKS:
            if (folder / name).is_file():
                return folder / name
        if repository is not None and folder.resolve() == repository.root.resolve():
            return None
    return None


def _named(path: Path, repository: Repository | None) -> str:
    """A path as it is kept: below the repository that it is in, else absolute."""
    if repository is not None:
        root = repository.root.resolve()
        resolved = path.parent.resolve() / path.name
        if resolved.is_relative_to(root):
            return resolved.relative_to(root).as_posix()
    return path.as_posix()
