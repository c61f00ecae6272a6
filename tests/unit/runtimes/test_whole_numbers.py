"""Whole numbers are given as int64 where training had them, whatever lies in the rows beside."""

from __future__ import annotations

import numpy as np
import pandas as pd

from modelway.bundles.manifest import FORMAT_VERSION, Manifest, OriginalModel, Task
from modelway.domain.inference import Outputs
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Table
from modelway.runtimes.whole_numbers import asked_apart, whole_places, with_integers

SIGNATURE = Signature(
    (
        Column("size", "size", Datatype.FP64),
        Column("rooms", "rooms", Datatype.INT32),
        Column("year", "year", Datatype.FP64),
    )
)


def manifest(*whole: str) -> Manifest:
    original = OriginalModel("sklearn", "model.pickle", "pickle")
    return Manifest(
        FORMAT_VERSION, Task.REGRESSION, "sklearn", original, "columns", whole_numbers=whole
    )


def table(*rows: tuple[float, float, float]) -> Table:
    return Table(SIGNATURE, len(rows), matrix=np.array(rows, dtype=np.float64))


def texts(part: Table, whole: list[int]) -> Outputs:
    frame = pd.DataFrame(part.matrix, columns=["size", "rooms", "year"])
    columns = with_integers(frame, whole).to_dict("list").values()
    found = [" ".join(map(str, row)) for row in zip(*columns, strict=True)]
    return {"prediction": np.array(found, dtype=object)}


def test_whole_columns_are_those_of_the_signature_and_of_training() -> None:
    assert whole_places(SIGNATURE, manifest()) == [1]
    assert whole_places(SIGNATURE, manifest("year")) == [1, 2]


def test_a_whole_number_is_an_int64_in_its_own_row() -> None:
    rows = table((1, 3, 1990), (1, np.nan, 1991), (1, 3, 1990.5), (2, 4, 2e300), (2, 4, 1992))
    found = asked_apart(rows, [1, 2], texts)["prediction"].tolist()
    assert found == [*("1.0 3 1990", "1.0 nan 1991", "1.0 3 1990.5", "2.0 4 2e+300", "2.0 4 1992")]
    alone = [asked_apart(rows.rows(slice(i, i + 1)), [1, 2], texts) for i in range(5)]
    assert [answer["prediction"][0] for answer in alone] == found


def test_rows_that_are_whole_alike_are_asked_at_once() -> None:
    asked: list[tuple[int, list[int]]] = []

    def ask(part: Table, whole: list[int]) -> Outputs:
        asked.append((part.n_rows, whole))
        return {"prediction": part.arrays[0]}

    asked_apart(table((1, 3, 1990), (2, 4, 1991)), [1, 2], ask)
    asked_apart(table((1, 3, 0.5), (2, 4, 1.5)), [1, 2], ask)
    asked_apart(table((1, 3, 0.5), (2, 4, 1.5)), [], ask)
    assert asked == [(2, [1, 2]), (2, [1]), (2, [])]


def test_a_column_of_another_type_than_a_number_stays_as_it_is() -> None:
    frame = pd.DataFrame({"a": [1.0], "b": pd.Categorical([3])})
    assert [str(kind) for kind in with_integers(frame, [0, 1]).dtypes] == ["int64", "category"]


def test_a_matrix_is_of_whole_numbers_where_all_of_it_is() -> None:
    matrix = np.array([[1.0, 2.0]])
    assert with_integers(matrix, [0, 1]).dtype == np.int64
    assert with_integers(matrix, [0]).dtype == np.float64
