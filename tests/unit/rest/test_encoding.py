"""Outputs as answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from modelway.domain.errors import OutputInvalid
from modelway.domain.inference import InferenceResponse, RowWarning
from modelway.inference.loading import LoadedModel
from modelway.rest.encoding import AnswerEncoder
from support.served import FLOWER, PAIR, compiled_bundle, flower_graph, loaded, pair_graph


@pytest.fixture(scope="module")
def flower(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder: Path = tmp_path_factory.mktemp("flower") / "flower"
    return loaded(compiled_bundle(folder, flower_graph(), FLOWER, classes=(0, 1, 2)), "flower")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder: Path = tmp_path_factory.mktemp("pair") / "pair"
    return loaded(compiled_bundle(folder, pair_graph(), PAIR), "pair")


def response(outputs: dict[str, Any], **options: Any) -> InferenceResponse:
    n_rows = len(next(iter(outputs.values())))
    return InferenceResponse("e", "1", "id", outputs, n_rows, **options)


def predictions(model: LoadedModel, array: Any) -> list[Any]:
    rows = msgspec.json.decode(AnswerEncoder(model.bundle).many(response({"prediction": array})))
    return [row["prediction"] for row in rows]


def objects(*values: Any) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@pytest.mark.parametrize(
    ("array", "shown"),
    [
        (np.array([0.1, np.nan, -np.inf]), [0.1, None, None]),
        (np.array([0.1], dtype=np.float32), [float(np.float32(0.1))]),
        (np.array([2**63 - 1, -1]), [2**63 - 1, -1]),
        (np.array([2**64 - 1], dtype=np.uint64), [2**64 - 1]),
        (np.array([True, False]), [True, False]),
        (np.array(["a", "ü"]), ["a", "ü"]),
        (np.array([b"a"]), ["a"]),
        (np.array(["2024-05-17T12:30", "NaT"], "M8[m]"), ["2024-05-17T12:30:00.000000Z", None]),
        (np.array([[1.5, np.nan]]), [[1.5, None]]),
        (np.zeros((1, 2, 0)), [[[], []]]),
        (objects(None, 2**70, "x"), [None, 2**70, "x"]),
        (objects({"a": np.float32(0.5), "b": np.arange(2)}), [{"a": 0.5, "b": [0, 1]}]),
        (np.empty(0), []),
    ],
)
def test_every_kind_of_array(pair: LoadedModel, array: Any, shown: list[Any]) -> None:
    assert predictions(pair, array) == shown


@pytest.mark.parametrize("value", [object(), 1j, "\ud800", {1.5: {(): 1}}])
def test_what_is_no_json_is_an_invalid_output(pair: LoadedModel, value: Any) -> None:
    with pytest.raises(OutputInvalid):
        AnswerEncoder(pair.bundle).one(response({"prediction": objects(value)}))


def test_an_answer_to_one_row(flower: LoadedModel) -> None:
    outputs = {"class_index": np.array([1]), "probabilities": np.array([[0.25, 0.5, 0.25]])}
    answer = AnswerEncoder(flower.bundle, "Species").one(response(outputs, classes=(0, 1, 2)))
    assert answer == (
        b'{"Species":1,"label":"versicolor","probabilities":{"0":0.25,"1":0.5,"2":0.25},'
        b'"endpoint":"e","version":"1","prediction_id":"id"}'
    )


def test_the_labels_are_those_of_the_version_that_answered(flower: LoadedModel) -> None:
    outputs = {"class_index": np.array([1])}
    answer = AnswerEncoder(flower.bundle).one(response(outputs, classes=("9", "2")))
    said = msgspec.json.decode(answer)
    assert (said["prediction"], said["label"]) == ("2", "virginica")


def test_warnings_stand_with_their_rows(pair: LoadedModel) -> None:
    warnings = [RowWarning(1, "a", "out-of-range", "9", "less")]
    many = response({"prediction": np.array([1.0, 2.0])}, warnings=warnings)
    first, second = msgspec.json.decode(AnswerEncoder(pair.bundle).many(many))
    assert "warnings" not in first
    assert second["warnings"] == [
        {
            "column": "a",
            "code": "out-of-range",
            "received": "9",
            "expected": "less",
            "message": "a: expected less, got 9",
        }
    ]


def test_a_warning_without_rows_is_dropped(pair: LoadedModel) -> None:
    warnings = [RowWarning(0, "x", "unknown-column", "'x'", "a column")]
    none = response({"prediction": np.empty(0)}, warnings=warnings)
    assert AnswerEncoder(pair.bundle).many(none) == b"[]"


def test_warnings_of_what_is_not_finite_are_bounded(pair: LoadedModel) -> None:
    many = response({"prediction": np.full(5000, np.nan)})
    rows = msgspec.json.decode(AnswerEncoder(pair.bundle).many(many))
    assert sum("warnings" in row for row in rows) == 1000


def test_columns(flower: LoadedModel) -> None:
    outputs = {"class_index": np.array([2, 0]), "probabilities": np.eye(3)[[2, 0]]}
    columns = AnswerEncoder(flower.bundle).columns(response(outputs, classes=(0, 1, 2)))
    assert {name: list(values) for name, values in columns.items()} == {
        "prediction": [2, 0],
        "label": ["virginica", "setosa"],
        "probability_0": [0.0, 1.0],
        "probability_1": [0.0, 0.0],
        "probability_2": [1.0, 0.0],
        "prediction_id": ["id:0", "id:1"],
    }


def test_columns_have_warnings_where_there_are_any(pair: LoadedModel) -> None:
    warnings = [RowWarning(1, "a", "out-of-range", "9", "less")]
    outputs = {"prediction": np.array([1.0, 2.0, np.nan])}
    columns = AnswerEncoder(pair.bundle).columns(response(outputs, warnings=warnings))
    assert list(columns)[-1] == "warnings"
    none, unusual, nan = columns["warnings"]
    assert none is None
    assert msgspec.json.decode(unusual)[0]["message"] == "a: expected less, got 9"
    assert [one["code"] for one in msgspec.json.decode(nan)] == ["not-finite"]
    empty = response({"prediction": np.empty(0)}, warnings=[RowWarning(0, "x", "c", "r", "e")])
    assert "warnings" not in AnswerEncoder(pair.bundle).columns(empty)


def test_the_prediction_alone(flower: LoadedModel) -> None:
    outputs = {"class_index": np.array([2])}
    encoder = AnswerEncoder(flower.bundle, "S")
    assert encoder.alone(response(outputs, classes=(0, 1, 2))) == b'{"S":2}'


def test_outputs_under_other_names_are_one_mapping_a_row(pair: LoadedModel) -> None:
    outputs = {"low": np.array([1.0, 2.0]), "high": np.array([3.0, 4.0])}
    rows = msgspec.json.decode(AnswerEncoder(pair.bundle).many(response(outputs)))
    assert [row["prediction"] for row in rows] == [{"low": 1, "high": 3}, {"low": 2, "high": 4}]


@pytest.mark.parametrize("n_rows", [0, 1, 2, 40])
@pytest.mark.parametrize("shares", [(0.1, 0.2, 0.7), (1e-300, 5e-324, 1.0), (0.5, np.nan, 0.5)])
def test_classes_are_written_alike_quickly_and_fully(
    flower: LoadedModel, n_rows: int, shares: tuple[float, float, float]
) -> None:
    outputs = {
        "class_index": np.arange(n_rows) % 3,
        "probabilities": np.tile(shares, (n_rows, 1)),
    }
    encoder = AnswerEncoder(flower.bundle)
    given = response(outputs, classes=flower.bundle.manifest.classes)
    assert encoder.many(given) == encoder.many_fully(given)
    if n_rows == 1:
        assert encoder.one(given) == encoder.one_fully(given)


@pytest.mark.parametrize("n_rows", [0, 1, 2, 40])
@pytest.mark.parametrize("value", [0.1, -0.0, 5e-324, 1e308, np.inf, 2**53, True])
def test_numbers_are_written_alike_quickly_and_fully(
    pair: LoadedModel, n_rows: int, value: float
) -> None:
    encoder = AnswerEncoder(pair.bundle)
    given = response({"prediction": np.array([value] * n_rows)})
    assert encoder.many(given) == encoder.many_fully(given)
    if n_rows == 1:
        assert encoder.one(given) == encoder.one_fully(given)
