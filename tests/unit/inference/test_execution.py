"""Where models run, and what becomes of their failures."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelway.domain.errors import OutputInvalid, PredictFailed
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Table
from modelway.inference.execution import Execution, check_outputs, predict
from modelway.inference.loading import LoadedModel
from modelway.settings import InferenceSettings
from support.served import FLOWER, compiled_bundle, flower_graph, function_bundle, loaded

NUMBERS = Signature(columns=(Column("a", "a", Datatype.FP64),))
RULES = """
import threading, time

busy = []

def place(a):
    return threading.current_thread().name

def alone(a):
    busy.append(a)
    time.sleep(0.002)
    seen = len(busy)
    busy.remove(a)
    return seen

def fails(a):
    if a == 1:
        return a
    raise (SystemExit if a == 2 else ValueError)("secret")
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    folder: Path = tmp_path_factory.mktemp("models")
    flower = compiled_bundle(folder / "flower", flower_graph(), FLOWER, classes=(0, 1, 2))
    found = {"flower": loaded(flower, "flower")}
    for name in ("place", "alone", "fails"):
        bundle = function_bundle(folder / f"run_{name}", RULES, name, NUMBERS)
        found[name] = loaded(bundle, name)
    return found


@pytest.fixture
def execution() -> Iterator[Execution]:
    made = Execution(InferenceSettings(inline_rows=4, threads=2))
    yield made
    made.close()


def table(model: LoadedModel, n_rows: int, value: float = 1.0) -> Table:
    matrix = np.full((n_rows, len(model.signature.columns)), value)
    return Table(model.signature, n_rows, matrix=matrix)


def run(execution: Execution, model: LoadedModel, n_rows: int, value: float = 1.0) -> Any:
    return asyncio.run(execution.run(model, table(model, n_rows, value)))


def test_few_and_many_rows_of_a_compiled_model_are_answered_alike(
    execution: Execution, models: dict[str, LoadedModel]
) -> None:
    for n_rows in (1, 4, 5, 1000):
        outputs = run(execution, models["flower"], n_rows, 1.5)
        assert outputs["class_index"].tolist() == [1] * n_rows
        assert outputs["probabilities"].shape == (n_rows, 3)


def test_without_rows_the_model_is_not_asked(
    execution: Execution, models: dict[str, LoadedModel]
) -> None:
    assert run(execution, models["flower"], 0)["probabilities"].shape == (0, 3)
    assert run(execution, models["fails"], 0)["prediction"].shape == (0,)


def test_a_native_model_has_a_thread_of_its_own(
    execution: Execution, models: dict[str, LoadedModel]
) -> None:
    names = {run(execution, models["place"], 1)["prediction"][0] for _ in range(3)}
    assert names == {"infer-place_0"}


def test_a_native_model_is_called_one_call_at_a_time(
    execution: Execution, models: dict[str, LoadedModel]
) -> None:
    model = models["alone"]

    async def several() -> list[Any]:
        calls = [execution.run(model, table(model, 2, float(k))) for k in range(8)]
        return await asyncio.gather(*calls)

    assert {seen for one in asyncio.run(several()) for seen in one["prediction"]} == {1}


def test_work_aside_is_off_the_event_loop(execution: Execution) -> None:
    thread = asyncio.run(execution.aside(threading.current_thread))
    assert thread is not threading.current_thread()


@pytest.mark.parametrize("value", [2.0, 3.0])
def test_what_a_model_raises_becomes_one_error(
    execution: Execution, models: dict[str, LoadedModel], value: float
) -> None:
    with pytest.raises(PredictFailed, match="fails"):
        run(execution, models["fails"], 1, value)
    assert run(execution, models["fails"], 1)["prediction"].tolist() == [1.0]


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
def test_outputs_that_do_not_fit_are_refused(
    models: dict[str, LoadedModel], outputs: dict[str, Any]
) -> None:
    with pytest.raises(OutputInvalid):
        check_outputs(outputs, 2, models["flower"])


def test_outputs_that_fit(models: dict[str, LoadedModel]) -> None:
    outputs = {"class_index": np.array([0, 2]), "probabilities": np.zeros((2, 3))}
    check_outputs(outputs, 2, models["flower"])
    assert set(predict(models["flower"], table(models["flower"], 2))) == set(outputs)


def test_closing_does_not_wait_for_what_runs() -> None:
    execution = Execution(InferenceSettings(threads=1))
    started, release = threading.Event(), threading.Event()

    def work() -> bool:
        started.set()
        return release.wait(20)

    async def closed() -> list[bool]:
        first = asyncio.create_task(execution.aside(work))
        waiting = asyncio.create_task(execution.aside(work))
        await asyncio.to_thread(started.wait, 20)
        ended = [execution.close()]
        with pytest.raises(asyncio.CancelledError):
            await waiting
        release.set()
        assert await first
        return [*ended, execution.close()]

    assert asyncio.run(closed()) == [False, True]


def test_closing_twice_does_no_harm(models: dict[str, LoadedModel]) -> None:
    execution = Execution(InferenceSettings(threads=1))
    run(execution, models["place"], 1)
    assert execution.close()
    assert execution.close()
