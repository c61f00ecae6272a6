"""Batched equals alone: whatever came beside a request, its answer is the one it gets by itself.

Requests of any size, to several keys, some of them given up, late or poisoned, are sent in any
order and at any moment to real bundles: a compiled one, a native one, a Python function.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from modelway.bundles.parity import TOLERANCE
from modelway.domain.errors import DeadlineExceeded, InputRefused, ModelwayError, PredictFailed
from modelway.domain.inference import Outputs
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Table
from modelway.inference.execution import Execution
from support.answering import opened
from support.running import (
    answered,
    assert_same_outputs,
    compiled_from,
    executed,
    native_bundle,
    rule_bundle,
    table_of,
)

SIGNATURE = Signature(tuple(Column(n, n, Datatype.FP64, nullable=True) for n in ("a", "b", "c")))
POISON = np.nan
RULE = """
def rule(a: float | None, b: float, c: float):
    if a is None:
        raise ValueError("poisoned")
    if a > 1:
        return {"kind": "big", "times": int(b)}
    return int(c) if c > 0 else c / 3
"""


@dataclass(frozen=True)
class Call:
    """One request: its rows, when it is sent, and how it ends if not with an answer."""

    seed: int
    n_rows: int
    turn: int
    poisoned: int | None
    parameters: int
    given_up: bool
    left_s: float | None


def calls() -> st.SearchStrategy[list[Call]]:
    one = st.builds(
        Call,
        seed=st.integers(0, 2**16),
        n_rows=st.sampled_from([1, 1, 1, 2, 3, 7, 20, 70]),
        turn=st.integers(0, 6),
        poisoned=st.none() | st.none() | st.none() | st.integers(0, 69),
        parameters=st.sampled_from([0, 0, 0, 1]),
        given_up=st.sampled_from([False, False, False, True]),
        left_s=st.sampled_from([None, None, 60.0, 0.0, 0.001]),
    )
    return st.lists(one, min_size=1, max_size=24)


def rows_of(call: Call) -> Table:
    """Values that lie on both sides of everything, and a gap where it is poisoned."""
    values = np.random.default_rng(call.seed).normal(size=(call.n_rows, 3)).round(2) * 2
    if call.poisoned is not None:
        values[call.poisoned % call.n_rows, 0] = POISON
    table = table_of(SIGNATURE, values)
    table.parameters = {"p": call.parameters} if call.parameters else {}
    return table


@pytest.fixture(scope="module")
def model() -> Any:
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(5)
    x = rng.normal(size=(200, 3)) * 2
    y = (x[:, 0] + x[:, 1] ** 2 > 1).astype(int) + (x[:, 2] > 1)
    boosting = GradientBoostingClassifier(n_estimators=10, random_state=0)
    return make_pipeline(StandardScaler(), boosting).fit(x, y)


@pytest.fixture(scope="module", params=["compiled", "native", "rule"])
def folder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, model: Any
) -> Path:
    where = tmp_path_factory.mktemp("bundles") / request.param
    if request.param == "compiled":
        compiled = opened(model, np.zeros((1, 3)))
        return compiled_from(where, compiled.compiled, SIGNATURE, model.classes_.tolist())
    if request.param == "native":
        return native_bundle(where, model, SIGNATURE, row_wise=True, batch_invariant=False)
    return rule_bundle(where, RULE, "rule", SIGNATURE)


@pytest.fixture(scope="module")
def alone(folder: Path) -> Iterator[Execution]:
    execution = executed(folder)
    yield execution
    execution.abandon()


def expected(alone: Execution, call: Call) -> Outputs | type[ModelwayError]:
    try:
        return alone.predict(rows_of(call))
    except ModelwayError as error:
        return type(error)


async def interleaved(execution: Execution, sent: list[Call]) -> list[Any]:
    """What becomes of every call; those of one turn are sent in one turn of the loop."""
    tasks: dict[int, asyncio.Task[Outputs]] = {}
    for turn in range(max(call.turn for call in sent) + 1):
        for k, call in enumerate(sent):
            if call.turn == turn:
                deadline = None if call.left_s is None else time.monotonic() + call.left_s
                run = answered(execution, rows_of(call), deadline)
                tasks[k] = asyncio.create_task(run)
        await asyncio.sleep(0 if turn % 2 else 0.0005)
        for k, call in enumerate(sent):
            if call.given_up and call.turn == turn:
                tasks[k].cancel()
    ordered = [tasks[k] for k in range(len(sent))]
    found: list[Any] = await asyncio.gather(*ordered, return_exceptions=True)
    assert not execution.busy or await quiet(execution)
    return found


async def quiet(execution: Execution) -> bool:
    """Whether all work ends, that which nobody waits for too."""
    end = time.monotonic() + 20
    while execution.busy and time.monotonic() < end:
        await asyncio.sleep(0.001)
    return not execution.busy


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    sent=calls(),
    batch_rows=st.sampled_from([1, 8, 1024]),
    batch_wait_s=st.sampled_from([0.0, 0.0, 0.001]),
    inline_s=st.sampled_from([0.0, 0.0, 0.001]),
    known=st.booleans(),
)
def test_batched_equals_alone(
    folder: Path,
    alone: Execution,
    sent: list[Call],
    batch_rows: int,
    batch_wait_s: float,
    inline_s: float,
    known: bool,
) -> None:
    execution = executed(
        folder,
        batch_rows=batch_rows,
        batch_wait_s=batch_wait_s,
        inline_s=inline_s,
        runners=1,
        warm=known,
    )
    try:
        found = asyncio.run(interleaved(execution, sent))
    finally:
        assert execution.abandon()
    for call, answer in zip(sent, found, strict=True):
        judge(call, answer, expected(alone, call), exact=folder.name != "native")


def judge(call: Call, answer: Any, right: Outputs | type[ModelwayError], *, exact: bool) -> None:
    """Fail unless the answer is the one the request gets alone, or it was given up or late."""
    if isinstance(answer, asyncio.CancelledError):
        assert call.given_up
        event("given up")
    elif isinstance(answer, DeadlineExceeded):
        assert call.left_s is not None
        assert call.left_s < 60
        event("late")
    elif isinstance(answer, Exception):
        assert type(answer) is right
        assert call.poisoned is not None
        assert isinstance(answer, InputRefused | PredictFailed)
        event("refused")
    else:
        assert isinstance(right, dict)
        event("answered")
        if exact:
            assert_same_outputs(answer, right)
        else:
            assert answer["class_index"].tolist() == right["class_index"].tolist()
            close = np.abs(answer["probabilities"] - right["probabilities"])
            assert close.max() <= TOLERANCE
