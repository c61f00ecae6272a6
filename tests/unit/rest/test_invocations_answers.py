"""Predictions as MLflow's server and SageMaker's containers give them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from modelway.domain.errors import OutputInvalid
from modelway.domain.inference import InferenceResponse
from modelway.domain.signature import Datatype, TensorSpec
from modelway.inference.loading import LoadedModel
from modelway.rest.invocations_answers import csv_of, lines_of, predictions_of, wrapped
from support.served import PAIR, compiled_bundle, loaded, pair_graph, tensor_bundle


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder: Path = tmp_path_factory.mktemp("pair") / "pair"
    return loaded(compiled_bundle(folder, pair_graph(), PAIR), "pair")


@pytest.fixture(scope="module")
def tensor(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return loaded(tensor_bundle(tmp_path_factory.mktemp("tensor") / "tensor"), "tensor")


def response(outputs: dict[str, Any], **options: Any) -> InferenceResponse:
    n_rows = len(next(iter(outputs.values())))
    return InferenceResponse("e", "1", "id", outputs, n_rows, **options)


def objects(*values: Any) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


LABELS = response(
    {"class_index": np.array([1, 0]), "probabilities": np.array([[0.25, 0.75], [1.0, 0.0]])},
    classes=("no", "yes"),
)
TABLE = response({"total": np.array([1.5, np.nan]), "name": objects("x", "y")})


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (LABELS, ["yes", "no"]),
        (response({"class_index": np.array([1])}, classes=(False, True)), [True]),
        (response({"class_index": np.array([1])}, classes=(3, 7)), [7]),
        (response({"prediction": np.array([0.5], dtype=np.float32)}), [0.5]),
        (response({"prediction": np.array([[1.5, 2.5]])}), [[1.5, 2.5]]),
        (response({"prediction": np.array([2**63 - 1])}), [2**63 - 1]),
        (response({"prediction": objects({"k": [1, "ü"]}, None)}), [{"k": [1, "ü"]}, None]),
        (response({"prediction": objects(b"hi", "x")}), ["aGk=\n", "x"]),
        (response({"prediction": np.array([b"hi"])}), ["aGk=\n"]),
        (response({"prediction": objects(np.float32(0.5))}), [0.5]),
        (response({"prediction": objects(date(2024, 5, 17))}), ["2024-05-17"]),
        (
            response({"prediction": objects(datetime(2024, 5, 17, tzinfo=UTC))}),
            ["2024-05-17T00:00:00+00:00"],
        ),
        (
            response({"prediction": np.array(["2024-05-17T12:30", "NaT"], "M8[ns]")}),
            ["2024-05-17T12:30:00", "NaT"],
        ),
        (response({"prediction": np.empty(0)}), []),
    ],
)
def test_predictions_are_what_predict_gives(
    pair: LoadedModel, given: InferenceResponse, shown: object
) -> None:
    assert json.loads(wrapped(given, pair, bare=False)) == {"predictions": shown}
    assert json.loads(wrapped(given, pair, bare=True)) == shown


def test_numbers_that_are_not_finite_stand_bare(pair: LoadedModel) -> None:
    given = response({"prediction": np.array([np.nan, np.inf, -np.inf, 1.5])})
    assert wrapped(given, pair, bare=True) == b"[NaN, Infinity, -Infinity, 1.5]"
    assert wrapped(TABLE, pair, bare=True) == (
        b'[{"total": 1.5, "name": "x"}, {"total": NaN, "name": "y"}]'
    )
    assert wrapped(response({"prediction": objects([np.nan])}), pair, bare=True) == b"[[NaN]]"


def test_named_tensors_are_an_object(tensor: LoadedModel) -> None:
    given = response({"doubled": np.array([[2.0]]), "total": np.array([[1.0]])})
    assert predictions_of(given, tensor) == {"doubled": [[2.0]], "total": [[1.0]]}


def test_a_table_of_one_column_keeps_its_name(pair: LoadedModel) -> None:
    original = msgspec.structs.replace(pair.manifest.original, framework="mlflow")
    manifest = msgspec.structs.replace(pair.manifest, original=original)
    outputs = (TensorSpec("y", Datatype.FP64, (-1,)),)
    validator = type(pair.validator)(replace(PAIR, outputs=outputs), strict=False)
    model = replace(pair, bundle=replace(pair.bundle, manifest=manifest), validator=validator)
    given = response({"prediction": np.array([1.5])})
    assert predictions_of(given, model) == [{"y": 1.5}]
    assert predictions_of(given, pair) == [1.5]


def test_a_line_is_a_prediction(pair: LoadedModel) -> None:
    assert lines_of(LABELS, pair) == b'{"prediction":"yes"}\n{"prediction":"no"}\n'
    assert lines_of(response({"prediction": np.empty(0)}), pair) == b""


def test_csv_has_no_header(pair: LoadedModel, tensor: LoadedModel) -> None:
    assert csv_of(LABELS, pair) == b"yes\nno\n"
    assert csv_of(response({"prediction": np.array([[1.5, 2.0]])}), pair) == b"1.5,2.0\n"
    assert csv_of(TABLE, pair) == b"1.5,x\nnan,y\n"
    assert csv_of(response({"prediction": objects('a,"b"', True, None)}), pair) == (
        b'"a,""b"""\ntrue\n""\n'
    )
    given = response({"doubled": np.array([[2.0, 4.0]]), "total": np.array([[3.0]])})
    assert csv_of(given, tensor) == b'"[2.0,4.0]",[3.0]\n'


def test_tensors_without_rows_in_common_are_no_lines(tensor: LoadedModel) -> None:
    given = response({"doubled": np.array([[2.0]]), "total": np.array([1.0, 2.0])})
    for write in (csv_of, lines_of):
        with pytest.raises(OutputInvalid, match="no rows in common"):
            write(given, tensor)


def test_what_is_no_json_is_the_models_fault(pair: LoadedModel) -> None:
    with pytest.raises(OutputInvalid):
        wrapped(response({"prediction": objects(object())}), pair, bare=False)
