"""Bodies and answers of TensorFlow Serving's actions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelway.domain.errors import (
    InvalidInput,
    MalformedPayload,
    OutputInvalid,
    PayloadTooLarge,
    SignatureMismatch,
)
from modelway.domain.inference import InferenceResponse
from modelway.domain.signature import Column, Datatype, Signature
from modelway.inference.decoding import Limits
from modelway.inference.loading import LoadedModel
from modelway.rest.tfserving_predict import (
    classify_answer,
    predict_answer,
    read_examples,
    read_predict,
    regress_answer,
)
from support.served import (
    FLOWER,
    PAIR,
    compiled_bundle,
    flower_graph,
    function_bundle,
    loaded,
    pair_graph,
    tensor_bundle,
)

LIMITS = Limits(max_json_depth=10, max_rows=3)
MATRIX = [[1.0, 2.0], [3.0, 4.0]]
OBJECTS = [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
TEXT = Signature(columns=(Column("text", "text", Datatype.STRING),))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    folder: Path = tmp_path_factory.mktemp("models")
    flower = compiled_bundle(folder / "flower", flower_graph(), FLOWER, classes=(0, 1, 2))
    source = "def echo(text): return text"
    return {
        "pair": loaded(compiled_bundle(folder / "pair", pair_graph(), PAIR), "pair"),
        "flower": loaded(flower, "flower"),
        "tensor": loaded(tensor_bundle(folder / "tensor"), "tensor"),
        "text": loaded(function_bundle(folder / "text", source, "echo", TEXT), "text"),
    }


@pytest.fixture
def pair(models: dict[str, LoadedModel]) -> LoadedModel:
    return models["pair"]


@pytest.fixture
def flower(models: dict[str, LoadedModel]) -> LoadedModel:
    return models["flower"]


@pytest.fixture
def tensor(models: dict[str, LoadedModel]) -> LoadedModel:
    return models["tensor"]


def response(outputs: dict[str, Any], **options: Any) -> InferenceResponse:
    n_rows = len(next(iter(outputs.values())))
    return InferenceResponse("e", "1", "id", outputs, n_rows, **options)


def objects(*values: Any) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def predicted(content: object, model: LoadedModel) -> tuple[Any, bool]:
    checked, by_row = read_predict(json.dumps(content).encode(), model, LIMITS)
    return [array.tolist() for array in checked.table.arrays], by_row


class TestPredict:
    @pytest.mark.parametrize(
        ("content", "by_row"),
        [
            ({"instances": MATRIX}, True),
            ({"instances": OBJECTS}, True),
            ({"signature_name": "serving_default", "instances": OBJECTS}, True),
            ({"signature_name": None, "instances": [{"a": [1], "b": [2]}, OBJECTS[1]]}, True),
            ({"inputs": {"a": [1, 3], "b": [2, 4]}}, False),
            ({"inputs": {"a": [[1], [3]], "b": [[2], [4]]}}, False),
            ({"inputs": MATRIX}, False),
        ],
    )
    def test_rows_and_columns(self, pair: LoadedModel, content: object, by_row: bool) -> None:
        assert predicted(content, pair) == ([[1.0, 3.0], [2.0, 4.0]], by_row)

    def test_a_tensor_model(self, tensor: LoadedModel) -> None:
        expected = [[[1.0, 2.0, 3.0]]]
        for rows in ([[1, 2, 3]], [{"X": [1, 2, 3]}]):
            assert predicted({"instances": rows}, tensor) == (expected, True)
        for inputs in ([[1, 2, 3]], {"X": [[1, 2, 3]]}):
            assert predicted({"inputs": inputs}, tensor) == (expected, False)

    def test_text_may_be_base64(self, models: dict[str, LoadedModel]) -> None:
        for content in (
            {"instances": [{"b64": "Wm/Dqw=="}, "x"]},
            {"instances": [{"text": {"b64": "Wm/Dqw=="}}, {"text": "x"}]},
            {"inputs": {"text": [{"b64": "Wm/Dqw=="}, "x"]}},
        ):
            assert predicted(content, models["text"])[0] == [["Zoë", "x"]]
        for wrong, kind in (("?", MalformedPayload), ("/w==", SignatureMismatch)):
            with pytest.raises(kind):
                predicted({"instances": [{"b64": wrong}]}, models["text"])

    def test_bare_nan_is_a_missing_value(self, pair: LoadedModel) -> None:
        checked, _ = read_predict(b'{"instances": [[1, NaN]]}', pair, LIMITS)
        assert np.isnan(checked.table.matrix[0, 1])

    @pytest.mark.parametrize(
        "content",
        [
            {},
            {"instances": MATRIX, "inputs": MATRIX},
            {"instances": OBJECTS[0]},
            {"instances": "x"},
            {"signature_name": "other", "instances": MATRIX},
            {"signature_name": 3, "instances": MATRIX},
            {"signature_name": [], "instances": MATRIX},
            {"instances": [[1]]},
            {"instances": [{"a": "x"}]},
            {"inputs": {"a": [1], "b": [1, 2]}},
            {"inputs": 3},
            [],
            3,
        ],
    )
    def test_other_forms_are_refused(self, pair: LoadedModel, content: object) -> None:
        with pytest.raises(InvalidInput):
            predicted(content, pair)

    def test_no_more_than_is_taken(self, pair: LoadedModel) -> None:
        for content in ({"instances": MATRIX * 2}, {"inputs": {"a": [1] * 4, "b": [1] * 4}}):
            with pytest.raises(PayloadTooLarge):
                predicted(content, pair)
        with pytest.raises(PayloadTooLarge):
            read_predict(b'{"instances":' + b"[" * 20 + b"]" * 20 + b"}", pair, LIMITS)


class TestExamples:
    def test_a_context_holds_for_each(self, pair: LoadedModel) -> None:
        content = {"context": {"b": 2}, "examples": [{"a": 1}, {"a": [3], "b": 4}]}
        checked = read_examples(json.dumps(content).encode(), pair, LIMITS)
        assert checked.table.matrix.tolist() == MATRIX

    @pytest.mark.parametrize(
        "content",
        [
            {},
            {"examples": {}},
            {"examples": [3]},
            {"examples": [{"a": 1}], "context": []},
            {"examples": [{"a": "x"}]},
            {"examples": [{}] * 4},
        ],
    )
    def test_other_forms_are_refused(self, pair: LoadedModel, content: object) -> None:
        with pytest.raises(InvalidInput):
            read_examples(json.dumps(content).encode(), pair, LIMITS)


LABELS = response(
    {"class_index": np.array([1, 2]), "probabilities": np.array([[0.25, 0.75, 0], [0, 0, 1.0]])},
    classes=(0, 1, 2),
)


def said(write: Callable[..., bytes], *arguments: Any, **options: Any) -> Any:
    return json.loads(write(*arguments, **options))


class TestAnswers:
    def test_a_classifier_has_several_outputs(self, flower: LoadedModel) -> None:
        assert said(predict_answer, LABELS, flower, by_row=True) == {
            "predictions": [
                {"prediction": 1, "label": "versicolor", "probabilities": [0.25, 0.75, 0.0]},
                {"prediction": 2, "label": "virginica", "probabilities": [0.0, 0.0, 1.0]},
            ]
        }
        assert said(predict_answer, LABELS, flower, by_row=False) == {
            "outputs": {
                "prediction": [1, 2],
                "label": ["versicolor", "virginica"],
                "probabilities": [[0.25, 0.75, 0.0], [0.0, 0.0, 1.0]],
            }
        }

    @pytest.mark.parametrize(
        ("outputs", "shown"),
        [
            ({"prediction": np.array([1.5, 2.5])}, [1.5, 2.5]),
            ({"prediction": np.array(MATRIX)}, MATRIX),
            ({"class_index": np.array([0, 1])}, ["x", "y"]),
            ({"prediction": objects(b"hi", "x")}, [{"b64": "aGk="}, "x"]),
            ({"total": np.array([[1.0], [2.0]])}, [[1.0], [2.0]]),
        ],
    )
    def test_the_name_of_a_single_output_is_dropped(
        self, pair: LoadedModel, outputs: dict[str, Any], shown: object
    ) -> None:
        given = response(outputs, classes=("x", "y"))
        assert said(predict_answer, given, pair, by_row=True) == {"predictions": shown}
        assert said(predict_answer, given, pair, by_row=False) == {"outputs": shown}

    def test_what_is_not_finite_stands_bare(self, pair: LoadedModel) -> None:
        given = response({"prediction": np.array([np.nan, -np.inf])})
        assert predict_answer(given, pair, by_row=True) == b'{"predictions": [NaN, -Infinity]}'

    def test_tensors_stand_side_by_side_in_rows(self, tensor: LoadedModel) -> None:
        outputs = {"doubled": np.array([[2.0, 4.0]]), "total": np.array([[3.0]])}
        given = response(outputs)
        assert said(predict_answer, given, tensor, by_row=True) == {
            "predictions": [{"doubled": [2.0, 4.0], "total": [3.0]}]
        }
        assert said(predict_answer, given, tensor, by_row=False) == {
            "outputs": {"doubled": [[2.0, 4.0]], "total": [[3.0]]}
        }
        uneven = response({"doubled": np.array([[2.0]]), "total": np.array([1.0, 2.0])})
        assert "outputs" in said(predict_answer, uneven, tensor, by_row=False)
        with pytest.raises(OutputInvalid):
            predict_answer(uneven, tensor, by_row=True)

    def test_classify_pairs_labels_with_probabilities(
        self, flower: LoadedModel, pair: LoadedModel
    ) -> None:
        assert said(classify_answer, LABELS, flower)["results"][0] == [
            ["setosa", 0.25],
            ["versicolor", 0.75],
            ["virginica", 0.0],
        ]
        assert said(classify_answer, LABELS, pair)["results"][1][2] == ["2", 1.0]
        for outputs in ({"class_index": np.array([0])}, {"prediction": np.array([0.5])}):
            with pytest.raises(InvalidInput):
                classify_answer(response(outputs, classes=("x",)), pair)

    def test_regress_gives_numbers(self) -> None:
        for array in (np.array([1.5, 2.0]), np.array([1.5, 2.0], dtype=np.float32)):
            assert said(regress_answer, response({"prediction": array})) == {"results": [1.5, 2.0]}
        for wrong in (np.array(MATRIX), np.array(["x"]), objects(1.5), np.array([True])):
            with pytest.raises(InvalidInput):
                regress_answer(response({"prediction": wrong}))
        with pytest.raises(InvalidInput):
            regress_answer(LABELS)
