"""Rows in the shapes that MLflow, SageMaker and TensorFlow Serving share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelway.domain.errors import (
    InvalidInput,
    MalformedPayload,
    PayloadTooLarge,
    SignatureMismatch,
)
from modelway.domain.signature import Column, Datatype, Signature
from modelway.inference.decoding import Limits
from modelway.inference.loading import LoadedModel
from modelway.inference.validation import Checked
from modelway.rest.invocations_rows import RowReader, tolerant_json
from support.served import (
    PAIR,
    compiled_bundle,
    function_bundle,
    loaded,
    pair_graph,
    tensor_bundle,
)

ONE = Signature(columns=(Column("text", "text", Datatype.STRING),))
BLOB = Signature(
    columns=(
        Column("blob", "blob", Datatype.BYTES),
        Column("n", "n", Datatype.INT64),
    )
)
RULES = """
def one(text): return text
def blob(blob, n): return n
"""
MATRIX = [[1.0, 2.0], [3.0, 4.0]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    folder: Path = tmp_path_factory.mktemp("models")
    return {
        "pair": loaded(compiled_bundle(folder / "pair", pair_graph(), PAIR), "pair"),
        "tensor": loaded(tensor_bundle(folder / "tensor"), "tensor"),
        "one": loaded(function_bundle(folder / "one", RULES, "one", ONE), "one"),
    }


@pytest.fixture
def pair(models: dict[str, LoadedModel]) -> RowReader:
    return RowReader(models["pair"], Limits(max_rows=3))


@pytest.fixture
def tensor(models: dict[str, LoadedModel]) -> RowReader:
    return RowReader(models["tensor"], Limits(max_rows=3))


@pytest.fixture
def one(models: dict[str, LoadedModel]) -> RowReader:
    return RowReader(models["one"], Limits())


def matrix(checked: Checked | None) -> Any:
    assert checked is not None
    return checked.table.matrix.tolist()


class TestRowByRow:
    @pytest.mark.parametrize(
        "rows",
        [
            MATRIX,
            [{"a": 1, "b": 2}, {"b": 4.0, "a": 3}],
            [{"a": [1], "b": 2}, {"a": 3, "b": [4.0]}],
            [{"features": [1, 2]}, {"features": [3, 4]}],
            [{"data": {"features": {"values": [1, 2]}}}, {"features": [3, 4]}],
            [[1, 2], {"features": [3, 4]}],
        ],
    )
    def test_rows_come_as_objects_arrays_and_features(
        self, pair: RowReader, rows: list[object]
    ) -> None:
        assert matrix(pair.by_row(rows)) == MATRIX

    def test_an_optional_column_may_be_left_out(self, pair: RowReader) -> None:
        assert np.isnan(pair.by_row([{"a": 1}]).table.matrix[0, 1])

    def test_bare_values_are_rows_of_a_single_column(self, one: RowReader) -> None:
        for rows in (["x", "y"], [["x"], ["y"]], [{"text": "x"}, {"text": "y"}]):
            assert one.by_row(rows).table.arrays[0].tolist() == ["x", "y"]

    def test_every_problem_is_said(self, pair: RowReader) -> None:
        with pytest.raises(SignatureMismatch) as raised:
            pair.by_row([{"a": "x"}, {"b": []}, 3])
        assert [p.code for p in raised.value.problems] == [
            "wrong-type",
            "missing",
            "wrong-type",
            "wrong-type",
        ]

    def test_rows_of_other_lengths_are_refused(self, pair: RowReader) -> None:
        with pytest.raises(SignatureMismatch, match="row 1: expected 2 values"):
            pair.by_row([[1, 2], [1, 2, 3]])

    def test_no_more_rows_than_are_taken(self, pair: RowReader) -> None:
        for ask in (pair.by_row, lambda rows: pair.frame(["a", "b"], rows)):
            with pytest.raises(PayloadTooLarge):
                ask([[1, 2]] * 4)

    def test_no_rows_are_none(self, pair: RowReader) -> None:
        assert pair.by_row([]).table.n_rows == 0


class TestQuickly:
    @pytest.mark.parametrize(
        "text",
        [b"[[1,2],[3,4]]", b'[{"a":1,"b":2},{"b":4.0,"a":3}]', b'[{"a":1,"b":2},{"a":3,"b":4}]'],
    )
    def test_it_gives_what_the_full_path_gives(self, pair: RowReader, text: bytes) -> None:
        assert matrix(pair.quickly(text)) == MATRIX

    @pytest.mark.parametrize(
        "text",
        [
            b'[{"features":[1,2]}]',
            b'[{"data":{"features":{"values":[1,2]}}}]',
            b'[{"a":[1],"b":2}]',
            b'[{"b":2}]',
            b"[[1]]",
            b"[1,2]",
            b"{}",
            b"[[1,2]",
            b"[]",
        ],
    )
    def test_what_is_unusual_is_left_to_the_full_path(self, pair: RowReader, text: bytes) -> None:
        assert pair.quickly(text) is None

    @pytest.mark.parametrize("text", [b'[{"values":[1,2]}]', b'[{"b64":"aGk="}]', b'[{"x":1}]'])
    def test_a_wrapper_never_passes_for_a_row_without_columns(
        self, tmp_path: Path, text: bytes
    ) -> None:
        signature = Signature(
            tuple(Column(n, n, Datatype.FP64, nullable=True, optional=True) for n in ("a", "b"))
        )
        folder = compiled_bundle(tmp_path / "gaps", pair_graph(), signature)
        assert RowReader(loaded(folder, "gaps"), Limits()).quickly(text) is None

    def test_too_many_rows_are_said_at_once(self, pair: RowReader) -> None:
        with pytest.raises(PayloadTooLarge):
            pair.quickly(b"[[1,2],[1,2],[1,2],[1,2]]")

    def test_a_frame(self, pair: RowReader) -> None:
        assert matrix(pair.frame_quickly(b'["b","a"]', b"[[2,1],[4,3]]")) == MATRIX
        assert pair.frame_quickly(b'["c","b"]', b"[[2,1]]") is None

    def test_tensors_are_not_read_so(self, tensor: RowReader) -> None:
        assert tensor.quickly(b"[[1,2,3]]") is None
        assert tensor.frame_quickly(b'["X"]', b"[[1]]") is None


class TestFrames:
    def test_columns_stand_in_any_order(self, pair: RowReader) -> None:
        assert matrix(pair.frame(["b", "a"], [[2, 1], [4, 3]])) == MATRIX

    @pytest.mark.parametrize("names", [None, [0, 1]])
    def test_without_names_the_columns_are_in_their_order(
        self, pair: RowReader, names: list[object] | None
    ) -> None:
        assert matrix(pair.frame(names, MATRIX)) == MATRIX

    def test_cells_of_a_single_column(self, one: RowReader) -> None:
        assert one.frame(["text"], ["x", ["y"]]).table.arrays[0].tolist() == ["x", "y"]

    def test_of_tensors_it_is_their_second_axis(self, tensor: RowReader) -> None:
        names: Any
        for names, rows in (
            (["p", "q", "r"], [[1, 2, 3]]),
            (["X"], [[[1, 2, 3]]]),
            (None, [[1, 2, 3]]),
        ):
            assert tensor.frame(names, rows).table.arrays[0].tolist() == [[1, 2, 3]]


class TestColumnByColumn:
    @pytest.mark.parametrize(
        "inputs",
        [
            {"a": [1, 3], "b": [2, 4]},
            {"b": [[2], [4]], "a": [[1], [3]]},
            MATRIX,
            [{"a": 1, "b": 2}, {"a": 3, "b": 4}],
        ],
    )
    def test_columns_come_as_arrays(self, pair: RowReader, inputs: object) -> None:
        assert matrix(pair.by_column(inputs)) == MATRIX

    def test_bare_values_are_one_row(self, pair: RowReader) -> None:
        assert matrix(pair.by_column({"a": 1, "b": 2})) == [[1.0, 2.0]]

    def test_a_single_value_is_a_row_of_a_single_column(self, one: RowReader) -> None:
        assert one.by_column("x").table.arrays[0].tolist() == ["x"]

    def test_columns_of_other_lengths_are_refused(self, pair: RowReader) -> None:
        with pytest.raises(SignatureMismatch, match="got 2 of a, 1 of b"):
            pair.by_column({"a": [1, 3], "b": [2]})

    def test_no_more_rows_than_are_taken(self, pair: RowReader) -> None:
        with pytest.raises(PayloadTooLarge):
            pair.by_column({"a": [1] * 4, "b": [1] * 4})

    def test_a_column_that_is_not_there_is_said(self, pair: RowReader) -> None:
        for inputs in ({}, {"b": [1]}):
            with pytest.raises(SignatureMismatch, match="a: expected a number, nothing came"):
                pair.by_column(inputs)


class TestTensors:
    @pytest.mark.parametrize("rows", [[[1, 2, 3]], [{"X": [1, 2, 3]}]])
    def test_rows_are_their_first_axis(self, tensor: RowReader, rows: list[object]) -> None:
        assert tensor.by_row(rows).table.arrays[0].tolist() == [[1, 2, 3]]

    @pytest.mark.parametrize("inputs", [[[1, 2, 3]], {"X": [[1, 2, 3]]}])
    def test_they_come_by_name_or_alone(self, tensor: RowReader, inputs: object) -> None:
        assert tensor.by_column(inputs).table.arrays[0].tolist() == [[1, 2, 3]]

    @pytest.mark.parametrize(
        "rows", [[[1, 2]], [{"Y": [1, 2, 3]}], [{"X": [1, 2, 3]}, 4], [1], [{"X": "abc"}], []]
    )
    def test_other_shapes_are_refused(self, tensor: RowReader, rows: list[object]) -> None:
        if rows:
            with pytest.raises(InvalidInput):
                tensor.by_row(rows)
        else:
            assert tensor.by_row(rows).table.n_rows == 0


class TestBase64:
    def test_it_is_decoded_where_columns_are_binary(self, tmp_path: Path) -> None:
        model = loaded(function_bundle(tmp_path / "blob", RULES, "blob", BLOB), "blob")
        reader = RowReader(model, Limits(), base64=True)
        rows: list[object] = [{"blob": "aGk=", "n": 1}]
        frame: list[object] = [["aGk=", 1]]
        asked: tuple[Callable[[], Checked], ...] = (
            lambda: reader.by_row(rows),
            lambda: reader.frame(["blob", "n"], frame),
            lambda: reader.by_column({"blob": ["aGk="], "n": [1]}),
        )
        for ask in asked:
            assert ask().table.arrays[0].tolist() == [b"hi"]
        assert reader.quickly(b'[{"blob":"aGk=","n":1}]') is None

    def test_what_is_not_base64_is_said(self, tmp_path: Path) -> None:
        model = loaded(function_bundle(tmp_path / "blob", RULES, "blob", BLOB), "blob")
        with pytest.raises(MalformedPayload, match="'a' is not base64"):
            RowReader(model, Limits(), base64=True).by_row([{"blob": "a", "n": 1}])

    def test_elsewhere_text_is_text(self, one: RowReader) -> None:
        assert one.by_row(["aGk="]).table.arrays[0].tolist() == ["aGk="]


class TestTolerantJson:
    def test_nan_is_missing_and_infinity_a_number(self) -> None:
        text = b'[NaN, Infinity, -Infinity, 1, "NaN"]'
        assert tolerant_json(text, 5) == [None, float("inf"), float("-inf"), 1, "NaN"]

    @pytest.mark.parametrize(
        "text", [b"[NaN", b"NaNa", b'{"a":NaN}}', b'[NaN,"\\ud800"]', b"{", b""]
    )
    def test_what_is_no_json_is_refused(self, text: bytes) -> None:
        with pytest.raises(MalformedPayload):
            tolerant_json(text, 5)

    def test_depth_is_bounded(self) -> None:
        with pytest.raises(PayloadTooLarge):
            tolerant_json(b"[" * 6 + b"NaN" + b"]" * 6, 5)
