from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelway.bundles.manifest import Manifest, OriginalModel, Task
from modelway.bundles.record import Record
from modelway.bundles.store import Bundle
from modelway.domain.errors import NotReplayable
from modelway.domain.inference import Outputs
from modelway.domain.signature import Column, Datatype, Signature, TensorSpec
from modelway.domain.tables import Table
from modelway.lineage.ports import Batch, Batched, Recorded
from modelway.lineage.replay import (
    MOST_SHOWN,
    Answer,
    Difference,
    Outcome,
    Replayed,
    Replaying,
    compared,
)
from support.lineages import MemoryPredictions

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DIGEST = "sha256:" + "7" * 64
NUMBERS = Signature((Column("a", "a", Datatype.FP64), Column("b", "b", Datatype.FP64)))
MIXED = Signature((Column("a", "a", Datatype.FP64), Column("area", "area", Datatype.STRING)))


def bundle(signature: Signature = NUMBERS, *, batch_invariant: bool = True) -> Bundle:
    original = OriginalModel("python_function", "original/rules.py", "python", "rule")
    manifest = Manifest(
        *(1, Task.FUNCTION, "python_function", original, "columns"),
        batch_invariant=batch_invariant,
    )
    record = Record(DIGEST, "rule", "rules.py", "0" * 64, NOON.isoformat(), "0.1.0")
    return Bundle(Path("there"), DIGEST, manifest, signature, record)


def total(folder: Path, table: Table) -> Outputs:
    """Answers a row by itself."""
    assert folder == Path("there")
    return {"prediction": table.matrix.sum(axis=1)}


def share(_: Path, table: Table) -> Outputs:
    """Answers a row by all rows of its batch, and by where it lies."""
    first = table.matrix[:, 0]
    return {"prediction": first / first.sum() + np.arange(table.n_rows)}


def recorded(answer: Answer, *rows: tuple[float, float], **changed: Any) -> Recorded:
    """What a request with these rows left behind."""
    matrix = np.array(rows, dtype=np.float64).reshape(-1, 2)
    outputs = answer(Path("there"), Table(NUMBERS, len(matrix), matrix=matrix))
    one = Recorded(
        *("p1", "rule", "rule", "1", DIGEST, "live", NOON, len(matrix)),
        {"a": matrix[:, 0].copy(), "b": matrix[:, 1].copy()},
        outputs,
    )
    return replace(one, **changed)


def replay(one: Recorded, answer: Answer, of: Bundle | None = None, *others: Recorded) -> Replayed:
    held = of or bundle()
    replaying = Replaying(MemoryPredictions(one, *others), lambda _: held, answer)
    return replaying.replay(one)


def test_the_same_bits_are_identical() -> None:
    one = recorded(total, (0.1, 0.2), (np.nan, 1.0), (-0.0, -0.0), (np.inf, 1.0))
    assert replay(one, total) == Replayed("p1", DIGEST, Outcome.IDENTICAL, 4)


def test_differences_are_named_with_every_digit() -> None:
    one = recorded(total, (0.1, 0.2), (1.0, 1.0))

    def rounded(_: Path, table: Table) -> Outputs:
        return {"prediction": np.round(table.matrix.sum(axis=1), 6)}

    found = replay(one, rounded)
    assert found.outcome is Outcome.DIFFERENT
    assert found.differing == 1
    assert found.differences == (Difference("prediction", 0, "0.30000000000000004", "0.3"),)


def test_only_the_first_differences_are_shown() -> None:
    one = recorded(total, *[(float(k), 1.0) for k in range(50)])
    found = replay(one, lambda folder, table: {"prediction": -total(folder, table)["prediction"]})
    assert found.differing == 50
    assert [one.row for one in found.differences] == list(range(MOST_SHOWN))


@pytest.mark.parametrize(
    ("before", "after", "n_differing"),
    [
        (np.array([0.0]), np.array([-0.0]), 1),
        (np.array([np.nan]), np.array([-np.nan]), 0),
        (np.array([1.0], np.float32), np.array([1.0], np.float32), 0),
        (np.array([np.nan], np.float32), np.array([-np.nan], np.float32), 0),
        (np.array([1.0], np.float32), np.array([1.0]), 1),
        (np.array([1, 2]), np.array([1, 3]), 1),
        (np.array([True]), np.array([False]), 1),
        (np.array(["a", None], object), np.array(["a", None], object), 0),
        (np.array(["a", None], object), np.array(["a", ""], object), 1),
        (np.array(["a"], object), np.array(["a"]), 0),
        (np.array([1, 0.5], object), np.array([1.0, 0.5], object), 1),
        (np.array([float("nan")], object), np.array([float("nan")], object), 0),
        (np.array(["NaT"], "datetime64[us]"), np.array(["NaT"], "datetime64[us]"), 0),
        (np.array([[1.0, 2.0]]), np.array([[1.0, 2.5]]), 1),
        (np.empty((0, 3)), np.empty((0, 3)), 0),
    ],
)
def test_what_counts_as_the_same(before: Any, after: Any, n_differing: int) -> None:
    assert compared({"y": before}, {"y": after}, len(before))[0] == n_differing


def test_nan_is_nan_whatever_its_payload() -> None:
    quiet = np.array([0x7FF8000000000001, 0x7FF8DEADBEEF0000], np.uint64).view(np.float64)
    assert compared({"y": quiet}, {"y": quiet[::-1]}, 2) == (0, [])


def test_outputs_that_came_or_went_differ() -> None:
    ones = np.ones((2, 3))
    n, shown = compared({"y": ones, "gone": ones}, {"y": np.ones((2, 4)), "new": ones}, 2)
    assert n == 3
    assert shown == [
        Difference("y", None, "float64 [2, 3]", "float64 [2, 4]"),
        Difference("gone", None, "float64 [2, 3]", "nothing"),
        Difference("new", None, "nothing", "float64 [2, 3]"),
    ]


def test_a_value_inside_a_row_is_named() -> None:
    before, after = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    after[1, 0, 1] = 7
    assert compared({"y": before}, {"y": after}, 2)[1] == [Difference("y[0][1]", 1, "0.0", "7.0")]


@pytest.mark.parametrize(
    ("signature", "inputs"),
    [
        (MIXED, {"area": np.array(["town", None], object), "a": np.array([1.0, np.nan])}),
        (
            Signature(tensors=(TensorSpec("x", Datatype.FP32, (-1, 3)),)),
            {"x": np.ones((2, 3), np.float32)},
        ),
    ],
)
def test_the_model_is_given_what_was_recorded(signature: Signature, inputs: Any) -> None:
    names = [one.name for one in signature.columns or signature.tensors]
    one = recorded(total, (1.0, 2.0), (3.0, 4.0), inputs=inputs, parameters={"top": 1})
    given: list[Table] = []

    def noting(_: Path, table: Table) -> Outputs:
        given.append(table)
        return one.outputs or {}

    assert replay(one, noting, bundle(signature)).outcome is Outcome.IDENTICAL
    for name, array in zip(names, given[0].arrays, strict=True):
        assert array is inputs[name]
    assert given[0].parameters == {"top": 1}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"outputs": None, "status": "predict-failed"}, r"was not answered \(predict-failed\)"),
        ({"digest": None}, "was not answered"),
        ({"inputs": {"a": np.ones(1), "b": None}}, "redacted: b was not recorded"),
        ({"inputs": {"a": None, "b": None}}, "redacted: a, b was not recorded"),
        ({"inputs": {"a": np.ones(1)}}, "was recorded without b"),
        ({"inputs": {"a": np.ones(1), "b": np.ones(1)}, "n_rows": 2}, "had 2 rows; 1 are recorded"),
    ],
)
def test_what_cannot_be_replayed_and_why(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(NotReplayable, match=told):
        replay(recorded(total, (1.0, 2.0), **changed), total)


def test_a_bundle_that_is_gone() -> None:
    one = recorded(total, (1.0, 2.0))
    with pytest.raises(NotReplayable, match="not here any more"):
        Replaying(MemoryPredictions(one), lambda _: None, total).replay(one)


def in_a_batch(*sizes: int) -> list[Recorded]:
    """Requests of these sizes that were answered together, in this order."""
    n_rows = sum(sizes)
    rows = np.arange(2.0, 2 + 2 * n_rows).reshape(-1, 2)
    outputs = share(Path("there"), Table(NUMBERS, n_rows, matrix=rows))["prediction"]
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    members = [Batched(f"p{k}", starts[k], sizes[k]) for k in range(len(sizes))]
    batch = Batch(n_rows, members[::-1])
    return [
        Recorded(
            *(one.prediction_id, "rule", "rule", "1", DIGEST, "live", NOON, one.n_rows),
            {
                name: rows[one.start : one.start + one.n_rows, place]
                for place, name in enumerate("ab")
            },
            {"prediction": outputs[one.start : one.start + one.n_rows]},
            batch=batch,
        )
        for one in members
    ]


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_a_batch_is_rebuilt_in_its_order(place: int) -> None:
    requests = in_a_batch(1, 3, 0, 2)
    one = requests[place]
    found = replay(one, share, bundle(batch_invariant=False), *requests)
    assert found.outcome is Outcome.IDENTICAL
    assert (found.n_rows, found.batch_rows) == (one.n_rows, 6)


def test_alone_the_same_rows_would_have_been_answered_otherwise() -> None:
    one = replace(in_a_batch(1, 3)[1], batch=None)
    found = replay(one, share, bundle(batch_invariant=False))
    assert (found.outcome, found.batch_rows) == (Outcome.DIFFERENT, None)


def test_a_batch_is_all_the_same_to_a_bundle_that_is_invariant() -> None:
    one = recorded(total, (1.0, 2.0), batch=Batch(9, [Batched("p1", 0, 1)]))
    assert replay(one, total).outcome is Outcome.IDENTICAL


def test_a_batch_of_which_a_part_is_missing() -> None:
    first, second, third = in_a_batch(1, 3, 2)
    held = bundle(batch_invariant=False)
    with pytest.raises(NotReplayable, match="one batch with p2, which is not recorded any more"):
        replay(first, share, held, second)
    assert first.batch is not None
    known = Batch(6, [one for one in first.batch.members if one.prediction_id != "p1"])
    with pytest.raises(NotReplayable, match="a batch of 6 rows; 3 of them are recorded"):
        replay(replace(first, batch=known), share, held, second, third)
    other = replace(second, digest="sha256:8")
    with pytest.raises(NotReplayable, match="p1 is recorded otherwise"):
        replay(first, share, held, other, third)
    with pytest.raises(NotReplayable, match="p2 cannot be replayed, it is redacted: b"):
        gone = replace(third, inputs={**third.inputs, "b": None})
        replay(first, share, held, second, gone)
