"""A bundle's original as an MLflow model: what a registry is given of it.

    MLmodel            the signature and, by flavour, who may read which file
    model.pickle       the model as it was given, under its name in the bundle
    code/              the classes it needs, if it needs any
    requirements.txt   the libraries that read it, pinned; python_env.yaml for MLflow

``MLmodel`` is JSON, which is YAML too. The ``modelway`` flavour is there whatever the model is,
with the signature in full: so every host makes of the folder a bundle that takes and gives the
same. Beside it stand MLflow's own flavours, and ``python_function`` where MLflow can load the model
by it. Nothing here reads the model or imports MLflow.

Source: MLflow 3.17, its flavours' ``save_model``.
"""

from __future__ import annotations

import mmap
import platform
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from modelway.bundles.manifest import CODE, ORIGINAL, REQUIREMENTS, Manifest, Task
from modelway.bundles.mlflow_folder import FLAVOR, MLMODEL
from modelway.bundles.store import Bundle
from modelway.bundles.trust import pinned
from modelway.lineage.mlflow_signature import mlflow_signature

ENVIRONMENT = "python_env.yaml"

_PYFUNC = "python_function"
_OF_A_SCRIPT = b"__main__"

_TRUSTED = (
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
)
"""The types beside skops' own that a bundle's skops file may hold."""

Flavor = dict[str, Any]


def write_model(bundle: Bundle, folder: Path, at: datetime) -> None:
    """Write the MLflow model of a bundle into ``folder``, which is there and empty.

    ``at`` is when it was registered. The model's file is that of the bundle: what was proven.
    """
    manifest = bundle.manifest
    path = manifest.original.path.removeprefix(f"{ORIGINAL}/")
    if (bundle.folder / CODE).is_dir():
        shutil.copytree(bundle.folder / CODE, folder / CODE, copy_function=shutil.copyfile)
    if not (folder / path).exists():
        shutil.copyfile(bundle.folder / manifest.original.path, folder / path)
    needed = pinned(manifest.libraries)
    (folder / REQUIREMENTS).write_text(needed, encoding="utf-8", newline="\n")
    environment = {
        "python": platform.python_version(),
        "build_dependencies": [],
        "dependencies": [f"-r {REQUIREMENTS}"],
    }
    (folder / ENVIRONMENT).write_bytes(_yaml(environment))
    content = {
        "flavors": _flavors(bundle, folder, path),
        "signature": mlflow_signature(bundle.signature, manifest),
        "utc_time_created": at.strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    (folder / MLMODEL).write_bytes(_yaml(content))


def _flavors(bundle: Bundle, folder: Path, path: str) -> dict[str, Flavor]:
    """The flavours by name; ``path`` is where the model lies in the folder."""
    manifest = bundle.manifest
    code = {"code": CODE} if (folder / CODE).is_dir() else {}
    own: Flavor = {"file": path, "signature": bundle.signature, **code}
    if manifest.original.entry is not None:
        own["entry"] = manifest.original.entry
    found = {FLAVOR: own}
    told = _TOLD.get(manifest.original.format)
    if told is not None:
        name, flavor = told(manifest, path)
        found[name] = {**flavor, "code": code.get("code")}
        if not _needs_a_script(folder / path):
            place = "model_path" if name == "sklearn" else "data"
            found[_PYFUNC] = {
                "loader_module": f"mlflow.{name}",
                "python_version": platform.python_version(),
                "env": {"virtualenv": ENVIRONMENT},
                place: path,
                **code,
            }
    return found


def _sklearn(manifest: Manifest, path: str) -> tuple[str, Flavor]:
    flavor: Flavor = {
        "pickled_model": path,
        "serialization_format": manifest.original.format,
        "sklearn_version": manifest.libraries.get("scikit-learn"),
    }
    if manifest.original.format == "skops":
        flavor["skops_trusted_types"] = list(_TRUSTED)
    return "sklearn", flavor


def _xgboost(manifest: Manifest, path: str) -> tuple[str, Flavor]:
    kind = "core.Booster"
    if manifest.original.framework == "sklearn":
        kind = f"sklearn.XGB{_kind(manifest)}"
    return "xgboost", {
        "data": path,
        "model_class": f"xgboost.{kind}",
        "model_format": path.rpartition(".")[2],
        "xgb_version": manifest.libraries.get("xgboost"),
    }


def _lightgbm(manifest: Manifest, path: str) -> tuple[str, Flavor]:
    return "lightgbm", {
        "data": path,
        "model_class": "lightgbm.basic.Booster",
        "lgb_version": manifest.libraries.get("lightgbm"),
    }


def _catboost(manifest: Manifest, path: str) -> tuple[str, Flavor]:
    return "catboost", {
        "data": path,
        "model_type": f"CatBoost{_kind(manifest)}",
        "save_format": "cbm",
        "catboost_version": manifest.libraries.get("catboost"),
    }


def _onnx(manifest: Manifest, path: str) -> tuple[str, Flavor]:
    return "onnx", {
        "data": path,
        "providers": ["CPUExecutionProvider"],
        "onnx_session_options": None,
        "onnx_version": manifest.libraries.get("onnx"),
    }


def _kind(manifest: Manifest) -> str:
    return "Classifier" if manifest.task is Task.CLASSIFICATION else "Regressor"


_TOLD: Mapping[str, Callable[[Manifest, str], tuple[str, Flavor]]] = {
    "pickle": _sklearn,
    "skops": _sklearn,
    "onnx": _onnx,
    "xgboost-sklearn-json": _xgboost,
    "xgboost-sklearn-ubj": _xgboost,
    "xgboost-json": _xgboost,
    "xgboost-ubj": _xgboost,
    "lightgbm-text": _lightgbm,
    "catboost-cbm": _catboost,
}
"""MLflow's flavour of each format that it can read; joblib's files it cannot."""


def _needs_a_script(path: Path) -> bool:
    """Whether a file names ``__main__``, where MLflow would not find what a script defined."""
    if not path.stat().st_size:
        return False
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as held:
        return held.find(_OF_A_SCRIPT) >= 0


def _yaml(content: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
