"""Which frameworks and compilers there are; each is imported when it is first needed."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelway.bundles.manifest import COMPILED, Manifest
from modelway.bundles.ports import Compiler, Framework, Runtime
from modelway.domain.errors import LoadFailed, MissingExtra
from modelway.domain.signature import Signature
from modelway.endpoints.planned import PlannedRemote

log = logging.getLogger("modelway.bundles")


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a class lies, and the library and the extra that it needs."""

    path: str
    library: str | None = None
    extra: str | None = None


_FRAMEWORKS: Mapping[str, _Entry] = {
    "onnx": _Entry("runtimes.onnx:OnnxFramework"),
    "sklearn": _Entry("runtimes.sklearn:SklearnFramework", "sklearn", "sklearn"),
    "xgboost": _Entry("runtimes.xgboost:XgboostFramework", "xgboost", "xgboost"),
    "lightgbm": _Entry("runtimes.lightgbm:LightgbmFramework", "lightgbm", "lightgbm"),
    "catboost": _Entry("runtimes.catboost:CatboostFramework", "catboost", "catboost"),
    "mlflow": _Entry("runtimes.mlflow:MlflowFramework", "mlflow", "mlflow"),
    "python_function": _Entry("runtimes.python_function:PythonFunctionFramework"),
}

_COMPILERS: Mapping[str, _Entry] = {
    "sklearn": _Entry("compilers.sklearn.compiler:SklearnCompiler", "onnx", "sklearn"),
    "xgboost": _Entry("compilers.xgboost:XgboostCompiler", "onnx", "xgboost"),
    "lightgbm": _Entry("compilers.lightgbm:LightgbmCompiler", "onnx", "lightgbm"),
    "catboost": _Entry("compilers.catboost:CatboostCompiler", "onnx", "catboost"),
}

_LIBRARY_NAMES = {"sklearn": "scikit-learn"}


def framework(name: str) -> Framework:
    """The framework of this name.

    Raises:
        LoadFailed: there is none.
        MissingExtra: its library is not installed.
    """
    entry = _FRAMEWORKS.get(name)
    if entry is None:
        raise LoadFailed(f"no framework is called {name!r}: {', '.join(_FRAMEWORKS)}")
    found: Framework = _made(entry, f"a model of {name}")
    return found


def compiler(name: str) -> Compiler | None:
    """The compiler of the framework of this name; None where none is needed or there is none.

    Raises:
        MissingExtra: a library that it needs is not installed.
    """
    entry = _COMPILERS.get(name)
    return None if entry is None else _made(entry, f"compiling a model of {name}")


def open_runtime(
    folder: Path, signature: Signature, manifest: Manifest, *, allow_pickle: bool
) -> Runtime:
    """The model of the bundle in ``folder``, opened: the compiled one, or the original itself.

    Another version of a library than the recorded one is said in the log.

    Raises:
        LoadFailed: the model cannot be read, or lies outside the bundle.
        UnsafeFormat: the original answers, it is a pickle, and those are not allowed.
        MissingExtra: its library is not installed.
    """
    if manifest.is_compiled:
        onnx = framework("onnx")
        return onnx.open(onnx.load(folder / COMPILED, None), signature, manifest)
    from modelway.bundles.code import use_code
    from modelway.bundles.confined import confined
    from modelway.bundles.trust import check_original_allowed, version_differences

    check_original_allowed(folder, manifest, allow_pickle=allow_pickle)
    path = confined(folder, manifest.original.path)
    if path is None:
        raise LoadFailed(
            f"{folder}: its original, {manifest.original.path}, lies outside",
            hint="build the bundle again from its source",
        )
    native = framework(manifest.runtime)
    for difference in version_differences(manifest):
        log.warning("%s: %s", folder, difference)
    use_code(folder, manifest.runtime)
    model = native.load(path, manifest.original.entry)
    return native.open(model, signature, manifest)


def open_remote(remote: PlannedRemote) -> Runtime:
    """What asks a service of others; it is connected when it is first asked."""
    # Nobody holds what speaks HTTP to others but who does.
    from modelway.runtimes.remote import RemoteRuntime

    return RemoteRuntime(remote.url)


def _made(entry: _Entry, wanted_for: str) -> Any:
    if entry.library and entry.extra and importlib.util.find_spec(entry.library) is None:
        library = _LIBRARY_NAMES.get(entry.library, entry.library)
        raise MissingExtra(library, entry.extra, wanted_for)
    module, _, name = entry.path.partition(":")
    return getattr(importlib.import_module(f"modelway.{module}"), name)()
