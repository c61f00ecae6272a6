"""SageMaker's contracts, single-model and multi-model, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from modelway.domain.errors import OutOfMemory
from modelway.endpoints.deployments import Deployments
from modelway.endpoints.planned import PlannedEndpoint, PlannedVersion
from modelway.inference.dataplane import DataPlane
from modelway.rest import invocations, sagemaker
from modelway.rest.sagemaker import MultiModel
from modelway.rest.starting import refusals
from modelway.settings import RestSettings
from support.asgi import asking_http, served
from support.doors import door_app
from support.live import Ask, Serve
from support.served import FLOWER, PAIR, compiled_bundle, flower_graph, pair_graph, plane_of

REFUSALS = refusals(RestSettings(sagemaker="/opt/ml/models"))
TARGET = {"x-amzn-sagemaker-target-model": "some/iris.tar.gz"}


class Deployed:
    """The deployments of one process, as the door asks for them; ``full``: no more fit in."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane
        self._deployments = Deployments(plane.catalogue, plane.router, lambda _: None)  # type: ignore[arg-type] # an EndpointRouter
        self.full = False

    async def load(self, name: str, folder: Path) -> None:
        if self.full:
            raise OutOfMemory("no room")
        await self._deployments.change(PlannedEndpoint(name, PlannedVersion(str(folder))))

    async def unload(self, name: str) -> None:
        self._deployments.remove(name)

    def names(self) -> Sequence[str]:
        return self._plane.router.endpoints()


class Container:
    """A container that is asked at ``ask``; ``models`` is its models folder."""

    def __init__(self, ask: Ask, deployed: Deployed, models: Path) -> None:
        self.ask, self.deployed, self.models = ask, deployed, models

    def load(self, name: str, url: object) -> int:
        return self.ask("/models", payload={"model_name": name, "url": url}).status

    def urls(self) -> dict[str, str]:
        said: Any = self.ask("/models").json
        return {one["modelName"]: one["modelUrl"] for one in said["models"]}


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    compiled_bundle(
        tmp_path / "models" / "iris" / "model", flower_graph(), FLOWER, classes=(0, 1, 2)
    )
    compiled_bundle(tmp_path / "models" / "pair" / "model", pair_graph(), PAIR)
    plane, settings = plane_of([]), RestSettings()
    deployed = Deployed(plane)
    door = MultiModel(plane, settings, deployed, tmp_path / "models")
    routes = (
        *invocations.routes(plane, settings, sagemaker=True),
        *sagemaker.routes(settings),
        *door.routes(),
    )
    with served(door_app(plane, settings, routes, REFUSALS)) as port:
        yield Container(asking_http(port), deployed, tmp_path / "models")


class TestManyModels:
    def test_a_container_without_models_is_well(self, container: Container) -> None:
        assert container.ask("/ping").status == 200
        assert container.urls() == {}
        assert container.ask("/invocations", payload={"instances": []}).status == 404

    def test_the_life_of_a_model(self, container: Container) -> None:
        url = str(container.models / "iris" / "model")
        csv = {"content-type": "text/csv", **TARGET}
        assert container.load("abc123", url) == 200
        assert container.load("abc123", url) == 409
        assert container.load("other", str(container.models / "pair" / "model")) == 200
        assert container.urls()["abc123"] == url
        assert container.ask("/models/abc123").json == {"modelName": "abc123", "modelUrl": url}
        answer = container.ask("/models/abc123/invoke", body=b"5,2.2\n", headers=csv)
        assert (answer.status, answer.body) == (200, b"2\n")
        answer = container.ask("/models/other/invoke", body=b"5,2.5\n", headers=csv)
        assert (answer.status, answer.body) == (200, b"5.0,2.5\n")
        assert container.ask("/models/abc123", method="DELETE").status == 200
        assert container.ask("/models/abc123", method="DELETE").status == 404
        assert container.ask("/models/abc123").status == 404
        assert container.ask("/models/abc123/invoke", body=b"5,2.2\n", headers=csv).status == 404
        assert container.load("abc123", url) == 200
        answer = container.ask("/models/abc123/invoke", body=b"5,0.2\n", headers=csv)
        assert (answer.status, answer.body) == (200, b"0\n")

    def test_a_model_that_does_not_fit_is_507(self, container: Container) -> None:
        container.deployed.full = True
        assert container.load("abc", str(container.models / "iris" / "model")) == 507
        assert container.urls() == {}

    @pytest.mark.parametrize(
        ("name", "url"),
        [
            ("abc", "../outside"),
            ("abc", "/etc"),
            ("abc", "nothing"),
            ("abc", 3),
            ("../abc", "iris"),
            ("", "iris"),
        ],
    )
    def test_what_cannot_be_loaded_changes_nothing(
        self, container: Container, name: str, url: object
    ) -> None:
        assert container.load(name, url) == 400
        assert container.urls() == {}

    @pytest.mark.parametrize(
        "body", [b"", b"[]", b"{", b"\xff", b'{"model_name":"a"}', b"[" * 5000]
    )
    def test_what_is_no_wish_is_400(self, container: Container, body: bytes) -> None:
        answer = container.ask("/models", body=body)
        said: Any = answer.json
        assert (answer.status, said["error_code"]) == (400, "BAD_REQUEST")

    def test_a_changed_bundle_is_not_loaded(self, container: Container) -> None:
        folder = container.models / "iris" / "model"
        (folder / "model.onnx").write_bytes(pair_graph())
        assert container.load("abc", "iris/model") == 403
        assert container.urls() == {}

    def test_a_long_list_comes_in_pages(
        self, container: Container, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = [f"m{k}" for k in range(5)]
        for name in names:
            assert container.load(name, "pair/model") == 200
        found, token = [], ""
        for n_models in (2, 2, 1):
            said: Any = container.ask(f"/models?limit=2&next_page_token={token}").json
            assert len(said["models"]) == n_models
            found += [one["modelName"] for one in said["models"]]
            token = said.get("nextPageToken", "")
        assert (found, token) == (names, "")
        monkeypatch.setattr(sagemaker, "PAGE_MODELS", 3)
        said = container.ask("/models").json
        assert (len(said["models"]), said["nextPageToken"]) == (3, "3")
        for wrong in ("x", "-1", "9" * 20, "\u00b2"):
            assert container.ask(f"/models?next_page_token={wrong!a}").status == 400

    def test_one_name_is_loaded_once_at_a_time(self, container: Container) -> None:
        async def both() -> list[int]:
            load = asyncio.to_thread
            return await asyncio.gather(
                *(load(container.load, "abc", "iris/model") for _ in range(4))
            )

        assert sorted(asyncio.run(both())) == [200, 409, 409, 409]


def test_a_served_model_answers_as_a_container(serve: Serve, iris_bundle: Path) -> None:
    service = serve(iris_bundle, "--workers", "1")
    assert service.ask("/ping").status == 200
    parameters: Any = service.ask("/execution-parameters").json
    assert parameters["BatchStrategy"] == "MULTI_RECORD"
    csv = {"content-type": "text/csv"}
    answer = service.ask("/invocations", body=b"5.1,3.5,1.4,0.2\n7.7,3,6.1,2.3\n", headers=csv)
    assert (answer.status, answer.body) == (200, b"0\n2\n")
    instances = {"instances": [{"features": [5.1, 3.5, 1.4, 0.2]}]}
    assert service.ask("/invocations", json=instances).json == {"predictions": [0]}
    lines = b'{"features": [5.1, 3.5, 1.4, 0.2]}\n{"features": [7.7, 3, 6.1, 2.3]}\n'
    answer = service.ask(
        "/invocations", body=lines, headers={"content-type": "application/jsonlines"}
    )
    assert answer.body == b'{"prediction":0}\n{"prediction":2}\n'
