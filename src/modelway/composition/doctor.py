"""What this installation can do: versions, extras, a first run of ONNX Runtime, port and home."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from modelway.domain.errors import ModelwayError
from modelway.settings import Settings
from modelway.supervisor.sockets import bind

CORE = ("click", "httptools", "msgspec", "numpy", "onnxruntime", "uvloop")

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "sklearn": ("scikit-learn", "onnx", "pandas", "cloudpickle", "joblib"),
    "skops": ("skops",),
    "xgboost": ("xgboost",),
    "lightgbm": ("lightgbm",),
    "catboost": ("catboost",),
    "mlflow": ("mlflow", "pyyaml"),
    "arrow": ("pyarrow",),
}


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at; ``needed`` findings that are not ``ok`` make the whole not ok."""

    name: str
    ok: bool
    found: str
    needed: bool = True
    hint: str | None = None


class Examination(msgspec.Struct, frozen=True):
    """All findings."""

    ok: bool
    findings: tuple[Finding, ...]


def examine(settings: Settings) -> Examination:
    """Look at the installation; changes nothing."""
    findings = (
        Finding("python", True, f"{platform.python_version()} on {platform.platform()}"),
        *_core(),
        *_extras(),
        _onnxruntime(),
        _port(settings.serve.host, settings.serve.port),
        _home(settings.bundles.home),
    )
    return Examination(all(one.ok or not one.needed for one in findings), findings)


def _installed(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _core() -> Iterator[Finding]:
    for name in CORE:
        found = _installed(name)
        needed = name != "uvloop"  # Windows has none
        hint = None if found else "pip install --force-reinstall modelway"
        yield Finding(name, found is not None, found or "not installed", needed, hint)


def _extras() -> Iterator[Finding]:
    for extra, names in EXTRAS.items():
        versions = {name: _installed(name) for name in names}
        missing = [name for name, found in versions.items() if found is None]
        found = ", ".join(f"{name} {version or 'missing'}" for name, version in versions.items())
        hint = f"pip install 'modelway[{extra}]'" if missing else None
        yield Finding(f"extra {extra}", not missing, found, needed=False, hint=hint)


def _onnxruntime() -> Finding:
    """Run a graph of one node, written by hand so that no other library is needed."""
    try:
        import numpy as np
        import onnxruntime

        session = onnxruntime.InferenceSession(_IDENTITY, providers=["CPUExecutionProvider"])
        (answer,) = session.run(None, {"x": np.array([1.5])})
        ok = bool(answer[0] == 1.5)
    except Exception as error:  # noqa: BLE001 - whatever a broken installation raises is the finding
        return Finding("onnxruntime runs", False, str(error).splitlines()[0][:200])
    return Finding("onnxruntime runs", ok, "a graph of one node answers")


def _port(host: str, port: int) -> Finding:
    try:
        bind(host, port).close()
    except ModelwayError as error:
        return Finding(f"port {port}", False, error.message, needed=False, hint=error.hint)
    return Finding(f"port {port}", True, f"free on {host}", needed=False)


def _home(home: Path) -> Finding:
    hint = "name another with --home or MODELWAY__BUNDLES__HOME"
    parent = next(one for one in (home, *home.absolute().parents) if one.exists())
    if not parent.is_dir():
        return Finding("home", False, f"{home}: {parent} is no folder", hint=hint)
    try:
        with tempfile.TemporaryFile(dir=parent):
            return Finding("home", True, f"{home} can be written")
    except OSError as error:
        return Finding("home", False, f"{home}: {error.strerror}", hint=hint)


# ModelProto: ir_version 8, opset 15, graph "g": y = Identity(x), both double of one axis "n".
_IDENTITY = bytes.fromhex(
    "08083a390a100a017812017922084964656e746974791201675a100a0178120b"
    "0a09080b12050a0312016e62100a0179120b0a09080b12050a0312016e42040a00100f"
)
