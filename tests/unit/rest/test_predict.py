"""The predictions of an endpoint whose models come and go."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

from modelway.endpoints.deployments import Deployments
from modelway.endpoints.planned import PlannedEndpoint, PlannedVersion
from modelway.endpoints.router import EndpointRouter
from modelway.inference.dataplane import DataPlane
from modelway.rest.http import Request
from modelway.rest.predictions import Predictions
from modelway.settings import RestSettings
from support.served import FLOWER, catalogue_of, compiled_bundle, flower_graph

BODY = b'{"sepal_length": 5.0, "petal_width": 0.2}'


def test_labels_are_those_of_the_model_also_where_another_had_its_name_and_number(
    tmp_path: Path,
) -> None:
    folders = {
        model: compiled_bundle(
            tmp_path / model,
            flower_graph(),
            replace(FLOWER, label_names={"0": label, "1": "other"}),
            classes=(0, 1, 2),
        )
        for model, label in (("loan", "no"), ("credit", "low"))
    }
    catalogue = catalogue_of()
    router = EndpointRouter(catalogue)
    deployments = Deployments(catalogue, router, lambda _: None)
    predictions = Predictions(DataPlane(router, catalogue), RestSettings(), {})

    async def answered(model: str) -> tuple[str, str]:
        planned = PlannedVersion(str(folders[model]), "1", model)
        await deployments.change(PlannedEndpoint("score", planned))
        request = Request("id", "POST", "/models/score/predict", headers={}, body=BODY)
        response = await predictions.of("score").from_body(request)
        answer = json.loads(response.body)
        return answer["label"], answer["version"]

    async def work() -> None:
        assert await answered("loan") == ("no", "1")
        assert await answered("credit") == ("low", "1")
        deployments.remove("score")
        assert await answered("loan") == ("no", "1")
        assert catalogue.abandon()

    asyncio.run(work())
