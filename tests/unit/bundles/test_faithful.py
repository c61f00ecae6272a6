"""The native runtime held to the model's own call; models and runtimes are small ones made here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from modelway.bundles.faithful import MOST_ROWS, check_faithful
from modelway.bundles.manifest import FORMAT_VERSION, Manifest, OriginalModel, Task
from modelway.bundles.training import TrainingColumn, TrainingData
from modelway.domain.errors import BuildFailed
from modelway.domain.inference import Outputs
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Array, Table

ORIGINAL = OriginalModel("sklearn", "model.pickle", "pickle")
REGRESSION = Manifest(FORMAT_VERSION, Task.REGRESSION, "sklearn", ORIGINAL, "columns")
LABELS = Manifest(
    FORMAT_VERSION, Task.CLASSIFICATION, "sklearn", ORIGINAL, "columns", classes=("few", "many")
)


@dataclass
class Original:
    """A model that gives for rows what a function of them gives, and counts how often."""

    function: Callable[[Any], Any]
    calls: int = 0

    def predict(self, rows: Any) -> Any:
        self.calls += 1
        return self.function(rows)


@dataclass
class Served:
    """A runtime that gives for a table what a function of its first column gives."""

    function: Callable[[Array], Array]
    output: str = "prediction"
    asked: list[int] = field(default_factory=list)

    def predict(self, table: Table) -> Outputs:
        self.asked.append(table.n_rows)
        return {self.output: self.function(table.arrays[0])}

    def close(self) -> None:
        """Nothing is held."""


def held(
    original: Callable[[Any], Any],
    served: Served,
    *,
    rows: pd.Series[Any] | None = None,
    manifest: Manifest = REGRESSION,
    datatype: Datatype = Datatype.FP64,
) -> str | None:
    values = pd.Series(range(400)) if rows is None else rows
    column = TrainingColumn("size", Datatype.FP64, values.to_numpy(np.float64))
    training = TrainingData("rows.csv", {"size": column}, pd.DataFrame({"size": values}))
    signature = Signature((Column("size", "size", datatype),))
    return check_faithful(Original(original), served, training, signature, manifest)


def test_a_runtime_that_answers_as_the_model_does_is_asked_two_hundred_rows_once() -> None:
    served = Served(lambda sizes: sizes * 2)
    assert held(lambda frame: frame["size"] * 2, served) is None
    assert served.asked == [MOST_ROWS]
    assert held(lambda frame: frame["size"] * 2, Served(lambda sizes: sizes * 2 + 1e-12)) is None


def test_another_value_fails_the_build_and_says_the_types_and_the_row() -> None:
    def lengths(frame: pd.DataFrame) -> list[int]:
        return [len(text) for text in frame["size"].astype(str)]

    with pytest.raises(BuildFailed) as caught:
        held(lengths, Served(lambda sizes: np.array([len(str(size)) for size in sizes.tolist()])))
    assert "read as size int64" in caught.value.message
    assert "row 1 of rows.csv (size 0) it answers [1.0], and would answer [3.0]" in str(
        caught.value
    )
    assert caught.value.hint is not None


def test_another_label_fails_the_build() -> None:
    def words(frame: pd.DataFrame) -> list[str]:
        return ["many" if size > 10 else "few" for size in frame["size"]]

    right = Served(lambda sizes: (sizes > 10).astype(np.int64), "class_index")
    assert held(words, right, manifest=LABELS) is None
    wrong = Served(lambda sizes: (sizes > 50).astype(np.int64), "class_index")
    with pytest.raises(BuildFailed, match="answers 'many', and would answer 'few'"):
        held(words, wrong, manifest=LABELS)
    unknown = Served(lambda sizes: np.full(len(sizes), -1), "class_index")
    with pytest.raises(BuildFailed, match="would answer"):
        held(words, unknown, manifest=LABELS)


def test_rows_that_the_model_answers_and_its_runtime_refuses_fail_the_build() -> None:
    def refuses(sizes: Array) -> Array:
        raise ValueError("no floats")

    with pytest.raises(BuildFailed, match=r"would refuse rows of rows\.csv .*no floats"):
        held(lambda frame: frame["size"], Served(refuses))


def test_a_model_of_arrays_is_asked_the_array() -> None:
    def first(rows: Any) -> Any:
        return rows[:, 0] * 2  # a DataFrame has no such index

    assert held(first, Served(lambda sizes: sizes * 2)) is None
    with pytest.raises(BuildFailed):
        held(first, Served(lambda sizes: sizes * 3))


def test_what_the_model_itself_refuses_is_said_and_not_compared() -> None:
    def refuses(rows: Any) -> Any:
        raise TypeError("not like this")

    note = held(refuses, Served(lambda sizes: sizes))
    assert note is not None
    assert "TypeError: not like this" in note


def test_a_row_that_the_model_answers_otherwise_alone_is_left_out() -> None:
    def by_batch(frame: pd.DataFrame) -> Any:
        return frame["size"] + len(frame)

    assert held(by_batch, Served(lambda sizes: sizes)) is None


def test_a_model_that_changes_its_mind_is_not_compared() -> None:
    draws = iter(range(1000))
    note = held(lambda frame: frame["size"] + next(draws), Served(lambda sizes: sizes - 1))
    assert note is not None
    assert "otherwise each time" in note


def test_of_float32_no_more_is_asked_than_its_rounding() -> None:
    thirds = pd.Series(np.arange(10) / 3)
    served = Served(lambda sizes: sizes.astype(np.float64) * 3)
    assert held(lambda frame: frame["size"] * 3, served, rows=thirds.astype(np.float32)) is None
    assert held(lambda f: f["size"] * 3, served, rows=thirds, datatype=Datatype.FP32) is None
    off = Served(lambda sizes: sizes.astype(np.float64) * 3.001)
    with pytest.raises(BuildFailed):
        held(lambda frame: frame["size"] * 3, off, rows=thirds.astype(np.float32))


def test_text_that_is_missing_is_what_the_model_was_fitted_on() -> None:
    texts = np.empty(3, dtype=object)
    texts[:] = ["a", None, "b"]
    column = TrainingColumn("kind", Datatype.STRING, texts)
    frame = pd.DataFrame({"kind": pd.Series(["a", None, "b"], dtype="str")})  # pandas makes it NaN
    training = TrainingData("rows.csv", {"kind": column}, frame)
    signature = Signature((Column("kind", "kind", Datatype.STRING, nullable=True),))
    original = Original(lambda rows: [int(kind is None) for kind in rows["kind"]])
    served = Served(lambda kinds: np.array([int(kind is None) for kind in kinds]))
    with pytest.raises(BuildFailed):
        check_faithful(original, served, training, signature, REGRESSION)
    fitted_on_none = msgspec.structs.replace(REGRESSION, missing_text="none")
    assert check_faithful(original, served, training, signature, fitted_on_none) is None
