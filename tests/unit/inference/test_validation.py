"""Text, arrays and their faults; what JSON may hold is in ``test_decoding``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest

from modelway.bundles.manifest import MISSING_TEXT
from modelway.domain.errors import SignatureMismatch
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Array
from modelway.inference.decoding import DEFAULT_LIMITS, JsonDecoder
from modelway.inference.validation import Checked, Validator

SIGNATURE = Signature(
    columns=(
        Column("size (m)", "size", Datatype.FP64, minimum=0.0, maximum=10.0),
        Column("rooms", "rooms", Datatype.UINT8, nullable=True, optional=True),
        Column("name", "name", Datatype.STRING, nullable=True, optional=True),
        Column("sold", "sold", Datatype.DATETIME, nullable=True, optional=True),
        Column("new", "new", Datatype.BOOL, nullable=True, optional=True),
    )
)
NAMES = ["size", "rooms", "name", "sold", "new"]
VALIDATOR = Validator(SIGNATURE, strict=False)


def values(checked: Checked) -> list[list[object]]:
    return [array.tolist() for array in checked.table.arrays]


def problems(caught: pytest.ExceptionInfo[SignatureMismatch]) -> set[tuple[str, str]]:
    return {(p.pointer, p.code) for p in caught.value.problems}


def test_cells_of_text() -> None:
    checked = VALIDATOR.texts(
        NAMES,
        [["1.5", " 3 ", "Ann", "2024-05-17", "TRUE"], ["-0", "", "", "", "0"]],
    )
    size, rooms, name, sold, new = values(checked)
    assert size == [1.5, 0.0]
    assert rooms == pytest.approx([3.0, np.nan], nan_ok=True)
    assert name == ["Ann", None]
    assert sold == [datetime(2024, 5, 17), None]
    assert new == [1.0, 0.0]


@pytest.mark.parametrize(
    "cell", ["abc", "1,5", "0x10", "1_000", "nan", "inf", "1e999", "--1", "1 2", "½", "٣", "+"]
)
def test_text_that_is_no_number(cell: str) -> None:
    with pytest.raises(SignatureMismatch) as caught:
        VALIDATOR.text_row([("size", cell)])
    assert problems(caught) <= {("/size", "wrong-type"), ("/size", "wrong-value")}


@pytest.mark.parametrize(("cell", "number"), [("1e-3", 0.001), ("+2", 2), (".5", 0.5), ("5.", 5)])
def test_text_that_is_a_number(cell: str, number: float) -> None:
    assert VALIDATOR.text_row([("size", cell)]).table.arrays[0].tolist() == [number]


def test_all_faults_of_a_row_of_text_are_found() -> None:
    cells = {"rooms": "2.5", "sold": "soon", "new": "maybe", "other": "1"}
    with pytest.raises(SignatureMismatch) as caught:
        VALIDATOR.text_row(cells.items())
    assert problems(caught) == {
        ("/size (m)", "missing"),
        ("/rooms", "wrong-value"),
        ("/sold", "wrong-type"),
        ("/new", "wrong-type"),
    }


def test_an_unknown_column_is_a_warning_or_where_strict_a_problem() -> None:
    cells = {"size": "1", "other": "1"}
    assert [w.code for w in VALIDATOR.text_row(cells.items()).warnings] == ["unknown-column"]
    with pytest.raises(SignatureMismatch):
        Validator(SIGNATURE, strict=True).text_row(cells.items())


def test_a_column_by_name_and_by_alias_is_a_duplicate() -> None:
    with pytest.raises(SignatureMismatch) as caught:
        VALIDATOR.texts(["size", "size (m)", "size"], [["1", "2", "3"]])
    assert {code for _, code in problems(caught)} == {"duplicate"}


def test_a_row_is_named_by_its_number() -> None:
    with pytest.raises(SignatureMismatch) as caught:
        VALIDATOR.texts(["size"], [["1"], ["x"], ["2"], [""]])
    assert problems(caught) == {("/1/size", "wrong-type"), ("/3/size", "missing")}


def test_a_field_twice_does_not_hide_what_else_is_wrong() -> None:
    with pytest.raises(SignatureMismatch) as caught:
        VALIDATOR.text_row([("size", "1"), ("rooms", "x"), ("size", "2")])
    assert problems(caught) == {("/size", "duplicate"), ("/rooms", "wrong-type")}


@pytest.mark.parametrize("root", ["", "/data"])
def test_a_row_of_another_length_does_not_hide_what_else_is_wrong(root: str) -> None:
    rows = [["1"], ["x", "1"], ["1", "2", "3"], ["1", "y"]]
    with pytest.raises(SignatureMismatch) as caught:
        if root:
            VALIDATOR.frame(["rooms", "size"], [*rows, {}])
        else:
            VALIDATOR.texts(["rooms", "new"], rows)
    found = problems(caught)
    assert {(f"{root}/0", "row-length"), (f"{root}/2", "row-length")} <= found
    if root:
        assert {("/data/1/0", "wrong-type"), ("/data/3/1", "wrong-type")} <= found
        assert ("/data/4", "row-length") in found
    else:
        assert {("/1/rooms", "wrong-type"), ("/3/new", "wrong-type")} <= found
        assert ("/0/size (m)", "missing") in found
    lengths = [p.pointer for p in caught.value.problems if p.code == "row-length"]
    assert lengths == sorted(lengths)


def test_a_message_names_the_row_where_there_may_be_several() -> None:
    with pytest.raises(SignatureMismatch, match=r"row 2, size \(m\): expected a number"):
        VALIDATOR.rows([{"size": 1}, 3, {"size": "x"}])
    with pytest.raises(SignatureMismatch, match=r"row 2, size \(m\): expected a number"):
        VALIDATOR.texts(["size"], [["1"], ["1", "2"], ["x"]])
    with pytest.raises(SignatureMismatch, match=r"^size \(m\): expected a number, got 'x'$"):
        VALIDATOR.row({"size": "x"})
    with pytest.raises(SignatureMismatch, match=r"^size \(m\): expected a number, nothing came"):
        VALIDATOR.texts(["rooms"], [["1"]])


def test_a_slash_in_a_name_is_escaped_in_the_pointer() -> None:
    signature = Signature(columns=(Column("a/b~c", "abc", Datatype.FP64),))
    with pytest.raises(SignatureMismatch) as caught:
        Validator(signature, strict=False).row({"a/b~c": "x"})
    assert problems(caught) == {("/a~1b~0c", "wrong-type")}


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([1, 2], np.int8), [1.0, 2.0]),
        (np.array([1.5, 2], np.float32), [1.5, 2.0]),
        (np.array([1.5, 2], object), [1.5, 2.0]),
        ([1, 2.5], [1.0, 2.5]),
    ],
)
def test_arrays_of_numbers(array: Array | list[object], expected: list[float]) -> None:
    checked = VALIDATOR.arrays({"size (m)": array}, 2)
    assert checked.table.arrays[0].tolist() == expected
    assert checked.table.arrays[2].tolist() == [None, None]


@pytest.mark.parametrize(
    ("name", "array", "code"),
    [
        ("size", np.array([1.0, np.nan]), "missing"),
        ("size", np.array([1.0, np.inf]), "wrong-value"),
        ("size", np.array([True, False]), "wrong-type"),
        ("rooms", np.array([1, 256]), "wrong-value"),
        ("rooms", np.array([1, -1]), "wrong-value"),
        ("name", np.array([1, 2]), "wrong-type"),
        ("sold", np.array([1, 2]), "wrong-type"),
        ("new", np.array([0, 1]), "wrong-type"),
        ("name", [{}, []], "wrong-type"),
    ],
)
def test_arrays_that_do_not_fit(name: str, array: Array | list[object], code: str) -> None:
    with pytest.raises(SignatureMismatch) as caught:
        VALIDATOR.arrays({"size": np.ones(2), name: array}, 2)
    assert code in {found for _, found in problems(caught)}


def test_the_text_that_stands_for_missing_in_a_graph_is_refused() -> None:
    with pytest.raises(SignatureMismatch) as caught:
        VALIDATOR.row({"size": 1, "name": f"a{MISSING_TEXT}"})
    assert problems(caught) == {("/name", "wrong-value")}


def test_warnings_are_bounded_and_say_how_many_are_left_out() -> None:
    warnings = VALIDATOR.arrays({"size": np.full(1500, 11.0)}, 1500).warnings
    assert len(warnings) == 1001
    assert warnings[0].code == "out-of-range"
    assert (warnings[-1].code, warnings[-1].received) == ("more-warnings", "500 more")


def test_null_is_a_value_of_a_nullable_column_and_leaving_it_out_is_not() -> None:
    columns = (
        Column("a", "a", Datatype.FP64, nullable=True),
        Column("b", "b", Datatype.STRING, nullable=True, optional=True),
    )
    validator = Validator(Signature(columns), strict=False)
    assert np.isnan(validator.row({"a": None}).table.arrays[0]).all()
    assert validator.text_row([("a", "")]).table.n_rows == 1
    refused: tuple[Callable[[], object], ...] = (
        lambda: validator.row({"b": "x"}),
        lambda: validator.text_row([]),
        lambda: validator.frame(["b"], [["x"]]),
    )
    for ask in refused:
        with pytest.raises(SignatureMismatch, match="a: expected a number, or null, nothing came"):
            ask()


def test_null_where_training_always_had_a_value_is_a_warning() -> None:
    column = Column("a", "a", Datatype.FP64, nullable=True, missing_ratio=0.0)
    signature = Signature((column, Column("b", "b", Datatype.FP64)))
    validator = Validator(signature, strict=False)
    decoder = JsonDecoder(signature, validator)
    columns = b'{"columns":["a","b"],"data":[[null,1]]}'
    for body in (b'{"a":null,"b":1}', b'[{"a":null,"b":1}]', columns):
        (warning,) = decoder.decode(body, DEFAULT_LIMITS).warnings
        assert (warning.column, warning.code) == ("a", "unseen-missing")
    assert not decoder.decode(b'{"a":1,"b":1}', DEFAULT_LIMITS).warnings
