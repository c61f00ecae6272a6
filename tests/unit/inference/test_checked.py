"""What a model gives is checked, and what it raises becomes one of our errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from modelway.bundles.manifest import FORMAT_VERSION, Manifest, OriginalModel, Task
from modelway.domain.errors import InputRefused, OutputInvalid, PredictFailed
from modelway.domain.inference import Outputs
from modelway.domain.signature import Datatype, Signature, TensorSpec, columns_named
from modelway.domain.tables import Table
from modelway.inference.checked import CheckedRuntime, no_rows

NUMBERS = Signature(columns_named(["a"]))
TENSOR = Signature(tensors=(TensorSpec("x", Datatype.FP32, (-1, 2)),))
ORIGINAL = OriginalModel("sklearn", "m", "pickle")
CLASSES = Manifest(
    FORMAT_VERSION,
    *(Task.CLASSIFICATION, "sklearn", ORIGINAL, "matrix"),
    classes=("a", "b", "c"),
    probabilities=True,
)
VALUES = Manifest(FORMAT_VERSION, Task.REGRESSION, "sklearn", ORIGINAL, "matrix")


class Answering:
    """A runtime over a function."""

    def __init__(self, answer: Callable[[Table], Any]) -> None:
        self.predict = answer

    def close(self) -> None:
        """Nothing is held."""


def asked(answer: Callable[[Table], Any], n_rows: int = 2) -> Outputs:
    table = Table(NUMBERS, n_rows, matrix=np.zeros((n_rows, 1)))
    return CheckedRuntime("iris", Answering(answer), VALUES, NUMBERS).predict(table)


def raising(error: BaseException) -> Callable[[Table], Any]:
    def answer(table: Table) -> Any:
        raise error

    return answer


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1), RecursionError(), MemoryError()])
def test_what_a_model_raises_becomes_one_error(error: BaseException) -> None:
    with pytest.raises(PredictFailed, match="the model iris failed") as caught:
        asked(raising(error))
    assert caught.value.__cause__ is error


def test_what_is_an_error_of_ours_stays_it() -> None:
    with pytest.raises(InputRefused, match="too large"):
        asked(raising(InputRefused("too large")))


@pytest.mark.parametrize(
    "outputs",
    [
        {},
        {"probabilities": np.zeros((2, 3))},
        {"class_index": np.array([0])},
        {"class_index": np.array([0, 3])},
        {"class_index": np.array([-1, 0])},
        {"class_index": np.array([0, 1]), "probabilities": np.zeros((3, 3))},
        {"class_index": np.array(0)},
    ],
)
def test_outputs_that_do_not_fit_are_refused(outputs: dict[str, Any]) -> None:
    with pytest.raises(OutputInvalid):
        CheckedRuntime("iris", Answering(lambda _: outputs), CLASSES, NUMBERS).check(outputs, 2)


@pytest.mark.parametrize(("place", "fits"), [(0, True), (2, True), (3, False), (-1, False)])
def test_the_class_of_a_single_row_is_checked_too(place: int, fits: bool) -> None:
    checked = CheckedRuntime("iris", Answering(lambda _: {}), CLASSES, NUMBERS)
    outputs = {"class_index": np.array([place])}
    if fits:
        checked.check(outputs, 1)
    else:
        with pytest.raises(OutputInvalid, match="does not have"):
            checked.check(outputs, 1)


def test_outputs_that_fit() -> None:
    outputs = {"class_index": np.array([0, 2]), "probabilities": np.zeros((2, 3))}
    assert asked(lambda _: {"prediction": np.zeros((2, 5))})["prediction"].shape == (2, 5)
    CheckedRuntime("iris", Answering(lambda _: outputs), CLASSES, NUMBERS).check(outputs, 2)


def test_the_outputs_of_a_tensor_model_may_have_any_first_axis() -> None:
    checked = CheckedRuntime("pair", Answering(lambda _: {}), VALUES, TENSOR)
    checked.check({"sum": np.zeros(()), "rows": np.zeros((7, 2))}, 3)
    with pytest.raises(OutputInvalid):
        checked.check({"prediction": np.zeros((7, 2))}, 3)


def test_without_rows_the_outputs_have_the_shapes_of_the_manifest() -> None:
    assert no_rows(VALUES)["prediction"].shape == (0,)
    found = no_rows(CLASSES)
    assert (found["class_index"].shape, found["probabilities"].shape) == ((0,), (0, 3))
