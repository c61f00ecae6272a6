from __future__ import annotations

import json
from typing import Any

import pytest

from modelway.bundles.manifest import Manifest, OriginalModel, Task
from modelway.domain.signature import Column, Datatype, Signature, TensorSpec
from modelway.lineage.mlflow_signature import mlflow_signature


def manifest(task: Task = Task.REGRESSION, **given: Any) -> Manifest:
    original = OriginalModel("sklearn", "original/model.pickle", "pickle")
    return Manifest(1, task, "sklearn", original, "matrix", **given)


def inputs(*columns: Column, whole: tuple[str, ...] = ()) -> Any:
    said = mlflow_signature(Signature(columns), manifest(whole_numbers=whole))
    return json.loads(said["inputs"])


@pytest.mark.parametrize(
    ("datatype", "name"),
    [
        (Datatype.BOOL, "boolean"),
        (Datatype.INT8, "integer"),
        (Datatype.INT64, "long"),
        (Datatype.UINT32, "long"),
        (Datatype.FP32, "float"),
        (Datatype.FP64, "double"),
        (Datatype.STRING, "string"),
        (Datatype.BYTES, "binary"),
        (Datatype.DATETIME, "datetime"),
    ],
)
def test_a_column_by_its_datatype(datatype: Datatype, name: str) -> None:
    assert inputs(Column("a", "a", datatype)) == [{"type": name, "name": "a", "required": True}]


def test_every_datatype_has_a_form() -> None:
    for datatype in Datatype:
        assert inputs(Column("a", "a", datatype))


def test_categories_are_text_or_whole_numbers() -> None:
    text = Column("a", "a", Datatype.CATEGORICAL, categories=("x", "y"))
    whole = Column("b", "b", Datatype.CATEGORICAL, categories=(1, 2))
    assert [one["type"] for one in inputs(text, whole)] == ["string", "long"]


def test_whole_numbers_of_training_are_long_unless_one_was_missing() -> None:
    age = Column("age", "age", Datatype.FP64, nullable=True, missing_ratio=0.0)
    debt = Column("debt", "debt", Datatype.FP64, nullable=True, missing_ratio=0.1)
    said = inputs(age, debt, Column("x", "x", Datatype.FP64), whole=("age", "debt"))
    assert [(one["type"], one["required"]) for one in said] == [
        ("long", False),
        ("double", False),
        ("double", True),
    ]


def test_a_matrix_without_names_is_one_tensor() -> None:
    columns = [Column(f"x{k}", f"x{k}", Datatype.FP64) for k in (1, 2, 3)]
    described = {"dtype": "float64", "shape": [-1, 3]}
    assert inputs(*columns) == [{"type": "tensor", "tensor-spec": described}]


def test_tensors_keep_names_and_shapes() -> None:
    tensors = (TensorSpec("pixels", Datatype.FP32, (-1, 8, 8)),)
    outputs = (TensorSpec("digit", Datatype.INT64, (-1,)),)
    said = mlflow_signature(Signature(tensors=tensors, outputs=outputs), manifest())
    described = {"dtype": "float32", "shape": [-1, 8, 8]}
    named = {"type": "tensor", "tensor-spec": described, "name": "pixels"}
    assert json.loads(said["inputs"]) == [named]
    described = {"dtype": "int64", "shape": [-1]}
    assert json.loads(said["outputs"]) == [
        {"type": "tensor", "tensor-spec": described, "name": "digit"}
    ]


@pytest.mark.parametrize(
    ("classes", "name"),
    [((0, 1), "long"), (("no", "yes"), "string"), ((False, True), "boolean"), ((0.5,), "double")],
)
def test_labels_are_of_their_own_type(classes: tuple[Any, ...], name: str) -> None:
    signature = Signature((Column("a", "a", Datatype.FP64),))
    said = mlflow_signature(signature, manifest(Task.CLASSIFICATION, classes=classes))
    assert json.loads(said["outputs"]) == [{"type": name}]


def test_what_a_function_gives_is_not_known() -> None:
    signature = Signature((Column("a", "a", Datatype.FP64),))
    assert mlflow_signature(signature, manifest(Task.FUNCTION))["outputs"] is None
