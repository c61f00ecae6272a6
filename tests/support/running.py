"""Executions over real bundles: a compiled one, a native one, a Python function."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from modelway.bundles.manifest import (
    COMPILED,
    FORMAT_VERSION,
    MANIFEST,
    ORIGINAL,
    SIGNATURE,
    Manifest,
    OriginalModel,
    Task,
    canonical_json,
    read_manifest,
    read_signature,
)
from modelway.bundles.ports import Compiled
from modelway.composition.frameworks import open_runtime
from modelway.domain.inference import Outputs
from modelway.domain.signature import Scalar, Signature
from modelway.domain.tables import Table
from modelway.inference.execution import Execution
from modelway.inference.loading import OpenRuntime
from modelway.inference.ports import Watch
from modelway.settings import InferenceSettings

OPENED: OpenRuntime = partial(open_runtime, allow_pickle=True)


def executed(
    folder: Path,
    *,
    opened: OpenRuntime = OPENED,
    watch: Watch | None = None,
    warm: bool = True,
    **settings: Any,
) -> Execution:
    """An execution over the bundle in ``folder``; close it."""
    manifest, signature = read_manifest(folder), read_signature(folder)
    runtime = opened(folder, signature, manifest)
    made = InferenceSettings(**{"threads": 2, **settings})
    execution = Execution(folder.name, runtime, manifest, signature, made)
    execution.watch = watch
    if warm:
        execution.warm_up()
    return execution


async def answered(execution: Execution, table: Table, deadline: float | None = None) -> Outputs:
    """What an execution answers to a table, as a coroutine that may be a task."""
    return await execution.run(table, deadline)


def compiled_from(
    folder: Path, compiled: Compiled, signature: Signature, classes: Sequence[Scalar]
) -> Path:
    """A bundle of a classifier that was compiled."""
    folder.mkdir(parents=True)
    (folder / COMPILED).write_bytes(compiled.onnx)
    manifest = Manifest(
        FORMAT_VERSION,
        Task.CLASSIFICATION,
        "onnx",
        OriginalModel("sklearn", f"{ORIGINAL}/model.pickle", "pickle"),
        compiled.layout,
        classes=tuple(classes),
        probabilities=True,
    )
    return written(folder, manifest, signature)


def native_bundle(folder: Path, model: Any, signature: Signature, **facts: Any) -> Path:
    """A bundle of a scikit-learn classifier or regressor that answers natively."""
    classes = getattr(model, "classes_", None)
    (folder / ORIGINAL).mkdir(parents=True)
    (folder / ORIGINAL / "model.pickle").write_bytes(pickle.dumps(model))
    manifest = Manifest(
        FORMAT_VERSION,
        Task.REGRESSION if classes is None else Task.CLASSIFICATION,
        "sklearn",
        OriginalModel("sklearn", f"{ORIGINAL}/model.pickle", "pickle"),
        "matrix",
        classes=None if classes is None else tuple(classes.tolist()),
        probabilities=hasattr(model, "predict_proba"),
    )
    return written(folder, manifest, signature, **facts)


def rule_bundle(folder: Path, source: str, entry: str, signature: Signature, **facts: Any) -> Path:
    """A bundle of the function ``entry`` of a Python source."""
    (folder / ORIGINAL).mkdir(parents=True)
    path = f"{ORIGINAL}/{folder.name}_rules.py"
    (folder / path).write_text(source)
    original = OriginalModel("python_function", path, "python", entry)
    manifest = Manifest(FORMAT_VERSION, Task.FUNCTION, "python_function", original, "columns")
    return written(folder, manifest, signature, **facts)


def written(folder: Path, manifest: Manifest, signature: Signature, **facts: Any) -> Path:
    """The folder, with its manifest (``facts`` are other fields of it) and signature."""
    manifest = msgspec.structs.replace(manifest, **facts)
    (folder / MANIFEST).write_bytes(canonical_json(manifest))
    (folder / SIGNATURE).write_bytes(canonical_json(signature))
    return folder


def assert_same_outputs(given: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Fail unless both are the same, bit for bit and type for type."""
    assert list(given) == list(expected)
    for name, array in expected.items():
        assert given[name].dtype == array.dtype, name
        assert given[name].shape == array.shape, name
        if array.dtype == object:
            values = list(zip(given[name].tolist(), array.tolist(), strict=True))
            assert all(type(a) is type(b) and a == b for a, b in values), name
        else:
            assert given[name].tobytes() == array.tobytes(), name


def table_of(signature: Signature, rows: Any) -> Table:
    """Numbers as a table, shape (n_rows, n_columns)."""
    return Table(signature, len(rows), matrix=rows)
