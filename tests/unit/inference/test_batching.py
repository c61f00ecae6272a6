"""Which requests go together, and what becomes of each when some of them fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from modelway.domain.errors import (
    InputRefused,
    ModelCrashed,
    ModelwayError,
    PredictFailed,
    QueueFull,
)
from modelway.domain.inference import Outputs
from modelway.domain.signature import Column, Datatype, Signature, TensorSpec, columns_named
from modelway.domain.tables import Table
from modelway.inference.batching import Batch, Bounds, Measure, Pending, Waiting, answers_merged
from support.tables import said

NUMBERS = Signature(columns_named(["a", "b"]))
MIXED = Signature(
    (
        Column("flag", "flag", Datatype.BOOL, nullable=True),
        Column("name", "name", Datatype.STRING),
    )
)
WIDE = Bounds(100, 1000, 10**9)


@dataclass(eq=False)
class Ticket:
    """An answer that nobody waits for, or somebody does."""

    gone: bool = False

    def done(self) -> bool:
        return self.gone


def rows(*values: float) -> Table:
    return Table(NUMBERS, len(values), matrix=np.array([[v, 0.0] for v in values]))


def mixed(*cells: tuple[float, str | None]) -> Table:
    names = np.array([name for _, name in cells], dtype=object)
    return Table(MIXED, len(cells), arrays=[np.array([flag for flag, _ in cells]), names])


def waits(table: Table, arrived: float, key: tuple[object, ...] = ()) -> Pending[Ticket]:
    return Pending(table, key, Ticket(), arrived, table.n_rows, table.n_rows * 16)


def waiting(*pending: Pending[Ticket], most: int = 100) -> Waiting[Ticket]:
    made: Waiting[Ticket] = Waiting("iris", most)
    for one in pending:
        made.add(one)
    return made


def first_column(table: Table) -> Outputs:
    return {"prediction": table.matrix[:, 0].copy()}


class Refusing:
    """Refuses a table with a 13 in it, counts how often it is asked."""

    def __init__(self, error: type[ModelwayError] = InputRefused) -> None:
        self.asked: list[int] = []
        self.error = error

    def __call__(self, table: Table) -> Outputs:
        self.asked.append(table.n_rows)
        if (table.matrix == 13).any():
            raise self.error("no 13")
        return first_column(table)


def values(answers: Sequence[Any]) -> list[Any]:
    return [
        a.code if isinstance(a, ModelwayError) else None if a is None else a["prediction"].tolist()
        for a in answers
    ]


def test_the_oldest_goes_first_with_those_like_it_in_order() -> None:
    a, b = ("a",), ("b",)
    first, second, third = waits(rows(1), 1.0, a), waits(rows(2), 2.0, b), waits(rows(3), 3.0, a)
    queue = waiting(first, second, third)
    assert queue.take(WIDE) == [first, third]
    assert queue.take(WIDE) == [second]
    assert queue.take(WIDE) == []
    assert len(queue) == 0


def test_after_a_full_batch_the_turn_goes_to_the_key_that_waits_longest() -> None:
    a, b = ("a",), ("b",)
    many = [waits(rows(1), float(k), a) for k in range(4)]
    other = waits(rows(2), 1.5, b)
    queue = waiting(*many, other)
    two = Bounds(2, 1000, 10**9)
    assert [queue.take(two), queue.take(two), queue.take(two)] == [many[:2], [other], many[2:]]


@pytest.mark.parametrize(
    ("bounds", "taken"),
    [
        (Bounds(100, 5, 10**9), 2),
        (Bounds(100, 6, 10**9), 3),
        (Bounds(100, 1000, 79), 2),
        (Bounds(100, 1000, 96), 3),
        (Bounds(1, 1000, 10**9), 1),
        (Bounds(100, 1, 1), 1),
    ],
)
def test_a_batch_keeps_to_its_bounds_and_the_first_always_goes(bounds: Bounds, taken: int) -> None:
    queue = waiting(*[waits(rows(1, 2), float(k)) for k in range(4)])
    assert len(queue.take(bounds)) == taken
    assert len(queue) == 4 - taken


def test_nothing_overtakes_a_request_that_does_not_fit() -> None:
    small, large, last = waits(rows(1), 1.0), waits(rows(*range(9)), 2.0), waits(rows(2), 3.0)
    queue = waiting(small, large, last)
    assert queue.take(Bounds(100, 5, 10**9)) == [small]
    assert queue.take(Bounds(100, 5, 10**9)) == [large]
    assert queue.take(Bounds(100, 5, 10**9)) == [last]


def test_a_full_queue_refuses_and_a_dropped_request_makes_room() -> None:
    first, second = waits(rows(1), 1.0), waits(rows(2), 2.0)
    queue = waiting(first, second, most=2)
    with pytest.raises(QueueFull, match="2 requests wait for the model iris"):
        queue.add(waits(rows(3), 3.0))
    queue.drop(first)
    queue.drop(first)
    third = waits(rows(3), 3.0)
    queue.add(third)
    assert list(queue) == [second, third]
    assert queue.oldest() is second


def test_a_queue_is_full_of_what_goes_together() -> None:
    queue = waiting(*[waits(rows(1), float(k)) for k in range(4)])
    assert queue.is_full(Bounds(100, 4, 10**9))
    assert not queue.is_full(Bounds(100, 5, 10**9))
    assert queue.is_full(Bounds(4, 100, 10**9))
    assert queue.is_full(Bounds(100, 100, 64))
    assert not waiting().is_full(Bounds(1, 1, 1))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"top": 1}),
        ({"top": 1}, {"top": 1.0}),
        ({"top": 1}, {"top": True}),
        ({"top": [1, 2]}, {"top": [2, 1]}),
        ({"top": object()}, {"top": object()}),
    ],
)
def test_other_parameters_are_another_key(
    one: Mapping[str, object], other: Mapping[str, object]
) -> None:
    measure = Measure(NUMBERS)
    assert measure.key(said(rows(1), one)) != measure.key(said(rows(1), other))


def test_equal_parameters_are_one_key_whatever_their_order() -> None:
    measure = Measure(NUMBERS)
    one = measure.key(said(rows(1), {"a": 1, "b": [None]}))
    assert one == measure.key(said(rows(1, 2), {"b": [None], "a": 1}))


def test_a_boolean_column_with_a_gap_is_another_key() -> None:
    measure = Measure(MIXED)
    without, gap = mixed((1.0, "x")), mixed((np.nan, "x"))
    assert measure.key(without) == measure.key(mixed((0.0, None), (1.0, "y")))
    assert measure.key(without) != measure.key(gap)


def test_tensors_of_another_shape_or_type_are_another_key() -> None:
    signature = Signature(tensors=(TensorSpec("x", Datatype.FP32, (-1, -1)),))
    measure = Measure(signature)

    def key(shape: tuple[int, int], dtype: str = "f4") -> tuple[object, ...]:
        return measure.key(Table(signature, shape[0], arrays=[np.zeros(shape, dtype)]))

    assert key((1, 4)) == key((3, 4))
    assert key((1, 4)) != key((1, 5))
    assert key((1, 4)) != key((1, 4), "f8")
    table = Table(signature, 3, arrays=[np.zeros((3, 4), "f4")])
    assert measure.units(table) == 12
    assert measure.n_bytes(table) == 48


def test_a_table_is_measured_in_rows_and_bytes() -> None:
    assert Measure(NUMBERS).units(rows(1, 2, 3)) == 3
    assert Measure(NUMBERS).n_bytes(rows(1, 2, 3)) == 48
    assert Measure(MIXED).n_bytes(mixed((1.0, "x"), (0.0, "y"))) == 16 + 2 * 64


def test_one_call_answers_all_and_each_gets_its_own_rows() -> None:
    predict = Refusing()
    found = answers_merged([rows(1), rows(2, 3), rows(4)], predict)
    assert values(found) == [[1], [2, 3], [4]]
    assert predict.asked == [4]


def test_a_batch_that_fails_is_halved_until_only_the_culprit_fails() -> None:
    predict = Refusing()
    found = answers_merged([rows(k) for k in (1, 2, 13, 4, 5, 6, 7, 8)], predict)
    assert values(found) == [[1], [2], "input-refused", [4], [5], [6], [7], [8]]
    assert predict.asked == [8, 4, 2, 2, 1, 1, 4]


def test_several_culprits_each_have_an_error_of_their_own() -> None:
    found = answers_merged([rows(13), rows(1), rows(13)], Refusing())
    assert values(found) == ["input-refused", [1], "input-refused"]
    assert found[0] is not found[2]


def test_the_process_of_a_model_that_dies_takes_its_whole_batch_and_is_not_asked_again() -> None:
    predict = Refusing(ModelCrashed)
    found = answers_merged([rows(1), rows(13)], predict)
    assert values(found) == ["model-crashed", "model-crashed"]
    assert found[0] is not found[1]
    assert predict.asked == [2]


def test_tables_that_cannot_be_joined_are_asked_one_by_one() -> None:
    three = Signature(columns_named(["a", "b", "c"]))
    odd = Table(three, 1, matrix=np.ones((1, 3)))
    assert values(answers_merged([rows(5), odd], first_column)) == [[5], [1]]


def test_what_is_no_error_of_ours_becomes_one() -> None:
    def broken(table: Table) -> Outputs:
        raise KeyError("x")

    (found,) = answers_merged([rows(1)], broken)
    assert isinstance(found, PredictFailed)


def test_a_batch_measures_its_calls_but_not_those_that_failed() -> None:
    ticks = iter([0.0, 1.0, 5.0, 7.0])
    batch = Batch([waits(rows(1), 0.0), waits(rows(2, 3), 0.0)])
    batch.answer(Refusing(), lambda: next(ticks), merged=True)
    assert batch.took == [(3, 1.0)]
    batch = Batch([waits(rows(13), 0.0), waits(rows(2), 0.0)])
    batch.answer(Refusing(), lambda: next(ticks), merged=True)
    assert batch.took == []
    assert values(batch.answers) == ["input-refused", [2]]


def test_gathered_requests_are_asked_one_by_one_and_those_given_up_not_at_all() -> None:
    predict = Refusing()
    given_up = waits(rows(9), 0.0)
    given_up.future.gone = True
    batch = Batch([waits(rows(1), 0.0), given_up, waits(rows(13), 0.0), waits(rows(2, 3), 0.0)])
    batch.answer(predict, lambda: 0.0, merged=False)
    assert values(batch.answers) == [[1], None, "input-refused", [2, 3]]
    assert predict.asked == [1, 1, 2]
    assert [units for units, _ in batch.took] == [1, 2]


def test_a_batch_whose_runner_failed_leaves_nobody_without_an_answer() -> None:
    batch = Batch([waits(rows(1), 0.0), waits(rows(2), 0.0)])
    batch.answers.append({"prediction": np.zeros(1)})
    batch.fail(PredictFailed("no"))
    assert values(batch.answers) == [[0], "predict-failed"]
