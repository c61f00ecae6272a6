"""The files of a model in MLflow: where the tracking server gives and takes them.

Every file goes through the server: it reads its own disk or object store with its own credentials,
and no other host is ever asked. Files lie below the address that the server proxies, or belong to a
run or to one of MLflow 3's logged models.

Source: MLflow, "Artifact Stores"; its server's routes.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlencode

import msgspec

from modelway.backends.mlflow_http import API, MlflowHttp, quoted
from modelway.bundles.confined import confined
from modelway.domain.errors import (
    InvalidInput,
    InvalidSource,
    RegistryUnavailable,
    SourceNotFound,
    TargetExists,
)

_PROXIED = "/api/2.0/mlflow-artifacts/artifacts"
_DEEPEST = 32
_PART = ".part"


@dataclass(frozen=True, slots=True)
class Place:
    """Files that the server gives under ``path``: those it proxies, of a run, or of a logged model.

    ``path`` is relative to what it belongs to and may be empty.
    """

    path: str
    run_id: str | None = None
    model_id: str | None = None

    def listing(self, below: str) -> str:
        """The target that lists a folder ``below`` the path."""
        at = _joined(self.path, below)
        if self.model_id is not None:
            query = urlencode({"artifact_directory_path": at} if at else {})
            return f"{API}logged-models/{quoted(self.model_id)}/artifacts/directories?{query}"
        if self.run_id is not None:
            asked = {"run_id": self.run_id, **({"path": at} if at else {})}
            return f"{API}artifacts/list?{urlencode(asked)}"
        return f"{_PROXIED}?{urlencode({'path': at})}"

    def content(self, below: str) -> str:
        """The target that gives a file ``below`` the path."""
        at = _joined(self.path, below)
        if self.model_id is not None:
            query = urlencode({"artifact_file_path": at})
            model = quoted(self.model_id)
            return f"/ajax-api/2.0/mlflow/logged-models/{model}/artifacts/files?{query}"
        if self.run_id is not None:
            return f"/get-artifact?{urlencode({'run_id': self.run_id, 'path': at})}"
        return f"{_PROXIED}/{quoted(at)}"

    def named(self, path: str) -> str:
        """The path of a listed file or folder, relative to the place: the one listing gives names
        alone, the others whole paths."""
        if self.run_id is None and self.model_id is None:
            return path
        return PurePosixPath(path).name


class _Entry(msgspec.Struct):
    path: str
    is_dir: bool = False


class _Listing(msgspec.Struct):
    files: list[_Entry] = []


def download(server: MlflowHttp, place: Place, folder: Path) -> None:
    """Write every file of the place below ``folder``, which is made, or is empty; each file appears
    whole. Where anything fails nothing is left.

    Raises:
        TargetExists: something is in the folder.
        InvalidSource: there are no files, or one has a path that leads out of the folder.
        InvalidInput: the disk does not take them.
        RegistryUnavailable: the server cannot be reached, or breaks off.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TargetExists(f"{folder} is there already", hint="expected is an empty folder")
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with _writing(folder):
            for name in _names(server, place):
                _write(server, place.content(name), _target(folder, name))
            if not any(folder.iterdir()):
                _write_single(server, place, folder)
    except BaseException:
        for one in folder.iterdir():
            shutil.rmtree(one) if one.is_dir() else one.unlink()
        raise


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """What a disk refuses, as an error that names the folder."""
    try:
        yield
    except OSError as error:
        raise InvalidInput(
            f"the files of the model cannot be written to {folder}: {error.strerror}",
            hint="make room there, or name another folder",
        ) from error


def upload(server: MlflowHttp, folder: Path, path: str) -> None:
    """Send every file of the folder to below a path that the server proxies.

    Raises:
        SourceNotFound: the folder is not there.
        InvalidSource: it has no file, or one that lies elsewhere, by a link.
        RegistryUnavailable: the server cannot be reached.
    """
    for name, file in files_of(folder):
        with file.open("rb") as content:
            size = str(file.stat().st_size)
            headers = {"content-type": "application/octet-stream", "content-length": size}
            target = f"{_PROXIED}/{quoted(_joined(path, name))}"
            with server.opened("PUT", target, content, headers) as reply:
                reply.read()


def files_of(folder: Path) -> list[tuple[str, Path]]:
    """The files of a folder with their paths below it, in the order of these.

    Raises:
        SourceNotFound: the folder is not there.
        InvalidSource: it has no file, or one that lies elsewhere, by a link.
    """
    if not folder.is_dir():
        raise SourceNotFound(str(folder), hint="expected is the folder of a model")
    found = []
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if confined(folder, name) is None:
            raise InvalidSource(
                f"{file} is a link that leads out of the folder", hint="copy what it points to"
            )
        if file.is_file():
            found.append((name, file))
    if not found:
        raise InvalidSource(f"{folder} has no files", hint="expected is the folder of a model")
    return found


def _names(server: MlflowHttp, place: Place) -> Iterator[str]:
    """The path of every file, relative to the place."""
    folders = [("", 0)]
    while folders:
        below, depth = folders.pop()
        if depth > _DEEPEST:
            raise InvalidSource(f"the registry lists folders more than {_DEEPEST} deep: {below}")
        with server.opened("GET", place.listing(below)) as reply:
            content = reply.read()
        for entry in _listed(content):
            name = _joined(below, place.named(entry.path))
            if entry.is_dir:
                folders.append((name, depth + 1))
            else:
                yield name


def _listed(content: bytes) -> list[_Entry]:
    try:
        return msgspec.json.decode(content, type=_Listing).files
    except msgspec.MsgspecError as error:
        raise RegistryUnavailable(
            f"the registry's list of files cannot be read: {error}"
        ) from error


def _write_single(server: MlflowHttp, place: Place, folder: Path) -> None:
    """The one file that the place is, if it is no folder."""
    name = PurePosixPath(place.path).name
    nothing = InvalidSource("the registry has no files of this version")
    if not name:
        raise nothing
    _write(server, place.content(""), _target(folder, name), nothing)


def _write(
    server: MlflowHttp, target: str, file: Path, absent: InvalidSource | None = None
) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{secrets.token_hex(8)}{_PART}")
    missing = absent or InvalidSource(f"the registry lists {file.name} and does not have it")
    with server.opened("GET", target, absent=lambda: missing) as reply, part.open("xb") as stream:
        for piece in reply.chunks():
            stream.write(piece)
    part.replace(file)


def _target(folder: Path, name: str) -> Path:
    """Where a file of this path goes.

    Raises:
        InvalidSource: it leads out of the folder.
    """
    parts = name.split("/")
    if (
        any(part in ("", ".", "..") for part in parts)
        or "\\" in name
        or "\0" in name
        or confined(folder, name) is None
    ):
        raise InvalidSource(
            f"the registry names a file {name[:200]!r}, which is no path inside a folder"
        )
    return folder / name


def _joined(first: str, second: str) -> str:
    return f"{first}/{second}" if first and second else first or second
