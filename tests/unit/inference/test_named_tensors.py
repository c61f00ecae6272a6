"""Named tensors to tables and answers to named tensors, for models of columns and of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelway.domain.errors import InvalidInput, OutputInvalid, SignatureMismatch
from modelway.domain.inference import InferenceResponse, Outputs
from modelway.domain.signature import Column, Datatype, Scalar, Signature
from modelway.inference.loading import LoadedModel
from modelway.inference.named_tensors import (
    NamedTensor,
    TensorFace,
    check_wanted,
    inputs_of,
    outputs_of,
    table_of,
    tensors_of,
)
from support.served import (
    FLOWER,
    compiled_bundle,
    flower_graph,
    function_bundle,
    loaded,
    ratio_graph,
    tensor_bundle,
)
from support.triton_models import identity_bundle, simple_bundle

FP64, FP32, INT64, INT32 = Datatype.FP64, Datatype.FP32, Datatype.INT64, Datatype.INT32
BYTES = Datatype.BYTES
MIXED = Signature(
    columns=(
        Column("the name", "name", Datatype.STRING, nullable=True, optional=True),
        Column("when", "when", Datatype.DATETIME),
        Column("paid", "paid", Datatype.BOOL),
        Column("rooms", "rooms", INT64, nullable=True),
        Column("kind", "kind", Datatype.CATEGORICAL, categories=("a", "b"), closed=True),
        Column("grade", "grade", Datatype.CATEGORICAL, categories=(1, 2)),
        Column("size", "size", FP32),
    )
)
RULE = "def rule(name, when, paid, rooms, kind, grade, size): return name\n"
LABELLED = (0, 1, 2)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    folder: Path = tmp_path_factory.mktemp("models")
    numbers = Signature(columns=(Column("a", "a", INT32, maximum=9.0), Column("b", "b", FP32)))
    return {
        "flower": loaded(
            compiled_bundle(folder / "flower", flower_graph(), FLOWER, classes=LABELLED), "flower"
        ),
        "numbers": loaded(compiled_bundle(folder / "numbers", ratio_graph(), numbers), "numbers"),
        "mixed": loaded(function_bundle(folder / "mixed", RULE, "rule", MIXED), "mixed"),
        "tensor": loaded(tensor_bundle(folder / "tensor"), "tensor"),
        "simple": loaded(simple_bundle(folder / "simple"), "simple"),
        "identity": loaded(identity_bundle(folder / "identity"), "identity"),
    }


def named(name: str, datatype: Datatype, values: Any) -> NamedTensor:
    dtype = {FP64: np.float64, FP32: np.float32, INT64: np.int64, INT32: np.int32}.get(datatype)
    if dtype is None and datatype is not Datatype.BOOL:
        return NamedTensor(name, datatype, np.array(values, dtype=object))
    return NamedTensor(name, datatype, np.array(values, dtype=dtype))


def mixed(**other: NamedTensor | None) -> list[NamedTensor]:
    """Two rows of the mixed model, some tensors of them others or not there."""
    usual = {
        "name": named("name", BYTES, [b"\xc3\xa9", "x"]),
        "when": named("when", BYTES, [[b"2024-05-17T12:30:00Z"], [b"2024-05-17"]]),
        "paid": named("paid", Datatype.BOOL, [True, False]),
        "rooms": named("rooms", INT32, [1, 2]),
        "kind": named("kind", BYTES, [b"a", b"b"]),
        "grade": named("grade", INT64, [1, 2]),
        "size": named("size", FP64, [0.1, 2]),
    }
    found = {**usual, **other}
    return [one for one in found.values() if one is not None]


def problems(model: LoadedModel, tensors: Sequence[NamedTensor]) -> dict[str, str]:
    """Every problem with tensors: what it says, by its pointer."""
    with pytest.raises(SignatureMismatch) as refused:
        table_of(model, tensors)
    assert refused.value.total == len(refused.value.problems)
    return {one.pointer: one.message for one in refused.value.problems}


def test_a_matrix_is_the_columns_in_their_order_whatever_it_is_called(
    models: dict[str, LoadedModel],
) -> None:
    matrix = np.array([[5.0, 1.5], [6.0, 0.3]])
    checked = table_of(models["flower"], [NamedTensor("any", FP64, matrix)])
    assert checked.table.matrix is matrix
    assert (checked.table.n_rows, list(checked.warnings)) == (2, [])
    for datatype in (FP32, INT64, INT32):
        (tensor,) = (named("any", datatype, [[5, 1], [6, 2]]),)
        assert table_of(models["flower"], [tensor]).table.matrix.tolist() == [[5, 1], [6, 2]]
    assert table_of(models["flower"], [NamedTensor("x", FP64, matrix[:0])]).table.n_rows == 0


def test_a_tensor_a_column_comes_in_any_order_by_name_or_alias(
    models: dict[str, LoadedModel],
) -> None:
    width, length = (
        named("petal_width", FP64, [1.5, 0.3]),
        named("sepal length (cm)", FP32, [[5.0], [6.0]]),
    )
    for tensors in ([width, length], [length, width]):
        found = table_of(models["flower"], tensors).table
        assert found.matrix.tolist() == [[5.0, 1.5], [6.0, 0.3]]


def test_what_was_not_seen_in_training_is_told_alike_in_a_matrix_and_in_columns(
    models: dict[str, LoadedModel],
) -> None:
    matrix = [named("x", FP64, [[5.0, 1.5], [9.0, 0.3]])]
    columns = [named("sepal_length", FP64, [5.0, 9.0]), named("petal_width", FP64, [1.5, 0.3])]
    told = [table_of(models["flower"], tensors).warnings for tensors in (matrix, columns)]
    assert [(one.row, one.column, one.code) for one in told[0]] == [
        (1, "sepal length (cm)", "out-of-range")
    ]
    assert told[0] == told[1]


def test_values_are_judged_as_at_every_other_door(models: dict[str, LoadedModel]) -> None:
    numbers = models["numbers"]
    good = table_of(numbers, [named("x", FP64, [[1, 0.1]])]).table
    assert good.matrix.tolist() == [[1.0, float(np.float32(0.1))]]
    assert len(table_of(numbers, [named("x", FP64, [[10, 0.1]])]).warnings) == 1
    wrong = problems(numbers, [named("x", FP64, [[1.5, 0.1], [np.nan, 1e39], [2**31, np.inf]])])
    assert set(wrong) == {"/0/a", "/1/a", "/1/b", "/2/a", "/2/b"}
    assert wrong["/0/a"].startswith("row 0, a: expected a whole number")
    flags = [NamedTensor("x", Datatype.BOOL, np.array([[True, False]]))]
    assert set(problems(numbers, flags)) == {"/0/a", "/0/b"}


def test_every_kind_of_column_has_its_tensor(models: dict[str, LoadedModel]) -> None:
    table = table_of(models["mixed"], mixed()).table
    name, when, paid, rooms, kind, grade, size = table.arrays
    assert name.tolist() == ["é", "x"]
    assert when.astype("datetime64[m]").astype(str).tolist() == [
        *("2024-05-17T12:30", "2024-05-17T00:00"),
    ]
    assert (paid.tolist(), rooms.tolist(), grade.tolist()) == ([1, 0], [1, 2], [1, 2])
    assert kind.tolist() == ["a", "b"]
    assert size.tolist() == [float(np.float32(0.1)), 2.0]


def test_a_null_is_a_missing_value_and_an_optional_column_may_stay_away(
    models: dict[str, LoadedModel],
) -> None:
    rooms = named("rooms", Datatype.STRING, [None, 2])
    table = table_of(models["mixed"], mixed(name=None, rooms=rooms)).table
    assert table.arrays[0].tolist() == [None, None]
    assert np.isnan(table.arrays[3][0])
    said = problems(models["mixed"], mixed(paid=named("paid", Datatype.STRING, [True, None])))
    assert said == {"/1/paid": "row 1, paid: expected true or false, got null"}


def test_every_problem_of_columns_is_said_at_once(models: dict[str, LoadedModel]) -> None:
    tensors = mixed(
        name=named("name", BYTES, [b"\xff", "x"]),
        when=named("when", BYTES, ["yesterday", "2024-05-17"]),
        paid=None,
        kind=named("kind", BYTES, ["a", "c"]),
        size=named("size", FP64, [[1.0, 2.0]]),
        rooms=named("rooms", FP64, [0.5, 1.0]),
    )
    assert set(problems(models["mixed"], tensors)) == {
        *("/0/name", "/0/when", "/0/paid", "/1/kind", "/inputs/size", "/0/rooms"),
    }


@pytest.mark.parametrize(
    ("tensors", "pointers", "words"),
    [
        ([named("x", FP64, [[1.0, 2.0, 3.0]])], {"/inputs/x"}, "[any, 2], the columns sepal"),
        ([named("x", FP64, 1.0)], {"/inputs/x"}, "shape []"),
        ([named("sepal_length", FP64, [5.0])], {"/0/petal width"}, "nothing came"),
        ([], {"/0/sepal length (cm)", "/0/petal width"}, "nothing came"),
        (
            [named("sepal_length", FP64, [5.0, 5.0]), named("petal_width", FP64, [1.0])],
            {"/inputs"},
            "the same number of rows",
        ),
        (
            [named("sepal_length", FP64, [5.0])] * 2 + [named("petal_width", FP64, [1.0])],
            {"/inputs/sepal_length"},
            "once",
        ),
        (
            [
                named("sepal_length", FP64, [5.0]),
                named("sepal length (cm)", FP64, [5.0]),
                named("petal_width", FP64, [1.0]),
            ],
            {"/sepal length (cm)"},
            "once",
        ),
    ],
)
def test_tensors_that_are_not_those_of_the_columns_are_refused(
    models: dict[str, LoadedModel], tensors: list[NamedTensor], pointers: set[str], words: str
) -> None:
    said = problems(models["flower"], tensors)
    assert set(said) == pointers
    assert words in " ".join(said.values())


def test_a_tensor_that_nobody_knows_is_a_warning_unless_strict(
    models: dict[str, LoadedModel], tmp_path: Path
) -> None:
    tensors = [
        named("sepal_length", FP64, [5.0]),
        named("petal_width", FP64, [1.0]),
        named("hue", FP64, [1.0]),
    ]
    (told,) = table_of(models["flower"], tensors).warnings
    assert told.code == "unknown-column"
    folder = compiled_bundle(tmp_path / "strict", flower_graph(), FLOWER, classes=LABELLED)
    assert set(problems(loaded(folder, "strict", strict=True), tensors)) == {"/hue"}


def test_a_model_of_tensors_takes_its_own(models: dict[str, LoadedModel]) -> None:
    second, first = named("INPUT1", INT32, [[1] * 16] * 2), named("INPUT0", INT32, [[2] * 16] * 2)
    table = table_of(models["simple"], [second, first]).table
    assert table.n_rows == 2
    assert table.arrays[0] is first.array
    assert table.arrays[1] is second.array
    texts = table_of(models["identity"], [named("INPUT0", BYTES, [[b"a\x00", "\u20ac"]])]).table
    assert texts.arrays[0].tolist() == [["a\0", "€"]]


@pytest.mark.parametrize(
    ("came", "wanted", "fits"),
    [
        ("INT8", "INT32", True),
        ("UINT16", "INT32", True),
        ("UINT32", "INT32", False),
        ("INT64", "INT32", False),
        ("FP32", "INT32", False),
        ("BOOL", "INT32", False),
        ("BYTES", "INT32", False),
        ("FP32", "FP64", True),
        ("FP16", "FP64", True),
        ("INT32", "FP64", True),
        ("INT64", "FP64", False),
        ("UINT64", "FP64", False),
        ("BOOL", "FP64", False),
    ],
)
def test_a_number_fits_a_datatype_that_holds_every_one_of_its_own(
    models: dict[str, LoadedModel], came: str, wanted: str, fits: bool
) -> None:
    model = models["simple" if wanted == "INT32" else "tensor"]
    dtypes = {"FP16": "float16", "FP32": "float32", "BYTES": "object"}
    dtype = np.dtype(dtypes.get(came, came.lower()))
    tensors = [
        NamedTensor(one.name, Datatype(came), np.zeros((1, one.shape[1]), dtype=dtype))
        for one in inputs_of(model.bundle)
    ]
    if fits:
        assert all(
            array.dtype == np.dtype("int32" if wanted == "INT32" else "float64")
            for array in table_of(model, tensors).table.arrays
        )
    else:
        said = problems(model, tensors)
        assert set(said) == {f"/inputs/{one.name}" for one in tensors}
        assert all(came in one and wanted in one for one in said.values())


def test_every_problem_of_tensors_is_said_at_once(models: dict[str, LoadedModel]) -> None:
    said = problems(
        models["simple"],
        [named("INPUT0", INT32, [[1] * 15]), named("INPUT2", INT32, [1]), named("a/b", INT32, [1])],
    )
    assert set(said) == {"/inputs/INPUT0", "/inputs/INPUT1", "/inputs/INPUT2", "/inputs/a~1b"}
    twice = [named("INPUT0", INT32, [[1] * 16])] * 2 + [named("INPUT1", INT32, [[1] * 16])]
    assert set(problems(models["simple"], twice)) == {"/inputs/INPUT0"}
    uneven = [named("INPUT0", INT32, [[1] * 16]), named("INPUT1", INT32, [[1] * 16] * 2)]
    assert set(problems(models["simple"], uneven)) == {"/inputs"}
    texts = named("INPUT0", BYTES, [["a", b"\xff"], [None, "\U0010ffff"]])
    assert set(problems(models["identity"], [texts])) == {
        *("/inputs/INPUT0/0/1", "/inputs/INPUT0/1/0", "/inputs/INPUT0/1/1"),
    }
    nulls = NamedTensor("X", FP64, np.array([[1.0, None, 2.0]], dtype=object))
    assert set(problems(models["tensor"], [nulls])) == {"/inputs/X/0/1"}


def test_what_is_wanted_is_checked_before_a_model_is_asked(
    models: dict[str, LoadedModel],
) -> None:
    for name, wanted in (
        ("flower", ["label", "prediction"]),
        ("flower", None),
        ("simple", ["OUTPUT1"]),
    ):
        check_wanted(models[name], wanted)
    for name, wrong in (("flower", ["OUTPUT0"]), ("simple", ["prediction"])):
        with pytest.raises(InvalidInput, match=f"{name} has no output"):
            check_wanted(models[name], wrong)
    with pytest.raises(InvalidInput, match="twice"):
        check_wanted(models["flower"], ["label", "label"])


def test_numbers_that_are_not_finite_are_a_model_of_tensors_own_affair(
    models: dict[str, LoadedModel],
) -> None:
    odd = named("X", FP64, [[np.nan, np.inf, -np.inf]])
    assert table_of(models["tensor"], [odd]).table.arrays[0] is odd.array


def answered(
    outputs: Outputs, n_rows: int, classes: Sequence[Scalar] | None = None
) -> InferenceResponse:
    return InferenceResponse("name", "1", "id", outputs, n_rows, (), classes)


def flower_answer(model: LoadedModel, **other: Any) -> InferenceResponse:
    outputs = {"class_index": np.array([2, 0]), "probabilities": np.eye(3)[[2, 0]], **other}
    return answered(outputs, 2, model.manifest.classes)


def test_a_classifier_gives_its_labels_their_names_and_probabilities(
    models: dict[str, LoadedModel],
) -> None:
    model = models["flower"]
    prediction, probabilities, label = tensors_of(model, flower_answer(model))
    assert (prediction.name, prediction.datatype) == ("prediction", INT64)
    assert prediction.array.tolist() == [2, 0]
    assert (probabilities.name, probabilities.datatype) == ("probabilities", FP64)
    assert probabilities.array.tolist() == np.eye(3)[[2, 0]].tolist()
    assert (label.name, label.datatype) == ("label", BYTES)
    assert label.array.tolist() == ["virginica", "setosa"]
    # Another version may answer, with labels of its own.
    other = answered({"class_index": np.array([0])}, 1, ("x", "y"))
    assert [one.array.tolist() for one in tensors_of(model, other)] == [["x"]]
    assert tensors_of(model, flower_answer(model))[0].array.tolist() == [2, 0]


@pytest.mark.parametrize(
    ("classes", "datatype", "values"),
    [
        ((7, -1), Datatype.INT64, [-1, 7]),
        ((0.5, 1.5), Datatype.FP64, [1.5, 0.5]),
        ((False, True), Datatype.BOOL, [True, False]),
        (("no", "yes"), Datatype.BYTES, ["yes", "no"]),
        ((1, "one"), Datatype.BYTES, ["one", "1"]),
        ((2**63, 1), Datatype.BYTES, ["1", str(2**63)]),
    ],
)
def test_labels_keep_their_type(
    models: dict[str, LoadedModel],
    classes: tuple[Scalar, ...],
    datatype: Datatype,
    values: list[object],
) -> None:
    response = answered({"class_index": np.array([1, 0])}, 2, classes)
    found = tensors_of(models["numbers"], response)[0]
    assert (found.datatype, found.array.tolist()) == (datatype, values)


def test_only_what_is_wanted_is_given_and_in_that_order(models: dict[str, LoadedModel]) -> None:
    model = models["flower"]
    found = tensors_of(model, flower_answer(model), ["label", "prediction"])
    assert [one.name for one in found] == ["label", "prediction"]
    with pytest.raises(InvalidInput, match="'nope'") as refused:
        tensors_of(model, flower_answer(model), ["prediction", "nope"])
    assert refused.value.hint == "it has: prediction, probabilities, label"
    with pytest.raises(InvalidInput, match="twice"):
        tensors_of(model, flower_answer(model), ["label", "label"])
    with pytest.raises(InvalidInput, match="'class_index'"):
        tensors_of(model, flower_answer(model), ["class_index"])
    own = answered({"total": np.zeros((1, 1)), "doubled": np.zeros((1, 3))}, 1)
    assert [one.name for one in tensors_of(models["tensor"], own, ["doubled"])] == ["doubled"]
    with pytest.raises(InvalidInput, match="'prediction'"):
        tensors_of(models["tensor"], own, ["prediction"])


@pytest.mark.parametrize(
    ("values", "datatype", "expected"),
    [
        (np.array([1.5], np.float32), "FP32", [1.5]),
        (np.array([1.5], np.float16), "FP16", [1.5]),
        (np.array([1.5], np.longdouble), "FP64", [1.5]),
        (np.array([1], np.uint8), "UINT8", [1]),
        (np.array([True]), "BOOL", [True]),
        (np.array(["é"]), "BYTES", ["é"]),
        (np.array([b"x"]), "BYTES", [b"x"]),
        (np.array(["x", b"y"], object), "BYTES", ["x", b"y"]),
        (np.array([{"a": np.int64(1)}, None, 2.5], object), "BYTES", [b'{"a":1}', b"null", b"2.5"]),
        (np.array(["2024-05-17T12:30"], "datetime64[s]"), "BYTES", ["2024-05-17T12:30:00.000000Z"]),
        (np.array([3], "timedelta64[s]"), "INT64", [3_000_000]),
    ],
)
def test_an_output_has_the_datatype_of_its_values(
    models: dict[str, LoadedModel], values: np.ndarray[Any, Any], datatype: str, expected: object
) -> None:
    (found,) = tensors_of(models["mixed"], answered({"prediction": values}, len(values)))
    assert (found.name, found.datatype.value) == ("prediction", datatype)
    assert found.array.tolist() == expected


def test_an_output_that_no_tensor_holds_is_the_models_fault(
    models: dict[str, LoadedModel],
) -> None:
    odd = np.array([object()], dtype=object)
    for values in (np.array([1j]), odd):
        with pytest.raises(OutputInvalid):
            tensors_of(models["mixed"], answered({"prediction": values}, 1))


def test_metadata_is_that_of_what_goes_in_and_comes_out(models: dict[str, LoadedModel]) -> None:
    assert inputs_of(models["flower"].bundle) == [
        TensorFace("sepal length (cm)", FP64, (-1,)),
        TensorFace("petal width", FP64, (-1,)),
    ]
    assert outputs_of(models["flower"].bundle) == [
        TensorFace("prediction", INT64, (-1,)),
        TensorFace("probabilities", FP64, (-1, 3)),
        TensorFace("label", BYTES, (-1,)),
    ]
    kinds = [one.datatype for one in inputs_of(models["mixed"].bundle)]
    assert kinds == [BYTES, BYTES, Datatype.BOOL, INT64, BYTES, INT64, FP32]
    assert outputs_of(models["mixed"].bundle) == []
    assert outputs_of(models["numbers"].bundle) == [TensorFace("prediction", FP64, (-1,))]
    assert inputs_of(models["tensor"].bundle) == [TensorFace("X", FP64, (-1, 3))]
    assert [one.name for one in outputs_of(models["tensor"].bundle)] == ["doubled", "total"]
