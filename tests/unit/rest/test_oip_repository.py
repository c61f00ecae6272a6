"""The repository's index, and loading and unloading where that is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from modelway.domain.errors import EndpointNotFound, LoadFailed
from modelway.inference.ports import ModelState
from modelway.rest.app import App
from modelway.rest.error_texts import error_text
from modelway.rest.oip_repository import index_routes, repository_routes
from modelway.settings import RestSettings
from support.asgi import asking, good
from support.doors import door_app
from support.live import Answer
from support.served import loaded, plane_of, tensor_bundle


class Shelf:
    """A repository of what is put into it."""

    def __init__(self) -> None:
        self.open: dict[str, str] = {"tensor": "1"}
        self.asked: list[tuple[str, str]] = []

    async def load(self, name: str) -> None:
        self.asked.append(("load", name))
        if name == "broken":
            raise LoadFailed("its file is secret")
        self.open[name] = "2"

    async def unload(self, name: str) -> None:
        self.asked.append(("unload", name))
        if self.open.pop(name, None) is None:
            raise EndpointNotFound(name, list(self.open))

    async def states(self) -> Iterable[ModelState]:
        broken = ModelState("broken", "1", True, "failed", "its file is torn", 0)
        return [*(ModelState(k, v, True, "ready", None, 9) for k, v in self.open.items()), broken]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def public(tmp_path: Path) -> App:
    plane = plane_of([loaded(tensor_bundle(tmp_path / "tensor"), "tensor")])
    return door_app(plane, RestSettings(), index_routes(plane), {"/v2": error_text})


@pytest.fixture
def administration(shelf: Shelf, tmp_path: Path) -> App:
    plane = plane_of([loaded(tensor_bundle(tmp_path / "tensor"), "tensor")])
    return door_app(plane, RestSettings(), repository_routes(shelf), {"/v2": error_text})


def said(answer: Answer, status: int) -> str:
    assert answer.status == status, answer.body
    content = answer.json
    assert isinstance(content, dict)
    assert list(content) == ["error"]
    return str(content["error"])


def test_everybody_may_see_the_index_and_change_nothing(public: App) -> None:
    ask = asking(public)
    (one,) = good(ask("/v2/repository/index", body=b""))
    assert (one["name"], one["state"], one["reason"]) == ("tensor", "READY", "")
    assert one["version"].startswith("sha256:")
    for asked in ({}, {"ready": True}, {"ready": False}, {"ready": None}):
        assert len(good(ask("/v2/repository/index", payload=asked))) == 1
    said(ask("/v2/repository/index", body=b"[1"), 400)
    said(ask("/v2/repository/index", payload={"ready": 7}), 400)
    said(ask("/v2/repository/index"), 405)
    for verb in ("load", "unload"):
        said(ask(f"/v2/repository/models/tensor/{verb}", body=b""), 404)


def test_an_administrator_sees_why_and_may_load_and_unload(
    administration: App, shelf: Shelf
) -> None:
    ask = asking(administration)
    index = {one["name"]: one for one in good(ask("/v2/repository/index", body=b""))}
    assert index["broken"] == {
        **{"name": "broken", "version": "1", "state": "UNAVAILABLE", "reason": "its file is torn"},
    }
    assert index["tensor"]["state"] == "READY"
    ready = good(ask("/v2/repository/index", payload={"ready": True}))
    assert [one["name"] for one in ready] == ["tensor"]
    assert good(ask("/v2/repository/models/new/load", body=b"")) == {}
    unload = {"parameters": {"unload_dependents": True}}
    assert good(ask("/v2/repository/models/tensor/unload", payload=unload)) == {}
    assert shelf.open == {"new": "2"}
    assert "tensor" in said(ask("/v2/repository/models/tensor/unload", body=b"{}"), 404)
    assert "secret" not in said(ask("/v2/repository/models/broken/load", body=b"{}"), 500)


@pytest.mark.parametrize("key", ["config", "file:1/model.onnx"])
def test_a_request_brings_no_model(administration: App, shelf: Shelf, key: str) -> None:
    answer = asking(administration)(
        "/v2/repository/models/tensor/load", payload={"parameters": {key: "e30="}}
    )
    assert key in said(answer, 400)
    assert shelf.asked == []
