"""What a SOURCE is: the file, folder or Python name that a model is given as.

A file is known by its content, not by its name; only pickles too old to say what they are go by
their name. An MLflow folder is its inner file wherever a framework of our own reads that.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import msgspec

from modelway.bundles.digest import file_sha256, tree_sha256
from modelway.bundles.inferring import SignatureFacts
from modelway.bundles.manifest import MANIFEST
from modelway.bundles.mlflow_folder import MLMODEL, mlflow_model
from modelway.domain.errors import InvalidSource, SourceNotFound
from modelway.domain.names import alias_of

ReadYaml = Callable[[bytes], object]
"""Reads YAML; raises MissingExtra where the library for it is not installed."""

_PICKLE_NAMES = (".pickle", ".pkl", ".joblib", ".cloudpickle", ".p")
_COMPRESSED = (b"\x78", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x5d\x00", b"\x04\x22\x4d\x18")
_PACKED: Mapping[bytes, Callable[..., IO[Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"\x5d\x00": lzma.open,
}
_HEAD_BYTES = 4096
_SIGN_BYTES = 2

_WRAPPER = re.compile(rb'_estimator_type\\?": ?\\?"(classifier|regressor)')

_OLDEST_ONNX, _NEWEST_ONNX = 3, 64
_ONNX_FIELDS = b"\x12\x1a\x22\x28\x32\x3a\x42"


@dataclass(frozen=True, slots=True)
class Format:
    """A form that a model comes in: which framework reads it, and its name inside a bundle."""

    framework: str
    file: str
    is_pickle: bool = False


FORMATS: Mapping[str, Format] = {
    "pickle": Format("sklearn", "model.pickle", is_pickle=True),
    "joblib": Format("sklearn", "model.joblib", is_pickle=True),
    "skops": Format("sklearn", "model.skops"),
    "onnx": Format("onnx", "model.onnx"),
    "xgboost-sklearn-json": Format("sklearn", "model.json"),
    "xgboost-sklearn-ubj": Format("sklearn", "model.ubj"),
    "xgboost-json": Format("xgboost", "model.json"),
    "xgboost-ubj": Format("xgboost", "model.ubj"),
    "lightgbm-text": Format("lightgbm", "model.txt"),
    "catboost-cbm": Format("catboost", "model.cbm"),
    "mlflow": Format("mlflow", "mlflow", is_pickle=True),
    "python": Format("python_function", ""),
}

UNDERSTOOD = (
    "pickles (pickle, joblib, cloudpickle), skops, ONNX, XGBoost .json and .ubj, LightGBM text, "
    "CatBoost .cbm, MLflow model folders, file.py:NAME"
)


@dataclass(frozen=True, slots=True)
class Source:
    """A model as it was given.

    ``path`` is what is read and kept, ``entry`` a name in a Python file. ``given`` is the path that
    was named: another one only where an MLflow folder stands around the model. ``code`` and
    ``signature`` are what such a folder has of them.
    """

    path: Path
    format: str
    given: Path
    entry: str | None = None
    code: Path | None = None
    signature: SignatureFacts | None = None

    @property
    def framework(self) -> str:
        """The name of the framework that reads it."""
        return FORMATS[self.format].framework

    @property
    def is_pickle(self) -> bool:
        """Whether reading it may run code that the file itself holds.

        Python that came in the folder of a model is such a file too, also where it only lies beside
        the model: whoever names a Python file means to run it, and whoever names a folder does not
        know what is in it.
        """
        has_code = self.entry is not None or self.code is not None
        return FORMATS[self.format].is_pickle or (self.given != self.path and has_code)

    @property
    def name(self) -> str:
        """What the model is called where nobody gave it a name."""
        return self.entry or alias_of(self.given.absolute().name.partition(".")[0], 0)

    def sha256(self) -> str:
        """The SHA-256 of the file, or over the files of the folder, as 64 hexadecimal digits."""
        return tree_sha256(self.path) if self.path.is_dir() else file_sha256(self.path)


def read_source(text: str, read_yaml: ReadYaml) -> Source:
    """What ``text``, as it stands on a command line, is.

    Raises:
        SourceNotFound: there is no such file or folder.
        InvalidSource: it is nothing that is understood here.
        MissingExtra: an MLflow folder, and there is no reader of YAML.
    """
    head, _, entry = text.rpartition(":")
    if head.endswith(".py"):
        return _python(Path(head), entry)
    path = Path(text)
    if not path.exists():
        raise SourceNotFound(text)
    if path.is_dir():
        return _folder(path, read_yaml)
    if path.suffix == ".py":
        raise InvalidSource(
            f"{path} is a Python file; which function or class of it is the model?",
            hint=f"{path}:NAME",
        )
    return Source(path, _format_of(path), given=path)


def _python(path: Path, entry: str) -> Source:
    if not path.is_file():
        raise SourceNotFound(str(path))
    if not entry.isidentifier():
        raise InvalidSource(f"{entry!r} is no name of a function or class", hint=f"{path}:NAME")
    return Source(path, "python", given=path, entry=entry)


def _folder(folder: Path, read_yaml: ReadYaml) -> Source:
    if (folder / MANIFEST).is_file():
        raise InvalidSource(
            f"{folder} is a bundle already", hint="modelway serve takes it as it is"
        )
    if not (folder / MLMODEL).is_file():
        raise InvalidSource(
            f"{folder} is neither a bundle nor an MLflow model folder: it has no {MLMODEL}",
            hint=f"understood: {UNDERSTOOD}",
        )
    model = mlflow_model(folder, read_yaml((folder / MLMODEL).read_bytes()))
    if model.file is None:
        return Source(folder, "mlflow", given=folder, signature=model.signature)
    if not model.file.is_file():
        raise SourceNotFound(str(model.file), hint=f"{folder / MLMODEL} names it")
    if model.entry is not None:
        python = _python(model.file, model.entry)
        return replace(python, given=folder, code=model.code, signature=model.signature)
    found = _format_of(model.file)
    return Source(model.file, found, given=folder, code=model.code, signature=model.signature)


def _format_of(path: Path) -> str:
    """The format of a file. Raises InvalidSource."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise InvalidSource(f"{path} cannot be read: {error.strerror}") from error
    for name, has in _SIGNS.items():
        if has(head, path):
            return name
    if path.suffix.lower() in _PICKLE_NAMES and head:
        return "pickle"  # protocols 0 and 1 have no sign of their own
    raise InvalidSource(f"{path} is no model that is understood", hint=f"understood: {UNDERSTOOD}")


def _is_pickle(head: bytes, path: Path) -> bool:
    return _has_protocol(head) and path.suffix.lower() != ".joblib"


def _is_joblib(head: bytes, path: Path) -> bool:
    """joblib's pickles say nothing of joblib; compressed ones are always joblib's."""
    if _has_protocol(head) or _has_protocol(_unpacked(head, path)):
        return True
    return path.suffix.lower() in _PICKLE_NAMES and head.startswith(_COMPRESSED)


def _unpacked(head: bytes, path: Path) -> bytes:
    """The first bytes of what the file holds compressed; none if it holds nothing so."""
    try:
        if head.startswith(b"\x78"):
            return zlib.decompressobj().decompress(head, _SIGN_BYTES)
        for magic, opened in _PACKED.items():
            if head.startswith(magic):
                with opened(path) as stream:
                    return bytes(stream.read(_SIGN_BYTES))
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        pass  # it only begins as if it were compressed
    return b""


def _has_protocol(head: bytes) -> bool:
    """Whether it begins as pickles of protocol 2 and later do."""
    return len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5


def _is_skops(head: bytes, path: Path) -> bool:
    if not head.startswith(b"PK") or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "schema.json" in archive.namelist()


def _is_onnx(head: bytes, _path: Path) -> bool:
    """A ModelProto begins with its version, and so do TensorFlow's files, with a lower one."""
    if len(head) < 3 or head[0] != 0x08:
        return False
    return _OLDEST_ONNX <= head[1] <= _NEWEST_ONNX and head[2] in _ONNX_FIELDS


def _is_xgboost_json(head: bytes, path: Path) -> bool:
    if not head.lstrip().startswith(b'{"'):
        return False
    try:
        return "learner" in msgspec.json.decode(path.read_bytes(), type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError:
        return False


def _is_xgboost_ubj(head: bytes, _path: Path) -> bool:
    return head.startswith(b"{") and b"learner" in head[:32] and not head.startswith(b'{"')


def _is_wrapper(path: Path) -> bool:
    """Whether a classifier or regressor of XGBoost saved the booster: it answers otherwise."""
    return _WRAPPER.search(path.read_bytes()) is not None


_SIGNS: Mapping[str, Callable[[bytes, Path], Any]] = {
    "pickle": _is_pickle,
    "joblib": _is_joblib,
    "skops": _is_skops,
    "onnx": _is_onnx,
    "xgboost-sklearn-json": lambda head, path: _is_xgboost_json(head, path) and _is_wrapper(path),
    "xgboost-sklearn-ubj": lambda head, path: _is_xgboost_ubj(head, path) and _is_wrapper(path),
    "xgboost-json": _is_xgboost_json,
    "xgboost-ubj": _is_xgboost_ubj,
    "lightgbm-text": lambda head, _: head.startswith((b"tree\n", b"tree\r\n")),
    "catboost-cbm": lambda head, _: head.startswith(b"CBM1"),
}
