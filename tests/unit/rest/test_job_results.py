"""A result in JSON becomes the tables that predict would have written."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelway.domain.errors import NotAcceptable
from modelway.domain.inference import InferenceResponse, RowWarning
from modelway.domain.jobs import Payload
from modelway.inference.loading import LoadedModel
from modelway.rest.codecs import ARROW_TYPE, CSV_TYPE, JSON_TYPE, PARQUET_TYPE, Formats
from modelway.rest.encoding import AnswerEncoder
from modelway.rest.job_results import in_format
from modelway.settings import RestSettings
from support.served import FLOWER, PAIR, compiled_bundle, flower_graph, loaded, pair_graph

FORMATS = Formats(RestSettings())


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    root: Path = tmp_path_factory.mktemp("models")
    flower = compiled_bundle(root / "flower", flower_graph(), FLOWER, classes=(0, 1, 2))
    pair = compiled_bundle(root / "pair", pair_graph(), PAIR)
    return {"flower": loaded(flower, "flower"), "pair": loaded(pair, "pair")}


def given(result: Payload, accept: str | None) -> Payload:
    return asyncio.run(in_format(result, FORMATS, None if accept is None else accept.encode()))


CLASSES = {"class_index": np.array([2, 0]), "probabilities": np.eye(3)[[2, 0]]}
WARNINGS = [RowWarning(1, "a", "out-of-range", "9", "less")]


@pytest.mark.parametrize("kind", [CSV_TYPE, ARROW_TYPE, PARQUET_TYPE])
@pytest.mark.parametrize(
    ("name", "outputs", "options"),
    [
        ("flower", CLASSES, {"classes": (0, 1, 2)}),
        ("flower", {"class_index": np.array([1])}, {"classes": ("a,b", "ü")}),
        ("pair", {"prediction": np.array([0.1, -2.5])}, {}),
        ("pair", {"prediction": np.array([2**62, -1])}, {}),
        ("pair", {"prediction": np.array([1.0, 2.0, np.nan])}, {"warnings": WARNINGS}),
        ("pair", {"prediction": np.array([[1.5, 2.0, 3.0]])}, {}),
        ("pair", {"prediction": np.array(["a", "b"])}, {}),
        ("pair", {"low": np.array([1.0]), "high": np.array([2.0])}, {}),
    ],
)
def test_a_table_is_what_predict_would_have_written(
    models: dict[str, LoadedModel],
    kind: str,
    name: str,
    outputs: dict[str, Any],
    options: dict[str, Any],
) -> None:
    encoder = AnswerEncoder(models[name].bundle, "species")
    n_rows = len(next(iter(outputs.values())))
    response = InferenceResponse("e", "1", "id", outputs, n_rows, **options)
    table = FORMATS.of_body(kind.encode())
    assert table is not None
    expected = table.write(encoder.columns(response))
    rows = given(Payload(encoder.many(response), JSON_TYPE, "1"), kind)
    assert (rows.content, rows.media_type.partition(";")[0], rows.version) == (expected, kind, "1")
    if n_rows == 1:
        assert given(Payload(encoder.one(response), JSON_TYPE), kind).content == expected


@pytest.mark.parametrize(
    "accept", [None, "*/*", "text/csv;q=0.1, application/json", "text/csv, */*"]
)
def test_it_is_given_as_it_is_where_that_will_do(accept: str | None) -> None:
    for kept in (Payload(b"[1]", JSON_TYPE), Payload(b"a\r\n", f"{CSV_TYPE}; charset=utf-8")):
        if kept.media_type != JSON_TYPE or accept != "text/csv, */*":
            assert given(kept, accept) is kept


def test_a_table_becomes_no_other_and_tensors_none() -> None:
    with pytest.raises(NotAcceptable, match="was asked for as text/csv"):
        given(Payload(b"a\r\n", f"{CSV_TYPE}; charset=utf-8"), JSON_TYPE)
    with pytest.raises(NotAcceptable, match="tensors"):
        given(Payload(b'{"outputs":{"y":[1]},"prediction_id":"a"}', JSON_TYPE), CSV_TYPE)
    assert given(Payload(b"[]", JSON_TYPE), CSV_TYPE).content == b"prediction_id\r\n"
