from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from modelway.domain.errors import LoadFailed
from modelway.grpc import messages
from modelway.grpc.calls import Call
from modelway.grpc.repository import Repository
from modelway.inference.dataplane import DataPlane
from modelway.inference.statistics import Statistics
from modelway.telemetry.spans import PassedOn
from support.served import FLOWER, compiled_bundle, flower_graph, loaded, plane_of

CALL = Call("a/b", "the-call", {}, None, PassedOn().start("a", None, {}), 0.0)


@pytest.fixture
def plane(tmp_path: Path) -> DataPlane:
    bundle = compiled_bundle(tmp_path / "iris", flower_graph(), FLOWER, classes=(0, 1, 2))
    return plane_of([loaded(bundle, name) for name in ("a", "b", "c")])


def _listed(plane: DataPlane, *, ready: bool) -> list[tuple[str, str, str]]:
    asked = messages.RepositoryIndexRequest(ready=ready).SerializeToString()
    answer = asyncio.run(Repository(plane, Statistics()).index(CALL, asked))
    assert isinstance(answer, messages.RepositoryIndexResponse)
    return [(one.name, one.state, one.reason) for one in answer.models]


def test_every_version_is_listed_with_its_state(plane: DataPlane) -> None:
    plane.router.live("b").model = None
    failed = plane.router.live("c")
    failed.model, failed.fault = None, LoadFailed("secret")
    assert _listed(plane, ready=False) == [
        ("a", "READY", ""),
        ("b", "UNAVAILABLE", "unloaded"),
        ("c", "UNAVAILABLE", "it could not be opened"),
    ]
    assert _listed(plane, ready=True) == [("a", "READY", "")]
