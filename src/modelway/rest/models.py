"""What is served, described: signature, digest, parity, metrics, a row to try.

Everything but the worst row of the parity report, which may be one of the training data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from modelway.inference.dataplane import DataPlane
from modelway.inference.loading import LoadedModel
from modelway.inference.samples import sample_inputs, sample_row
from modelway.rest.http import Answer, constant


def model_routes(plane: DataPlane) -> Mapping[str, Answer]:
    """The answers to GET by path: all models, and each."""
    models = {name: plane.live(name) for name in plane.router.endpoints()}
    listed = {
        "default": plane.router.default(),
        "models": [_summary(name, model) for name, model in models.items()],
    }
    routes = {"/models": constant(msgspec.json.encode(listed))}
    for name, model in models.items():
        described = msgspec.json.encode(describe(name, model))
        routes[f"/models/{name}"] = constant(described)
    return routes


def describe(name: str, model: LoadedModel) -> dict[str, Any]:
    """All that callers of an endpoint may know of its model."""
    manifest, record = model.manifest, model.bundle.record
    parity = None if record.parity is None else msgspec.to_builtins(record.parity)
    if parity is not None:
        del parity["worst_row"]
    tabular = model.signature.is_tabular
    return {
        **_summary(name, model),
        "digest": model.bundle.digest,
        "compiled": manifest.is_compiled,
        "why_native": record.why_native,
        "original": {"framework": manifest.original.framework, "format": manifest.original.format},
        "batch_invariant": manifest.batch_invariant,
        "classes": manifest.classes,
        "probabilities": manifest.probabilities,
        "libraries": manifest.libraries,
        "source": record.source,
        "source_sha256": record.source_sha256,
        "built_at": record.built_at,
        "metrics": record.metrics,
        "parity": parity,
        "load_s": round(model.load_s, 4),
        "signature": model.signature,
        "sample": sample_row(model.signature) if tabular else sample_inputs(model.signature),
    }


def _summary(name: str, model: LoadedModel) -> dict[str, Any]:
    return {
        "name": name,
        "version": model.version,
        "task": model.manifest.task,
        "runtime": model.manifest.runtime,
        "description": model.signature.description,
    }
