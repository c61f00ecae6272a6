"""Bodies of MLflow's clients and SageMaker's."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest

from modelway.domain.errors import (
    InvalidInput,
    MalformedPayload,
    PayloadTooLarge,
    SignatureMismatch,
    UnsupportedMedia,
)
from modelway.domain.signature import Column, Datatype, Signature
from modelway.inference.decoding import Limits
from modelway.inference.loading import LoadedModel
from modelway.rest.invocations_bodies import (
    Media,
    Reading,
    media_of,
    read_json,
    read_lines,
    read_rows_of_csv,
)
from support.served import (
    PAIR,
    compiled_bundle,
    function_bundle,
    loaded,
    pair_graph,
    tensor_bundle,
)

LIMITS = Limits(max_json_depth=10, max_rows=100)
JSON = Media("application/json", {})
CSV = Media("text/csv", {})
MATRIX = [[1.0, 2.0], [3.0, 4.0]]
OBJECTS = [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
PROMPT = Signature(
    columns=(
        Column("prompt", "prompt", Datatype.STRING),
        Column("words", "words", Datatype.INT64, nullable=True, optional=True),
    )
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder: Path = tmp_path_factory.mktemp("pair") / "pair"
    return loaded(compiled_bundle(folder, pair_graph(), PAIR), "pair")


def as_json(content: object, model: LoadedModel, media: Media = JSON) -> Reading:
    return read_json(json.dumps(content).encode(), media, model, LIMITS)


def rows(reading: Reading) -> Any:
    return reading.checked.table.matrix.tolist()


class TestMedia:
    @pytest.mark.parametrize(
        ("header", "kind", "parameters"),
        [
            (None, "application/json", {}),
            (b"", "application/json", {}),
            (b"application/json", "application/json", {}),
            (b"Application/JSON ; charset=UTF-8;", "application/json", {}),
            (b'text/csv; charset="utf-8"', "text/csv", {}),
            (
                b"application/json; format=pandas-split",
                "application/json",
                {"format": "pandas-split"},
            ),
            (b"text/csv; header=absent", "text/csv", {"header": "absent"}),
            (b"text/csv;label_size=0", "text/csv", {"label_size": "0"}),
            (b"application/x-jsonlines", "application/jsonlines", {}),
            (b"\xff/\xfe", "\xff/\xfe", {}),
        ],
    )
    def test_a_content_type_is_a_kind_and_parameters(
        self, header: bytes | None, kind: str, parameters: dict[str, str]
    ) -> None:
        assert media_of(header) == Media(kind, parameters)

    @pytest.mark.parametrize(
        ("header", "said"),
        [
            (b"application/json; charset=latin-1", "The scoring server only supports UTF-8"),
            (b"application/json; version=1", "Unrecognized content type parameters: version"),
            (b"application/json; format=numpy", "Unrecognized content type parameters: format"),
            (b"text/csv; label_size=1", "Unrecognized content type parameters: label_size"),
            (b"text/csv; format=pandas-split", "Unrecognized content type parameters: format"),
        ],
    )
    def test_what_means_nothing_is_refused(self, header: bytes, said: str) -> None:
        with pytest.raises(UnsupportedMedia, match=said):
            media_of(header)


class TestJson:
    @pytest.mark.parametrize(
        "content",
        [
            {"dataframe_split": {"columns": ["a", "b"], "data": MATRIX}},
            {"dataframe_split": {"columns": ["b", "a"], "data": [[2, 1], [4, 3]]}},
            {"dataframe_split": {"index": [7, 9], "columns": ["a", "b"], "data": MATRIX}},
            {"dataframe_split": {"index": None, "columns": None, "data": MATRIX}},
            {"dataframe_split": {"columns": [0, 1], "data": MATRIX}},
            {"dataframe_split": {"data": MATRIX}},
            {"dataframe_records": OBJECTS},
            {"instances": OBJECTS},
            {"instances": MATRIX},
            {"instances": {"a": [1, 3], "b": [2, 4]}},
            {"instances": [{"features": [1, 2]}, {"features": [3, 4]}]},
            {"inputs": {"a": [1, 3], "b": [2, 4]}},
            {"inputs": OBJECTS},
            {"inputs": MATRIX},
            {"signature_name": "x", "inputs": OBJECTS, "params": None},
            {"columns": ["a", "b"], "data": MATRIX},
        ],
    )
    def test_every_form_holds_the_same_rows(self, pair: LoadedModel, content: object) -> None:
        reading = as_json(content, pair)
        assert rows(reading) == MATRIX
        assert not reading.bare
        assert not reading.nameless

    @pytest.mark.parametrize(
        ("frame_format", "content"),
        [("pandas-split", {"columns": ["a", "b"], "data": MATRIX}), ("pandas-records", OBJECTS)],
    )
    def test_the_first_mlflow_said_the_form_in_the_type(
        self, pair: LoadedModel, frame_format: str, content: object
    ) -> None:
        media = Media("application/json", {"format": frame_format})
        assert rows(as_json(content, pair, media)) == MATRIX

    def test_nan_is_a_missing_value(self, pair: LoadedModel) -> None:
        body = b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, NaN]]}}'
        (row,) = rows(read_json(body, JSON, pair, LIMITS))
        assert row[0] == 1.0
        assert row[1] != row[1]

    @pytest.mark.parametrize(
        "content",
        [
            {},
            {"a": 1},
            {"instances": OBJECTS, "inputs": OBJECTS},
            OBJECTS,
            MATRIX,
            3,
            "x",
            None,
            {"dataframe_split": MATRIX},
            {"dataframe_split": {"columns": ["a", "b"]}},
            {"dataframe_split": {"columns": ["a", "b"], "data": MATRIX, "x": 1}},
            {"dataframe_split": {"columns": "ab", "data": MATRIX}},
            {"dataframe_split": {"columns": None, "data": {}}},
            {"dataframe_split": {"columns": ["a", "b"], "data": 3}},
            {"dataframe_split": {"columns": ["a", "b"], "data": MATRIX, "index": [1]}},
            {"dataframe_split": {"columns": ["b", "a"], "data": MATRIX, "index": 3}},
            {"dataframe_records": OBJECTS[0]},
            {"dataframe_records": MATRIX},
        ],
    )
    def test_other_forms_are_refused(self, pair: LoadedModel, content: object) -> None:
        with pytest.raises(MalformedPayload):
            as_json(content, pair)

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"instances": [[1,2]]', b"[" * 3000])
    def test_what_is_no_json_is_refused(self, pair: LoadedModel, body: bytes) -> None:
        with pytest.raises(InvalidInput):
            read_json(body, JSON, pair, LIMITS)

    def test_values_that_do_not_fit_are_all_said(self, pair: LoadedModel) -> None:
        for content in (
            {"dataframe_records": [{"a": "x"}, {"a": 1, "b": True}]},
            {"dataframe_split": {"columns": ["a", "b"], "data": [["x", 2], [1, True]]}},
        ):
            with pytest.raises(SignatureMismatch) as raised:
                as_json(content, pair)
            assert [p.message for p in raised.value.problems] == [
                "row 0, a: expected a number, got 'x'",
                "row 1, b: expected a number, got true",
            ]

    def test_names_that_are_no_text_are_said(self, pair: LoadedModel) -> None:
        with pytest.raises(SignatureMismatch, match="column 0: expected a name as text"):
            as_json({"columns": [[1], "b"], "data": MATRIX}, pair)

    def test_too_deep_or_too_many_is_refused(self, pair: LoadedModel) -> None:
        for content in (
            {"instances": [[1, 2]] * 101},
            {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]] * 101}},
            {"inputs": {"a": [1] * 101, "b": [1] * 101}},
        ):
            with pytest.raises(PayloadTooLarge):
                as_json(content, pair)
        with pytest.raises(PayloadTooLarge):
            read_json(b'{"x":' + b"[" * 20 + b"]" * 20 + b"}", JSON, pair, LIMITS)

    def test_an_object_with_a_prompt_is_one_bare_row(self, tmp_path: Path) -> None:
        source = "def count(prompt, words): return words"
        model = loaded(function_bundle(tmp_path / "count", source, "count", PROMPT), "count")
        reading = as_json({"prompt": "hello", "words": 3}, model)
        assert reading.bare
        assert [a.tolist() for a in reading.checked.table.arrays] == [["hello"], [3.0]]


class TestParameters:
    def test_a_model_that_takes_none_is_given_none(
        self, pair: LoadedModel, caplog: pytest.LogCaptureFixture
    ) -> None:
        for params in ({"temperature": 1}, [1]):
            with caplog.at_level(logging.WARNING, logger="modelway.rest"):
                assert as_json({"instances": MATRIX, "params": params}, pair).parameters == {}
            assert "pair takes no params" in caplog.text
            caplog.clear()

    def test_a_function_of_mlflows_is_given_them(self, pair: LoadedModel) -> None:
        model = _of_mlflow(pair)
        content = {"instances": MATRIX, "params": {"temperature": 1}}
        assert as_json(content, model).parameters == {"temperature": 1}
        with pytest.raises(InvalidInput, match="params: expected an object"):
            as_json({"instances": MATRIX, "params": [1]}, model)


def _of_mlflow(model: LoadedModel) -> LoadedModel:
    from dataclasses import replace

    original = msgspec.structs.replace(model.manifest.original, framework="mlflow")
    manifest = msgspec.structs.replace(model.manifest, original=original)
    return replace(model, bundle=replace(model.bundle, manifest=manifest))


class TestLines:
    def test_a_line_is_a_row(self, pair: LoadedModel) -> None:
        body = b'{"a":1,"b":2}\r\n\n{"features":[3,4]}\n[5,6]'
        assert rows(read_lines(body, pair, LIMITS)) == [*MATRIX, [5.0, 6.0]]

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (b'{"a":1}\n{', "line 2:"),
            (b"[1,2]\n[1\n,2]", "line 2:"),
            (b"\xff", "line 1:"),
        ],
    )
    def test_a_line_that_is_no_json_is_named(
        self, pair: LoadedModel, body: bytes, said: str
    ) -> None:
        with pytest.raises(MalformedPayload, match=said):
            read_lines(body, pair, LIMITS)

    def test_lines_of_objects_are_read_at_once(self, pair: LoadedModel) -> None:
        body = b'{"a":1,"b":2}\n{"b":4,"a":3}\n'
        assert rows(read_lines(body, pair, LIMITS)) == MATRIX
        assert rows(read_lines(b"\n", pair, LIMITS)) == []

    @pytest.mark.parametrize(
        "body", [b'{"a":1,"b":2},{"a":3,"b":4}', b'{"a":1}\n,{"a":2}', b'{"a":1\n"b":2}']
    )
    def test_what_only_together_is_json_is_refused(self, pair: LoadedModel, body: bytes) -> None:
        with pytest.raises(MalformedPayload):
            read_lines(body, pair, LIMITS)

    def test_no_more_rows_than_are_taken(self, pair: LoadedModel) -> None:
        with pytest.raises(PayloadTooLarge):
            read_lines(b"[1,2]\n" * 101, pair, LIMITS)


class TestCsv:
    @pytest.mark.parametrize(
        "body",
        [
            "a,b\n1,2\n3,4\n",
            "b,a\r\n2,1\r\n4,3\r\n",
            ",a,b\n0,1,2\n1,3,4\n",
            "a,b,x,y,z\n1,2,0,0,0\n3,4,0,0,0\n",
            "\ufeffa,b\n1,2\n3,4",
            '\n"a","b"\n1,2\n3,4',
        ],
    )
    def test_a_first_line_of_names_is_a_header(self, pair: LoadedModel, body: str) -> None:
        reading = read_rows_of_csv(body.encode(), CSV, pair, LIMITS)
        assert rows(reading) == MATRIX
        assert not reading.nameless

    @pytest.mark.parametrize("body", ["1,2\n3,4\n", "\ufeff1,2\n3,4", '\n\n"1",2\n3,"4"'])
    def test_any_other_first_line_is_a_row(self, pair: LoadedModel, body: str) -> None:
        reading = read_rows_of_csv(body.encode(), CSV, pair, LIMITS)
        assert rows(reading) == MATRIX
        assert reading.nameless

    def test_the_parameters_of_the_type_decide(self, tmp_path: Path) -> None:
        signature = Signature(columns=(Column("text", "text", Datatype.STRING),))
        source = "def echo(text): return text"
        model = loaded(function_bundle(tmp_path / "echo", source, "echo", signature), "echo")
        for parameters, texts in (
            ({}, ["x"]),
            ({"header": "present"}, ["x"]),
            ({"header": "absent"}, ["text", "x"]),
            ({"label_size": "0"}, ["text", "x"]),
        ):
            media = Media("text/csv", parameters)
            reading = read_rows_of_csv(b"text\nx\n", media, model, LIMITS)
            assert reading.checked.table.arrays[0].tolist() == texts

    def test_a_text_that_is_some_columns_name_is_no_header(self, tmp_path: Path) -> None:
        names = ("purpose", "housing", "age")
        signature = Signature(columns=tuple(Column(name, name, Datatype.STRING) for name in names))
        source = "def echo(purpose, housing, age): return purpose"
        model = loaded(function_bundle(tmp_path / "echo", source, "echo", signature), "echo")
        reading = read_rows_of_csv(b"housing,own,3\n", CSV, model, LIMITS)
        assert reading.nameless
        assert reading.checked.table.arrays[0].tolist() == ["housing"]

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (b"1,2,3\n", "it has 3 cells, the model 2 columns"),
            (b"", "empty"),
            (b"\xff", "UTF-8"),
            (b'"a', "not CSV"),
        ],
    )
    def test_what_is_no_such_table_is_refused(
        self, pair: LoadedModel, body: bytes, said: str
    ) -> None:
        with pytest.raises(MalformedPayload, match=said):
            read_rows_of_csv(body, CSV, pair, LIMITS)

    def test_rows_that_are_too_short_are_named(self, pair: LoadedModel) -> None:
        with pytest.raises(SignatureMismatch, match="row 1: expected 2 cells"):
            read_rows_of_csv(b"1,2\n3\n", CSV, pair, LIMITS)

    def test_tensors_are_not_held(self, tmp_path: Path) -> None:
        model = loaded(tensor_bundle(tmp_path / "tensor"), "tensor")
        with pytest.raises(UnsupportedMedia):
            read_rows_of_csv(b"1,2,3\n", CSV, model, LIMITS)
