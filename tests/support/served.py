"""Models to serve: small bundles written by hand, opened by the real runtimes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from modelway.bundles.digest import bundle_digest
from modelway.bundles.manifest import (
    COMPILED,
    FORMAT_VERSION,
    MANIFEST,
    ORIGINAL,
    SIGNATURE,
    Layout,
    Manifest,
    OriginalModel,
    Task,
    canonical_json,
)
from modelway.bundles.record import ParityReport, Record, write_record
from modelway.bundles.store import open_bundle
from modelway.compilers.graph import Graph
from modelway.composition.frameworks import open_runtime
from modelway.composition.isolation import opener
from modelway.domain.signature import Column, Datatype, Scalar, Signature, TensorSpec
from modelway.endpoints.router import EndpointRouter, Routing
from modelway.inference.catalogue import Catalogue, Entry
from modelway.inference.dataplane import DataPlane
from modelway.inference.loading import LoadedModel, load_model
from modelway.inference.metering import InferenceMetrics
from modelway.inference.ports import Admission, Observer
from modelway.settings import InferenceSettings
from modelway.telemetry.instruments import Metrics
from modelway.telemetry.slots import Slot

FLOWER = Signature(
    columns=(
        Column("sepal length (cm)", "sepal_length", Datatype.FP64, minimum=4.3, maximum=7.9),
        Column("petal width", "petal_width", Datatype.FP64, minimum=0.1, maximum=2.5, unit="cm"),
    ),
    label_names={"0": "setosa", "1": "versicolor", "2": "virginica"},
)
PARITY = ParityReport(
    passed=True,
    rows={"reference": 150},
    flips=0,
    largest_deviation=1e-8,
    tolerance=1e-5,
    self_disagreements=0,
    batch_invariant=True,
    worst_row={"petal width": 2.0},
)


def flower_graph(certainty: float = 0.75) -> bytes:
    """Class 0, 1 or 2 by petal width below 1, below 2, or above, with this probability."""
    graph = Graph()
    x = graph.input("X", "double", 2)
    width = graph.columns(x, [1])
    steps = np.array([[1.0, 2.0]])
    passed = graph.cast(graph.op("GreaterOrEqual", width, steps), "double")
    place = graph.sum_rows(passed)
    hit = graph.cast(graph.op("Equal", place, np.array([[0.0, 1.0, 2.0]])), "double")
    others = (1 - certainty) / 2
    chances = graph.op("Add", graph.op("Mul", hit, certainty - others), others)
    graph.output("class_index", graph.argmax(chances), "int64", ("n_rows",))
    graph.output("probabilities", chances, "double", ("n_rows", 3))
    return graph.serialized()


def ratio_graph() -> bytes:
    """The first column divided by the second, and so not finite where that is 0."""
    graph = Graph()
    x = graph.input("X", "double", 2)
    ratio = graph.op("Div", graph.columns(x, [0]), graph.columns(x, [1]))
    graph.output("prediction", ratio, "double", ("n_rows", 1))
    return graph.serialized()


def pair_graph() -> bytes:
    """Two predictions a row: the columns themselves."""
    graph = Graph()
    graph.output("prediction", graph.input("X", "double", 2), "double", ("n_rows", 2))
    return graph.serialized()


def doubling_graph() -> bytes:
    """A tensor model: ``doubled`` is twice the input, ``total`` its sum over each row."""
    graph = Graph()
    x = graph.input("X", "double", 3)
    graph.output("doubled", graph.op("Add", x, x), "double", ("n_rows", 3))
    graph.output("total", graph.sum_rows(x), "double", ("n_rows", 1))
    return graph.serialized()


TENSORS = Signature(
    tensors=(TensorSpec("X", Datatype.FP64, (-1, 3)),),
    outputs=(
        TensorSpec("doubled", Datatype.FP64, (-1, 3)),
        TensorSpec("total", Datatype.FP64, (-1, 1)),
    ),
)
LARGEST_BODY = 200_000
"""Bytes that the service of the protocol tests takes at most."""

PAIR = Signature(
    columns=(
        Column("a", "a", Datatype.FP64),
        Column("b", "b", Datatype.FP64, nullable=True, optional=True),
    )
)


def compiled_bundle(
    folder: Path,
    graph: bytes,
    signature: Signature,
    *,
    classes: Sequence[Scalar] | None = None,
    parity: ParityReport | None = PARITY,
) -> Path:
    """A bundle compiled from something, with this graph and signature."""
    (folder / ORIGINAL).mkdir(parents=True)
    (folder / COMPILED).write_bytes(graph)
    (folder / ORIGINAL / "model.pickle").write_bytes(b"never read")
    manifest = Manifest(
        FORMAT_VERSION,
        Task.REGRESSION if classes is None else Task.CLASSIFICATION,
        "onnx",
        OriginalModel("sklearn", f"{ORIGINAL}/model.pickle", "pickle"),
        "matrix",
        classes=None if classes is None else tuple(classes),
        probabilities=classes is not None,
    )
    return _written(folder, manifest, signature, parity)


def tensor_bundle(folder: Path) -> Path:
    """A bundle of the doubling model, which came as ONNX."""
    (folder / ORIGINAL).mkdir(parents=True)
    (folder / ORIGINAL / "model.onnx").write_bytes(doubling_graph())
    original = OriginalModel("onnx", f"{ORIGINAL}/model.onnx", "onnx")
    manifest = Manifest(FORMAT_VERSION, Task.FUNCTION, "onnx", original, "tensors")
    return _written(folder, manifest, TENSORS, None)


def function_bundle(
    folder: Path,
    source: str,
    entry: str,
    signature: Signature,
    *,
    layout: Layout = "columns",
    row_wise: bool = False,
) -> Path:
    """A bundle of a Python function, of which requests are merged where it is ``row_wise``."""
    (folder / ORIGINAL).mkdir(parents=True)
    (folder / ORIGINAL / f"{folder.name}_rules.py").write_text(source)
    path = f"{ORIGINAL}/{folder.name}_rules.py"
    original = OriginalModel("python_function", path, "python", entry)
    manifest = Manifest(
        *(FORMAT_VERSION, Task.FUNCTION, "python_function", original, layout), row_wise=row_wise
    )
    return _written(folder, manifest, signature, None)


def loaded(folder: Path, name: str, *, strict: bool = False) -> LoadedModel:
    """The bundle in ``folder``, opened and warmed up."""
    settings = InferenceSettings(threads=2, strict=strict)
    return load_model(name, folder, partial(open_runtime, allow_pickle=True), settings)


def described(folder: Path, name: str, *, strict: bool = False) -> Entry:
    """The bundle in ``folder`` as a catalogue knows it, not opened."""
    return catalogue_of(strict=strict).add(name, open_bundle(folder))


def plane_of(
    models: Sequence[LoadedModel],
    default: str | None = None,
    observers: Sequence[Observer] = (),
    admission: Admission | None = None,
) -> DataPlane:
    """A data plane that answers with these models under their names."""
    catalogue = catalogue_of()
    live = [Routing(entry_of(catalogue, model)) for model in models]
    router = EndpointRouter(catalogue, live, default)
    return DataPlane(router, catalogue, observers, admission, InferenceSettings(threads=2))


def catalogue_of(**settings: Any) -> Catalogue:
    """A catalogue of nothing, which opens what is added by the real runtimes."""
    inference = replace(InferenceSettings(threads=2), **settings)

    def load(name: str, version: str, folder: Path, apart: bool) -> LoadedModel:
        opened = opener(inference, allow_pickle=True, apart=apart)
        return load_model(name, folder, opened, inference, version=version)

    return Catalogue(load, InferenceMetrics(Metrics(Slot.in_memory())), inference)


def entry_of(catalogue: Catalogue, model: LoadedModel) -> Entry:
    """The catalogue's entry of a model that is open."""
    entry = catalogue.add(model.name, model.bundle)
    entry.model, entry.signature, entry.strict = model, model.signature, model.validator.strict
    return entry


def _written(
    folder: Path, manifest: Manifest, signature: Signature, parity: ParityReport | None
) -> Path:
    (folder / MANIFEST).write_bytes(canonical_json(manifest))
    (folder / SIGNATURE).write_bytes(canonical_json(signature))
    metrics: Mapping[str, float] = {"accuracy": 0.96}
    record = Record(
        digest=bundle_digest(folder),
        name=folder.name,
        source="model",
        source_sha256="0" * 64,
        built_at="2024-05-17T12:30:00Z",
        modelway="0.1.0",
        metrics=metrics,
        parity=parity,
    )
    write_record(folder, record)
    return folder
