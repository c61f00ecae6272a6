"""Answers of the Open Inference Protocol, in JSON and in bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelway.domain.errors import InvalidInput, OutputInvalid
from modelway.domain.inference import InferenceResponse, Outputs
from modelway.domain.tables import Table
from modelway.inference.loading import LoadedModel
from modelway.inference.validation import Checked
from modelway.rest.oip_answers import write_answer
from modelway.rest.oip_requests import Asked, WantedOutput
from support.served import FLOWER, compiled_bundle, flower_graph, loaded, tensor_bundle


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    folder: Path = tmp_path_factory.mktemp("models")
    flower = compiled_bundle(folder / "flower", flower_graph(), FLOWER, classes=(0, 1, 2))
    return {
        "flower": loaded(flower, "flower"),
        "tensor": loaded(tensor_bundle(folder / "tensor"), "tensor"),
    }


def answer(model: LoadedModel, outputs: Outputs, **asked: Any) -> tuple[Any, list[bytes]]:
    """The JSON of an answer of one row, and what goes behind it."""
    response = InferenceResponse("name", "sha256:1", "id", outputs, 1, (), model.manifest.classes)
    table = Table(model.signature, 1, arrays=())
    content, raws = write_answer(Asked(Checked(table), **asked), model, response)
    return json.loads(content), [bytes(raw) for raw in raws]


FLOWERS: Outputs = {"class_index": np.array([2]), "probabilities": np.array([[0.0, 0.25, 0.75]])}


def test_every_output_is_given_in_json_flat_in_row_order(models: dict[str, LoadedModel]) -> None:
    content, raws = answer(models["flower"], FLOWERS)
    assert content == {
        "model_name": "name",
        "model_version": "sha256:1",
        "outputs": [
            {"name": "prediction", "datatype": "INT64", "shape": [1], "data": [2]},
            {
                "name": "probabilities",
                "datatype": "FP64",
                "shape": [1, 3],
                "data": [0.0, 0.25, 0.75],
            },
            {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["virginica"]},
        ],
    }
    assert raws == []
    cube = np.arange(8).reshape(2, 2, 2).transpose(2, 1, 0)
    (output,) = answer(models["tensor"], {"cube": cube})[0]["outputs"]
    assert (output["shape"], output["data"]) == ([2, 2, 2], [0, 4, 2, 6, 1, 5, 3, 7])


@pytest.mark.parametrize("given", ["", "7"])
def test_an_id_comes_back_where_one_was_given(models: dict[str, LoadedModel], given: str) -> None:
    assert answer(models["flower"], FLOWERS, id=given)[0]["id"] == given


def test_outputs_in_bytes_stand_behind_in_their_order(models: dict[str, LoadedModel]) -> None:
    content, raws = answer(models["flower"], FLOWERS, binary=True)
    assert raws == [
        np.array([2], "<i8").tobytes(),
        FLOWERS["probabilities"].tobytes(),
        b"\x09\x00\x00\x00virginica",
    ]
    for output, raw in zip(content["outputs"], raws, strict=True):
        assert output["parameters"] == {"binary_data_size": len(raw)}
        assert "data" not in output
    wanted = [WantedOutput("label", False), WantedOutput("prediction", True)]
    content, raws = answer(models["flower"], FLOWERS, wanted=wanted)
    assert [one.get("data") for one in content["outputs"]] == [["virginica"], None]
    assert raws == [np.array([2], "<i8").tobytes()]


def test_classes_are_told_in_words(models: dict[str, LoadedModel]) -> None:
    wanted = [WantedOutput("probabilities", False, 2)]
    (output,) = answer(models["flower"], FLOWERS, wanted=wanted)[0]["outputs"]
    assert output == {
        "name": "probabilities",
        "datatype": "BYTES",
        "shape": [1, 2],
        "data": ["0.750000:2:virginica", "0.250000:1:versicolor"],
    }


def test_what_is_not_finite_is_null_in_json_and_itself_in_bytes(
    models: dict[str, LoadedModel],
) -> None:
    odd = {"x": np.array([np.nan, np.inf, 1.5], np.float32)}
    (output,) = answer(models["tensor"], odd)[0]["outputs"]
    assert output["data"] == [None, None, 1.5]
    assert answer(models["tensor"], odd, binary=True)[1] == [odd["x"].tobytes()]


@pytest.mark.parametrize(
    "values", [np.zeros(1, np.float16), np.array([b"\xff"], dtype=object)], ids=["FP16", "bytes"]
)
def test_what_json_does_not_have_is_given_in_bytes_only(
    models: dict[str, LoadedModel], values: np.ndarray[Any, Any]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        answer(models["tensor"], {"x": values})
    assert "binary_data" in (refused.value.hint or "")
    assert len(answer(models["tensor"], {"x": values}, binary=True)[1]) == 1


def test_an_output_that_nobody_can_read_is_the_models_fault(
    models: dict[str, LoadedModel],
) -> None:
    for values in (np.array(["\ud800"], dtype=object), np.array([1j])):
        with pytest.raises(OutputInvalid):
            answer(models["tensor"], {"x": values})
    with pytest.raises(OutputInvalid):
        answer(models["tensor"], {"x": np.array(["\ud800"], dtype=object)}, binary=True)
