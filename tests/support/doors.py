"""One protocol's door alone, as the service mounts it, over bundles of other servers' models."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from hypothesis import given, seed, settings
from hypothesis import strategies as st

from modelway.bundles.digest import bundle_digest
from modelway.bundles.manifest import MANIFEST, SIGNATURE, Manifest, canonical_json
from modelway.bundles.record import Record, write_record
from modelway.domain.signature import Signature
from modelway.inference.dataplane import DataPlane
from modelway.rest.app import App
from modelway.rest.http import Refusal, Request, Response
from modelway.rest.routes import Route, RouteTable
from modelway.settings import RestSettings
from support.fuzzing import FuzzRequest, fuzz_requests, quietly


def door_app(
    plane: DataPlane,
    rest: RestSettings,
    routes: Iterable[tuple[str, Route]],
    refusals: Mapping[str, Refusal],
) -> App:
    """The routes, and how errors look below each path."""
    table = RouteTable(rest.prefix)
    for path, route in routes:
        table.add(path, route)
    for path, refusal in refusals.items():
        table.refuse_as(path, refusal)
    return App(table, plane, rest, loopback=True)


def bundle_of(folder: Path, manifest: Manifest, signature: Signature) -> Path:
    """The folder, which has the original already, as a bundle."""
    (folder / MANIFEST).write_bytes(canonical_json(manifest))
    (folder / SIGNATURE).write_bytes(canonical_json(signature))
    record = Record(
        digest=bundle_digest(folder),
        name=folder.name,
        source="model",
        source_sha256="0" * 64,
        built_at="2024-05-17T12:30:00Z",
        modelway="0.1.0",
    )
    write_record(folder, record)
    return folder


def answers_to(
    app: App, paths: Sequence[str], bodies: Sequence[object], n_requests: int
) -> Iterator[tuple[FuzzRequest, Response]]:
    """What an application answers to requests of which most are damaged, one after the other."""
    found: list[tuple[FuzzRequest, Response]] = []
    started = time.time_ns() % 2**32
    print(f"seed {started}")

    @seed(started)
    @settings(quietly, max_examples=n_requests)
    @given(fuzz_requests(paths, bodies), st.sampled_from(_MORE_TYPES))
    def ask(one: FuzzRequest, kind: str | None) -> None:
        sent = one if kind is None else replace(one, content_type=kind, method="POST")
        found.append((sent, runner.run(app.answer(_request(sent)))))

    with asyncio.Runner() as runner:
        ask()
    yield from found


def _request(sent: FuzzRequest) -> Request:
    target = sent.path.encode(errors="replace")
    raw_path, _, query = target.partition(b"?")
    headers = {name.encode(): value.encode("latin-1") for name, value in sent.headers}
    headers[b"content-type"] = sent.content_type.encode("latin-1")
    headers[b"accept"] = sent.accept.encode("latin-1")
    headers[b"host"] = b"localhost"
    path = unquote(raw_path.decode("latin-1"))
    return Request(
        "fuzzed", sent.method, path, raw_path=raw_path, query=query, headers=headers, body=sent.body
    )


_MORE_TYPES = (None, None, "application/json", "application/jsonlines", "text/csv; header=absent")
