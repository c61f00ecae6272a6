"""The OpenAPI document: what it says of columns, labels, words and paths."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from modelway.domain.signature import Column, Datatype, Signature
from modelway.inference.catalogue import Entry
from modelway.records.labelling import Claim
from modelway.records.labels import Label
from modelway.rest.openapi import openapi_document
from support.served import (
    FLOWER,
    compiled_bundle,
    described,
    flower_graph,
    function_bundle,
    tensor_bundle,
)

PET = Signature(
    columns=(
        Column("kind", "kind", Datatype.CATEGORICAL, categories=("cat", "dog"), closed=True),
        Column(
            "age (years)", "age_years", Datatype.INT8, nullable=True, optional=True, unit="years"
        ),
        Column("town", "town", Datatype.CATEGORICAL, categories=("Bonn", "Ulm")),
        Column("born", "born", Datatype.DATETIME, nullable=True, optional=True),
        Column("tame", "tame", Datatype.BOOL),
        Column("weight", "weight", Datatype.FP32, minimum=0.5, maximum=9.0),
    ),
    description="Which food a pet gets",
)
SOURCE = "def feed(kind, age_years, town, born, tame, weight):\n    return kind\n"


def flower(folder: Path, *, strict: bool = False) -> Entry:
    bundle = compiled_bundle(folder / "flower", flower_graph(), FLOWER, classes=(0, 1, 2))
    return described(bundle, "flower", strict=strict)


def pet(folder: Path, *, strict: bool = False) -> Entry:
    return described(function_bundle(folder / "pet", SOURCE, "feed", PET), "pet", strict=strict)


def document(*models: Entry, **options: Any) -> Any:
    given: dict[str, Any] = {
        "default": models[0].name if models else None,
        "prefix": "",
        "templates": {},
        "output_names": {},
        "labels": False,
        "jobs": False,
        **options,
    }
    return json.loads(openapi_document([(one.name, one) for one in models], **given))


def columns(found: Any, name: str) -> Any:
    return found["components"]["schemas"][f"{name}.row"]["properties"]


def test_ranges_and_categories_are_told_and_are_no_limits(tmp_path: Path) -> None:
    length = columns(document(flower(tmp_path)), "flower")["sepal length (cm)"]
    assert length["type"] == "number"
    assert length["x-training-range"] == [4.3, 7.9]
    assert (
        "In training 4.3 to 7.9; anything else is answered with a warning."
        in (length["description"])
    )
    assert "Also accepted as `sepal_length`." in length["description"]
    assert "minimum" not in length
    town = columns(document(pet(tmp_path)), "pet")["town"]
    assert town["x-training-categories"] == ["Bonn", "Ulm"]
    assert town["examples"] == ["Bonn", "Ulm"]
    assert "enum" not in town


def test_where_the_service_is_strict_they_are_limits(tmp_path: Path) -> None:
    found = document(flower(tmp_path, strict=True), pet(tmp_path, strict=True))
    length = columns(found, "flower")["sepal length (cm)"]
    assert (length["minimum"], length["maximum"]) == (4.3, 7.9)
    assert "anything else is refused" in length["description"]
    assert columns(found, "pet")["town"]["enum"] == ["Bonn", "Ulm"]
    assert found["components"]["schemas"]["pet.row"]["additionalProperties"] is False


def test_columns_are_typed(tmp_path: Path) -> None:
    found = columns(document(pet(tmp_path)), "pet")
    assert found["kind"]["enum"] == ["cat", "dog"]
    assert found["age (years)"]["type"] == ["integer", "null"]
    assert (found["age (years)"]["minimum"], found["age (years)"]["maximum"]) == (-128, 127)
    assert found["age (years)"]["x-unit"] == "years"
    assert found["born"]["format"] == "date-time"
    assert found["tame"]["type"] == "boolean"
    assert found["weight"]["maximum"] == pytest.approx(3.4028235e38)


def test_what_may_be_missing_is_not_required(tmp_path: Path) -> None:
    found = document(pet(tmp_path))
    assert found["components"]["schemas"]["pet.row"]["required"] == [
        *("kind", "town", "tame", "weight")
    ]
    query = [one for one in found["components"]["parameters"].values() if one["in"] == "query"]
    assert {one["name"] for one in query if not one["required"]} == {"age_years", "born"}
    assert all(isinstance(one["schema"]["type"], str) for one in query)


def test_labels_have_their_names(tmp_path: Path) -> None:
    answer = document(flower(tmp_path))["components"]["schemas"]["flower.answer"]
    prediction = answer["properties"]["prediction"]
    assert prediction["enum"] == [0, 1, 2]
    assert prediction["description"] == "The label: 0 is setosa, 1 is versicolor, 2 is virginica."
    assert answer["properties"]["label"]["examples"] == ["setosa", "versicolor", "virginica"]
    assert "probabilities" in answer["required"]


def test_the_word_for_the_prediction_is_the_callers(tmp_path: Path) -> None:
    path = "/iris/{sepal_length}/{petal width}"
    found = document(
        flower(tmp_path), output_names={"flower": "Species"}, templates={path: "flower"}
    )
    answer = found["components"]["schemas"]["flower.answer"]
    assert answer["required"][0] == "Species"
    asked = found["paths"][path]["get"]
    places = [(one["name"], one["in"]) for one in asked["parameters"] if "$ref" not in one]
    assert places == [("sepal_length", "path"), ("petal width", "path")]
    alone = asked["responses"]["200"]["content"]["application/json"]["schema"]
    assert list(alone["properties"]) == ["Species"]


def test_tensors_are_nested_arrays_with_their_shape(tmp_path: Path) -> None:
    found = document(described(tensor_bundle(tmp_path / "double"), "double"))
    tensor = found["components"]["schemas"]["double.tensors"]["properties"]["X"]
    assert tensor["type"] == "array"
    assert "minItems" not in tensor
    assert (tensor["items"]["minItems"], tensor["items"]["maxItems"]) == (3, 3)
    assert tensor["items"]["items"]["type"] == "number"
    assert list(found["paths"]["/models/double/predict"]) == ["post"]
    assert "/" not in found["paths"]
    outputs = found["components"]["schemas"]["double.answer"]["properties"]["outputs"]
    assert list(outputs["properties"]) == ["doubled", "total"]


def test_every_model_has_its_paths_and_the_default_the_short_ones(tmp_path: Path) -> None:
    found = document(flower(tmp_path), pet(tmp_path), default="pet")
    assert {"/models/flower/predict", "/models/pet/predict", "/predict", "/"} <= set(found["paths"])
    assert found["paths"]["/predict"]["post"]["tags"] == ["pet"]
    names = [
        operation["operationId"] for path in found["paths"].values() for operation in path.values()
    ]
    assert len(names) == len(set(names))
    assert found["tags"][1] == {"name": "pet", "description": "Which food a pet gets"}
    assert "/predict" not in document(flower(tmp_path / "alone"), default=None)["paths"]


def test_labels_are_there_where_they_are_taken(tmp_path: Path) -> None:
    model = flower(tmp_path)
    assert "/labels" not in document(model)["paths"]
    found = document(model, labels=True)
    OpenAPIV31SpecValidator(found).validate()
    known = set(Claim.__struct_fields__)
    claim = found["components"]["schemas"]
    assert known == {*claim["labels.value"]["properties"], *claim["labels.verdict"]["properties"]}
    assert set(claim["labels.stored"]["properties"]) == {one.name for one in fields(Label)}


def test_the_server_is_relative_to_the_document(tmp_path: Path) -> None:
    model = flower(tmp_path)
    assert document(model)["servers"] == [{"url": "."}]
    assert document(model, prefix="/models-a")["servers"] == [{"url": "/models-a"}]


def test_where_jobs_are_taken_the_document_says_how(tmp_path: Path) -> None:
    found = document(flower(tmp_path), jobs=True)
    OpenAPIV31SpecValidator(found).validate()
    for path in ("/predict", "/models/flower/predict"):
        post = found["paths"][path]["post"]
        assert {"200", "202"} <= set(post["responses"])
        assert "prefer" in [one.get("name") for one in post["parameters"]]
    assert {"get", "post"} <= set(found["paths"]["/process"])
    assert "post" in found["paths"]["/uploads"]
    assert "204" in found["paths"]["/uploads/{id}"]["delete"]["responses"]
    without = document(flower(tmp_path / "again"))
    assert "202" not in without["paths"]["/predict"]["post"]["responses"]
    assert "/process" not in without["paths"]


def test_what_may_be_uploaded_is_what_predict_takes(tmp_path: Path) -> None:
    found = document(
        pet(tmp_path), described(tensor_bundle(tmp_path / "double"), "double"), jobs=True
    )
    content = found["paths"]["/uploads"]["post"]["requestBody"]["content"]
    taken = found["paths"]["/models/pet/predict"]["post"]["requestBody"]["content"]
    assert set(content) == set(taken)
    assert content["application/json"]["examples"] == taken["application/json"]["examples"]
    assert "type" not in content["application/json"]["schema"]
    assert content["text/csv"] == taken["text/csv"]
    nobody = document(jobs=True)
    OpenAPIV31SpecValidator(nobody).validate()
    assert set(nobody["paths"]["/uploads"]["post"]["requestBody"]["content"]) == set(content)
