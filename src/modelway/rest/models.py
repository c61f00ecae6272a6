"""What is served, described: signature, digest, parity, metrics, a row to try.

Everything but the worst row of the parity report, which may be one of the training data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from modelway.inference.catalogue import Entry
from modelway.inference.dataplane import DataPlane
from modelway.inference.samples import sample_inputs, sample_row
from modelway.rest.http import Request, Response
from modelway.rest.routes import Route


def routes(plane: DataPlane) -> Iterator[tuple[str, Route]]:
    """All models, each, and each of its versions."""

    async def listed(_: Request) -> Response:
        names = plane.router.endpoints()
        models = [_summary(name, plane.router.live(name)) for name in names]
        return _json({"default": plane.router.default(), "models": models})

    async def one(request: Request) -> Response:
        name = request.captures["name"]
        entry = plane.router.live(name, request.captures.get("version"))
        versions = [one.version for one in plane.router.versions(name)]
        return _json({**describe(name, entry), "versions": versions})

    yield "/models", Route(GET=listed)
    yield "/models/{name}", Route(GET=one)
    yield "/models/{name}/versions/{version}", Route(GET=one)


def describe(name: str, entry: Entry) -> dict[str, Any]:
    """All that callers of an endpoint may know of its model."""
    manifest, record = entry.bundle.manifest, entry.bundle.record
    parity = None if record.parity is None else msgspec.to_builtins(record.parity)
    if parity is not None:
        del parity["worst_row"]
    tabular = entry.signature.is_tabular
    return {
        **_summary(name, entry),
        "digest": entry.bundle.digest,
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
        "load_s": None if entry.model is None else round(entry.model.load_s, 4),
        "signature": entry.signature,
        "sample": sample_row(entry.signature) if tabular else sample_inputs(entry.signature),
    }


def _summary(name: str, entry: Entry) -> dict[str, Any]:
    return {
        "name": name,
        "version": entry.version,
        "state": entry.state,
        "task": entry.bundle.manifest.task,
        "runtime": entry.bundle.manifest.runtime,
        "description": entry.signature.description,
    }


def _json(content: object) -> Response:
    return Response(msgspec.json.encode(content))
