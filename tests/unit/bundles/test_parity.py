"""The gate, with models of a few lines: what closes it, what does not, and what it reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from modelway.bundles.manifest import FORMAT_VERSION, Manifest, OriginalModel, Task
from modelway.bundles.parity import TOLERANCE, gate
from modelway.bundles.record import ParityReport
from modelway.domain.inference import Outputs
from modelway.domain.signature import Signature, columns_named
from modelway.domain.tables import Table

Matrix = npt.NDArray[np.float64]
Answer = Callable[[Matrix], Any]

SIGNATURE = Signature(columns_named(["length", "width"]))
SPLIT = 0.8


class Rule:
    """A runtime over one function of the matrix of rows."""

    def __init__(self, answer: Callable[[Matrix], Outputs]) -> None:
        self._answer = answer

    def predict(self, table: Table) -> Outputs:
        return self._answer(table.matrix)

    def close(self) -> None:
        pass


def regressor(answer: Answer) -> Rule:
    return Rule(lambda rows: {"prediction": answer(rows)})


def classifier(index: Answer, second: Answer) -> Rule:
    """``index`` of the label, and the probability of the ``second`` class."""

    def both(rows: Matrix) -> Outputs:
        p = second(rows)
        return {
            "class_index": np.asarray(index(rows), dtype=np.int64),
            "probabilities": np.stack([1 - p, p], axis=1),
        }

    return Rule(both)


def compared(
    original: Rule, compiled: Rule, task: Task, signature: Signature = SIGNATURE, **known: Any
) -> ParityReport:
    rows = np.random.default_rng(0).normal(1.0, 1.0, (50, 2)).round(1)
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        task=task,
        runtime="onnx",
        original=OriginalModel("sklearn", "model.pickle", "pickle"),
        layout="matrix",
        **known,
    )
    return gate(
        original,
        compiled,
        signature=signature,
        manifest=manifest,
        reference=Table(signature, len(rows), matrix=rows),
        thresholds=[np.array([SPLIT]), np.empty(0)],
    )


def regression(original: Answer, compiled: Answer) -> ParityReport:
    return compared(regressor(original), regressor(compiled), Task.REGRESSION)


def classification(original: Rule, compiled: Rule) -> ParityReport:
    return compared(
        original, compiled, Task.CLASSIFICATION, classes=("no", "yes"), probabilities=True
    )


def total(rows: Matrix) -> Matrix:
    return np.asarray(rows[:, 0] + rows[:, 1])


def right_of_split(rows: Matrix) -> npt.NDArray[np.bool_]:
    return np.asarray(rows[:, 0] > SPLIT)


def half(rows: Matrix) -> Matrix:
    return np.full(len(rows), 0.5)


def test_the_same_answers_pass() -> None:
    model = classifier(right_of_split, half)
    report = classification(model, model)
    assert report.passed
    assert report.reason is None
    assert report.worst_row is None
    assert report.batch_invariant
    assert (report.flips, report.largest_deviation, report.self_disagreements) == (0, 0.0, 0)
    assert set(report.rows) == {"reference", "random", "tie", "extreme", "threshold"}
    assert report.rows["reference"] == 50


def test_a_model_in_float32_is_found_on_the_threshold() -> None:
    report = classification(
        classifier(right_of_split, half),
        classifier(lambda rows: rows[:, 0].astype(np.float32) > np.float32(SPLIT), half),
    )
    assert not report.passed
    assert report.flips > 0
    assert "rows have another label, worst in a" in str(report.reason)
    worst = report.worst_row
    assert worst is not None
    assert set(worst["inputs"]) == {"length", "width"}
    assert {worst["original"]["prediction"], worst["compiled"]["prediction"]} == {"no", "yes"}
    assert worst["original"]["probabilities"] == [0.5, 0.5]


@pytest.mark.parametrize(("off", "passed"), [(0.9 * TOLERANCE, True), (1.1 * TOLERANCE, False)])
def test_probabilities_may_be_off_by_the_tolerance(off: float, passed: bool) -> None:
    report = classification(
        classifier(right_of_split, half),
        classifier(right_of_split, lambda rows: half(rows) + off),
    )
    assert report.passed is passed
    assert report.flips == 0
    assert report.largest_deviation == pytest.approx(off)
    assert passed or "a value is off by 1.1e-05, more than 1e-05" in str(report.reason)


@pytest.mark.parametrize(("share", "passed"), [(0.9 * TOLERANCE, True), (1.1 * TOLERANCE, False)])
def test_predictions_may_be_off_relative_to_their_size(share: float, passed: bool) -> None:
    assert regression(total, lambda rows: total(rows) * (1 + share)).passed is passed


def test_small_predictions_may_be_off_by_the_tolerance_itself() -> None:
    tiny = regression(lambda rows: np.tanh(total(rows)), lambda rows: np.tanh(total(rows)) + 9e-6)
    assert tiny.passed


def test_a_missing_answer_is_equal_to_a_missing_one_only() -> None:
    def gappy(rows: Matrix) -> Matrix:
        return np.where(rows[:, 0] > 1, np.nan, total(rows))

    assert regression(gappy, gappy).passed
    report = regression(gappy, total)
    assert not report.passed
    assert report.worst_row is not None
    assert report.worst_row["original"] == {"prediction": ["nan"]}


def test_infinity_is_equal_to_itself_and_far_from_all_else() -> None:
    def endless(rows: Matrix) -> Matrix:
        return np.where(rows[:, 0] > 1, np.inf, total(rows))

    assert regression(endless, endless).passed
    report = regression(endless, lambda rows: np.where(rows[:, 0] > 1, 1e308, total(rows)))
    assert not report.passed
    assert msgspec.json.decode(msgspec.json.encode(report), type=ParityReport) == report


def test_rows_that_the_original_refuses_are_left_out_and_counted() -> None:
    def careful(rows: Matrix) -> Matrix:
        if np.abs(rows).max() > 1e20:
            raise ValueError("a value too large")
        return total(rows)

    report = regression(careful, lambda rows: np.where(rows.max(axis=1) > 1e20, -1.0, total(rows)))
    assert report.passed
    assert report.rows["refused"] > 0
    assert report.self_disagreements == 0


def test_an_original_that_refuses_every_row_proves_nothing() -> None:
    report = regression(lambda rows: rows[:, 7], total)
    assert not report.passed
    assert report.reason == "the original refused every row that the gate asked"


def test_an_original_that_refuses_training_data_proves_nothing() -> None:
    def narrow(rows: Matrix) -> Matrix:
        if 2.5 < rows.max() < 10:
            raise ValueError("never seen")
        return total(rows)

    report = regression(narrow, total)
    assert not report.passed
    assert report.reason == "the original refused 8 of 50 rows of training data"


@pytest.mark.parametrize("every", [True, False])
def test_an_original_that_refuses_every_gap_proves_nothing(every: bool) -> None:
    gappy = Signature(tuple(replace(column, nullable=True) for column in SIGNATURE.columns))

    def strict(rows: Matrix) -> Matrix:
        if np.isnan(rows if every else rows[:, 0]).any():
            raise ValueError("contains NaN")
        return total(rows)

    report = compared(regressor(strict), regressor(total), Task.REGRESSION, gappy)
    assert report.passed is not every
    assert every is ("every row with a missing value" in str(report.reason))


def test_a_compiled_model_that_fails_is_not_served() -> None:
    report = regression(total, lambda rows: rows[:, 7])
    assert not report.passed
    assert "the compiled model failed: IndexError" in str(report.reason)


def test_answers_of_another_shape_are_not_served() -> None:
    assert not regression(total, lambda rows: rows).passed
    assert not regression(total, lambda rows: total(rows)[:1]).passed


def test_a_fault_in_one_size_of_batch_is_found() -> None:
    report = regression(total, lambda rows: total(rows) + (len(rows) == 7))
    assert not report.passed
    assert not report.batch_invariant
    assert report.worst_row is not None
    assert report.worst_row["batch_rows"] == 7


def test_answers_that_depend_on_the_batch_by_a_bit_pass_and_are_said() -> None:
    report = regression(total, lambda rows: total(rows) * (1 + (len(rows) > 1) * 2e-16))
    assert report.passed
    assert not report.batch_invariant


def test_where_the_original_disagrees_with_itself_either_answer_is_right() -> None:
    def fickle(rows: Matrix) -> npt.NDArray[np.bool_]:
        return (rows[:, 0] > 1) & (len(rows) > 1)

    original = classifier(fickle, half)
    for compiled in (lambda rows: rows[:, 0] > 1, lambda rows: np.zeros(len(rows))):
        report = classification(original, classifier(compiled, half))
        assert report.passed
        assert report.self_disagreements > 0
    report = classification(original, classifier(lambda rows: rows[:, 0] <= 1, half))
    assert not report.passed


def test_an_original_that_refuses_a_batch_disagrees_with_itself() -> None:
    def single(rows: Matrix) -> Matrix:
        if len(rows) > 1:
            raise ValueError("one row at a time")
        return total(rows)

    report = regression(single, total)
    assert report.passed
    assert report.self_disagreements == sum(report.rows.values())


def test_clusters_are_compared_as_labels() -> None:
    def near(rows: Matrix) -> npt.NDArray[np.int64]:
        return np.asarray(right_of_split(rows), dtype=np.int64) * 3

    assert compared(regressor(near), regressor(near), Task.CLUSTERING).passed
    other = regressor(lambda rows: near(rows) + 1e-7)
    report = compared(regressor(near), other, Task.CLUSTERING)
    assert not report.passed
    assert report.flips == sum(report.rows.values())


def test_several_predictions_a_row_are_compared_one_by_one() -> None:
    report = regression(lambda rows: rows, lambda rows: rows + np.array([0.0, 1e-3]))
    assert not report.passed
    assert report.largest_deviation == pytest.approx(1e-3)


def test_the_report_is_the_same_every_time() -> None:
    reports = [regression(total, lambda rows: total(rows) * (1 + 3e-5)) for _ in range(2)]
    assert reports[0] == reports[1]
