from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from modelway.domain.errors import LoadFailed
from modelway.grpc.states import States, answers
from modelway.inference.catalogue import Entry
from modelway.inference.dataplane import DataPlane
from support.served import FLOWER, compiled_bundle, flower_graph, loaded, plane_of


@pytest.fixture
def plane(tmp_path: Path) -> DataPlane:
    bundle = compiled_bundle(tmp_path / "iris", flower_graph(), FLOWER, classes=(0, 1, 2))
    return plane_of([loaded(bundle, "iris")])


@pytest.fixture
def entry(plane: DataPlane) -> Entry:
    return plane.router.live("iris")


def test_a_model_that_is_not_known_has_no_state(plane: DataPlane, entry: Entry) -> None:
    states = States(plane)
    assert states.model_ready("iris") is True
    assert states.model_ready("iris", entry.version) is True
    assert states.model_ready("iris", "7") is None
    assert states.model_ready("other") is None


def test_what_is_not_open_is_opened_by_the_call_unless_that_failed(
    plane: DataPlane, entry: Entry
) -> None:
    entry.model = None
    assert entry.state == "unloaded"
    assert answers(entry)
    entry.fault = LoadFailed("broken")
    assert not answers(entry)
    assert States(plane).model_ready("iris") is False


def test_what_is_being_opened_does_not_answer_yet(entry: Entry) -> None:
    entry.model = None
    entry.opening = asyncio.new_event_loop().create_future()
    assert not answers(entry)
    entry.opening.get_loop().close()


def test_nothing_is_ready_once_the_service_drains(plane: DataPlane) -> None:
    states = States(plane)
    assert states.ready()
    states.drain()
    assert not states.ready()
    assert states.model_ready("iris") is False
    assert states.model_ready("other") is None
