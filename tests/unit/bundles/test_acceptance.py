"""What a model accepts, found by asking it; the models are small runtimes made here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from modelway.bundles.acceptance import check_answers, closed_columns, nullable_columns
from modelway.bundles.training import TrainingColumn, TrainingData
from modelway.domain.errors import BuildFailed
from modelway.domain.inference import Outputs
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Array, Table

SIGNATURE = Signature(
    (
        Column("size", "size", Datatype.FP64),
        Column("rooms", "rooms", Datatype.FP64),
        Column("area", "area", Datatype.STRING),
    )
)


class Answering:
    """A runtime that gives for a row what a function of its values gives."""

    def __init__(self, function: Callable[[float, float, str | None], float]) -> None:
        self._function = function

    def predict(self, table: Table) -> Outputs:
        rows = zip(*(array.tolist() for array in table.arrays), strict=True)
        return {"prediction": np.array([self._function(*row) for row in rows])}

    def close(self) -> None:
        """Nothing is held."""


def row() -> Table:
    area = np.empty(1, dtype=object)
    area[0] = "Urban"
    return Table(SIGNATURE, 1, arrays=[np.array([80.0]), np.array([3.0]), area])


def training() -> TrainingData:
    area = np.empty(4, dtype=object)
    area[:] = ["Urban", "Rural", "Urban", "Rural"]
    values = {
        "size": np.array([80.0, 55.5, 60.0, 70.0]),
        "rooms": np.array([3.0, 2.0, 2.0, 3.0]),
        "area": area,
    }
    kinds = {"size": Datatype.FP64, "rooms": Datatype.FP64, "area": Datatype.STRING}
    return TrainingData(
        "rows.csv", {name: TrainingColumn(name, kinds[name], values[name]) for name in values}
    )


def rooms_are_known(_size: float, rooms: float, _area: str | None) -> float:
    return {2.0: 1.0, 3.0: 2.0}[rooms]


def area_is_known(size: float, _rooms: float, area: str | None) -> float:
    return size * {"Urban": 2.0, "Rural": 1.0}[str(area)]


def needs_size(size: float, _rooms: float, _area: str | None) -> float:
    if np.isnan(size):
        raise ValueError("Input contains NaN")
    return size


@pytest.mark.parametrize(
    ("function", "nullable"),
    [
        (lambda _size, _rooms, _area: 1.0, ["size", "rooms", "area"]),
        (needs_size, ["rooms", "area"]),
        (lambda size, rooms, _area: size + rooms, ["area"]),
        (area_is_known, ["rooms"]),
    ],
)
def test_a_column_may_be_missing_if_the_row_is_answered_with_a_number(
    function: Callable[[float, float, str | None], float], nullable: list[str]
) -> None:
    facts = nullable_columns(Answering(function), row())
    assert [column.name for column in facts.columns] == nullable
    assert all(column.nullable for column in facts.columns)


def test_a_column_is_closed_if_no_other_category_is_answered() -> None:
    (area,) = closed_columns(Answering(area_is_known), row(), training()).columns
    assert (area.name, area.categories, area.closed) == ("area", ("Rural", "Urban"), True)
    (rooms,) = closed_columns(Answering(rooms_are_known), row(), training()).columns
    assert (rooms.name, rooms.datatype) == ("rooms", Datatype.CATEGORICAL)
    assert rooms.categories == (2, 3)
    anything = Answering(lambda _size, _rooms, _area: 1.0)
    assert closed_columns(anything, row(), training()).columns == ()


def test_asking_changes_no_row() -> None:
    asked = row()
    nullable_columns(Answering(needs_size), asked)
    closed_columns(Answering(area_is_known), asked, training())
    assert [array.tolist() for array in asked.arrays] == [[80.0], [3.0], ["Urban"]]


def test_a_model_that_fails_on_an_ordinary_row_is_not_built() -> None:
    def fails(_size: float, _rooms: float, _area: str | None) -> float:
        raise TypeError("no")

    check_answers(Answering(needs_size), row(), None, is_made_up=True)
    with pytest.raises(BuildFailed, match="a row of its training data: TypeError: no"):
        check_answers(Answering(fails), row(), None, is_made_up=False)
    with pytest.raises(BuildFailed) as caught:
        check_answers(Answering(fails), row(), None, is_made_up=True)
    assert caught.value.hint is not None
    assert "--data" in caught.value.hint


class Giving:
    """A runtime that gives outputs made from the number of rows."""

    def __init__(self, **outputs: Callable[[int], Array]) -> None:
        self._outputs = outputs

    def predict(self, table: Table) -> Outputs:
        return {name: make(table.n_rows) for name, make in self._outputs.items()}

    def close(self) -> None:
        """Nothing is held."""


def first_class(n_rows: int) -> Array:
    return np.zeros(n_rows, dtype=np.int64)


def test_answers_that_fit_every_row_and_class_are_accepted() -> None:
    classes = ("no", "yes")
    fitting = Giving(class_index=first_class, probabilities=lambda n: np.full((n, 2), 0.5))
    check_answers(fitting, row(), classes, is_made_up=False)
    check_answers(Giving(prediction=lambda n: np.zeros((n, 4))), row(), None, is_made_up=False)


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({}, "there are none"),
        ({"class_index": lambda _: first_class(1)}, r"class_index has the shape \(1,\) for 3 rows"),
        ({"class_index": lambda n: first_class(n) - 1}, "a label that is none of its 2 classes"),
        ({"class_index": lambda n: first_class(n) + 2}, "a label that is none of its 2 classes"),
        ({"prediction": lambda _: np.array(0.5)}, r"prediction has the shape \(\) for 1 rows"),
        (
            {"class_index": first_class, "probabilities": lambda n: np.ones((n, 3))},
            r"probabilities have the shape \(1, 3\) for 2 classes",
        ),
        (
            {"class_index": first_class, "probabilities": lambda _: np.ones((2, 1))},
            r"probabilities has the shape \(2, 1\) for 1 rows",
        ),
    ],
)
def test_a_model_whose_answers_do_not_fit_is_not_built(
    outputs: dict[str, Callable[[int], Array]], said: str
) -> None:
    with pytest.raises(BuildFailed, match=said):
        check_answers(Giving(**outputs), row(), ("no", "yes"), is_made_up=False)
