"""What is trusted: which sources may be read at all, and which libraries a bundle was made with."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from modelway.bundles.manifest import ORIGINAL, Manifest
from modelway.bundles.sources import FORMATS, Source
from modelway.domain.errors import LoadFailed, UnsafeFormat

_SKLEARN_VERSION = re.compile(
    rb"_sklearn_version.{0,8}?(\d+(?:\.\d+)+(?:(?:a|b|rc|\.dev|\.post)\d+)?)", re.DOTALL
)


_PICKLE_HINT = (
    "leave out --no-pickle and set allow_pickle = true if you trust where it came from, or save "
    "the model as ONNX or skops"
)


def check_allowed(source: Source, *, allow_pickle: bool) -> None:
    """Do nothing if the source may be read.

    Raises:
        UnsafeFormat: reading it runs code that it holds, and that is not allowed.
    """
    if source.is_pickle and not allow_pickle:
        held = "Python code, which runs when it is read"
        if source.entry is None and source.code is None:
            held = "a pickle, and reading a pickle runs code in it"
        raise UnsafeFormat(f"{source.given} holds {held}", hint=_PICKLE_HINT)


def check_original_allowed(folder: Path, manifest: Manifest, *, allow_pickle: bool) -> None:
    """Do nothing if the original in the bundle ``folder`` may be read.

    What a manifest calls its original decides whether it is a pickle, so a manifest that calls it
    something else than it is read as is refused.

    Raises:
        LoadFailed: format, framework and file do not fit each other.
        UnsafeFormat: reading it runs code that it holds, and that is not allowed.
    """
    original = manifest.original
    form = FORMATS.get(original.format)
    if (
        form is None
        or not manifest.runtime == original.framework == form.framework
        or (form.file and original.path != f"{ORIGINAL}/{form.file}")
    ):
        raise LoadFailed(
            f"{folder}: no model of {original.framework} is {original.format} at {original.path}",
            hint="build the bundle again from its source",
        )
    if form.is_pickle and not allow_pickle:
        raise UnsafeFormat(
            f"{folder} answers with a pickle, and reading a pickle runs code in it",
            hint=_PICKLE_HINT,
        )


def pickle_notice(source: Source, sha256: str) -> str:
    """The line to print before a pickle is read."""
    return (
        f"Reading {source.path} (SHA-256 {sha256}): "
        f"{'Python' if source.entry else 'a pickle'}, which can run any code; "
        "go on only with files you trust"
    )


def installed(names: Iterable[str]) -> dict[str, str]:
    """The installed version of each distribution that is installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def version_differences(manifest: Manifest) -> list[str]:
    """One sentence for each library that is another one here than the bundle was made with."""
    here = installed(manifest.libraries)
    return [
        f"made with {name} {wanted}, opened with {here.get(name, 'none')}; answers may differ"
        for name, wanted in sorted(manifest.libraries.items())
        if here.get(name) != wanted
    ]


def pinned(libraries: Mapping[str, str]) -> str:
    """The libraries as the lines of a requirements.txt."""
    return "".join(f"{name}=={libraries[name]}\n" for name in sorted(libraries))


def sklearn_version_in(pickle: Path) -> str | None:
    """The version of scikit-learn that wrote an uncompressed pickle, found without reading it."""
    with pickle.open("rb") as stream:
        if not stream.seek(0, 2):
            return None
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found = _SKLEARN_VERSION.search(content)
            return found[1].decode() if found else None
