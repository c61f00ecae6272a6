"""The manifest of a bundle: what is in the folder and how to run it.

A bundle is a folder:

    manifest.json      this
    signature.json     what goes in and out
    reference.json     profile of the training data, if there was any
    requirements.txt   the libraries that the runtime needs, pinned
    model.onnx         the compiled model, if it compiled
    original/          the model as it was given
    code/              the user's own classes, if the original needs them
    record.json        name, source, times, metrics and parity; beside the contents, not of them

How the format may change. A reader opens every format version up to its own and refuses a newer
one. Within a version a field may be added if its default means what its absence meant before;
anything that changes the meaning of what is there, or removes a field, is a new version, and a
bundle of every past version stays in ``tests/golden``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import msgspec

from modelway.domain.errors import LoadFailed
from modelway.domain.signature import Signature

FORMAT_VERSION = 1

MANIFEST = "manifest.json"
SIGNATURE = "signature.json"
REFERENCE = "reference.json"
REQUIREMENTS = "requirements.txt"
COMPILED = "model.onnx"
ORIGINAL = "original"
CODE = "code"
RECORD = "record.json"

MISSING_TEXT = "\U0010ffff"
"""What a missing text is inside a compiled graph: ONNX strings cannot be null. Unicode keeps this
code point from ever being a character; requests that contain it are refused."""


class Task(StrEnum):
    """What a model does."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    CLUSTERING = "clustering"
    FUNCTION = "function"


Layout = Literal["matrix", "columns", "tensors"]
"""How a runtime takes a table: one float64 matrix, one array a column, or named tensors."""


class OriginalModel(msgspec.Struct, frozen=True):
    """The model as it was given: ``path`` inside the bundle, opened by ``framework``.

    ``entry`` names a function or class inside a Python source (``is_in_heat``).
    """

    framework: str
    path: str
    format: str
    entry: str | None = None


class Manifest(msgspec.Struct, frozen=True):
    """How to run what is in the folder.

    ``runtime`` is the framework that answers: ``onnx`` when compiled, else the original's own.
    ``classes`` are the labels in the order of ``class_index`` and of the probabilities' columns.
    ``missing_text`` is what the original takes for a missing text: NaN or None. ``whole_numbers``
    are the columns that the training data held as whole numbers: the original is given int64 there
    for a row whose value is whole. ``row_wise``: a row is answered alike alone and among others,
    within the gate's tolerance, as was measured when the bundle was built. ``libraries`` are the
    versions the original was made or read with, by distribution name.
    """

    format_version: int
    task: Task
    runtime: str
    original: OriginalModel
    layout: Layout
    classes: tuple[str | int | float | bool, ...] | None = None
    probabilities: bool = False
    batch_invariant: bool = True
    missing_text: Literal["nan", "none"] = "nan"
    whole_numbers: tuple[str, ...] = ()
    row_wise: bool = False
    libraries: Mapping[str, str] = {}

    @property
    def is_compiled(self) -> bool:
        """Whether the answers come from a graph compiled from the original."""
        return self.runtime == "onnx" and self.original.framework != "onnx"


def canonical_json(value: Any) -> bytes:
    """``value`` as JSON bytes that depend on nothing but the value: keys sorted, two spaces."""
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the bundle in ``folder``.

    Raises:
        LoadFailed: there is none, it cannot be read, or its format is newer than this reader.
    """
    check_format(folder)
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise LoadFailed(f"{folder} is not a readable bundle: {error}") from error


def check_format(folder: Path) -> None:
    """Do nothing unless the bundle in ``folder`` says that its format is newer than this reader.

    Raises:
        LoadFailed: it says so.
    """
    try:
        raw = (folder / MANIFEST).read_bytes()
        version = msgspec.json.decode(raw, type=_Version).format_version
    except (OSError, msgspec.MsgspecError):
        return  # what cannot be read is said by whoever compares or reads it
    if version > FORMAT_VERSION:
        raise LoadFailed(
            f"{folder} has bundle format {version}; this version reads up to {FORMAT_VERSION}",
            hint="pip install --upgrade modelway",
        )


def read_signature(folder: Path) -> Signature:
    """The signature of the bundle in ``folder``.

    Raises:
        LoadFailed: there is none or it cannot be read.
    """
    try:
        content = msgspec.json.decode((folder / SIGNATURE).read_bytes(), type=dict[str, Any])
        for column in content.get("columns", ()):
            # Before there was the word, what might be null might be left out.
            column.setdefault("optional", column.get("nullable", False))
        return msgspec.convert(content, Signature)
    except (OSError, AttributeError, TypeError, msgspec.MsgspecError) as error:
        raise LoadFailed(f"{folder / SIGNATURE} cannot be read: {error}") from error


class _Version(msgspec.Struct):
    format_version: int
