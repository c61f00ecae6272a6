"""Recorded predictions, found and replayed: what was answered is answered again, to the bit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelway.backends.duckdb_records import DuckdbRecords
from modelway.bundles.store import open_bundle
from modelway.composition.recorded_predictions import RecordedPredictions, answer_of
from modelway.composition.recording import identify_by
from modelway.domain.errors import NotReplayable, PredictionNotFound
from modelway.domain.inference import InferenceRequest
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Table
from modelway.endpoints.router import EndpointRouter
from modelway.inference.dataplane import DataPlane
from modelway.lineage.replay import Outcome, Replaying
from modelway.records.policy import EndpointPolicy, RecordingPolicy
from modelway.records.recorder import Recorder
from modelway.settings import load_settings
from support.recording import Counted
from support.served import FLOWER, compiled_bundle, flower_graph, function_bundle, loaded, plane_of

MIXED = Signature(
    columns=(
        Column("name", "name", Datatype.STRING, nullable=True),
        Column("income", "income", Datatype.FP64, nullable=True),
        Column("since", "since", Datatype.DATETIME, nullable=True),
        Column("adult", "adult", Datatype.BOOL),
    )
)
RULE = """
def rule(name, income, since, adult):
    year = 0 if since is None else since.year
    income = 0.1 if income is None or income != income else income / 3
    return len(name or "") + income + year + adult
"""


def recorded(
    root: Path, folder: Path, tables: Sequence[Table], policy: RecordingPolicy | None = None
) -> list[str]:
    """The ids of what the bundle in a folder answered to tables, recorded as a service does."""
    model = loaded(folder, "it")
    plane = plane_of([model])
    assert isinstance(plane.router, EndpointRouter)
    recorder = Recorder(root, "0", identify_by(plane.router), Counted(), policy)
    observed = DataPlane(plane.router, plane.catalogue, [recorder])

    async def ask() -> list[str]:
        requests = [InferenceRequest("it", table) for table in tables]
        answers = await asyncio.gather(*(observed.infer(one, model) for one in requests))
        return [one.prediction_id for one in answers]

    ids = asyncio.run(ask())
    recorder.close()
    return ids


class Desk:
    def __init__(self, predictions: RecordedPredictions, replaying: Replaying) -> None:
        self.find = predictions.find
        self._replaying = replaying

    def replay(self, id: str) -> Any:
        return self._replaying.replay(self.find(id))


def desk(root: Path, *folders: Path, instead: dict[str, Path] | None = None) -> Desk:
    """What finds and replays predictions of bundles, some of them ``instead`` of others."""
    bundles = {bundle.digest: bundle for bundle in map(open_bundle, folders)}
    bundles.update({digest: open_bundle(folder) for digest, folder in (instead or {}).items()})
    predictions = RecordedPredictions(DuckdbRecords(root, lambda: []), bundles.get)
    answer = answer_of(load_settings({}, folder=root))
    return Desk(predictions, Replaying(predictions, bundles.get, answer))


@pytest.fixture
def flower(tmp_path: Path) -> Path:
    return compiled_bundle(tmp_path / "flower", flower_graph(0.5), FLOWER, classes=("a", "b", "c"))


def flowers(*rows: int) -> list[Table]:
    random = np.random.default_rng(1)
    return [Table(FLOWER, n, matrix=random.uniform(0, 8, (n, 2))) for n in rows]


def test_a_compiled_models_answers_are_the_same_to_the_bit(tmp_path: Path, flower: Path) -> None:
    root = tmp_path / "records"
    tables = flowers(1, 3, 1, 7)
    ids = recorded(root, flower, tables)
    it = desk(root, flower)
    for id, table in zip(ids, tables, strict=True):
        found = it.find(id)
        assert found.n_rows == table.n_rows
        for column, values in zip(FLOWER.columns, table.arrays, strict=True):
            np.testing.assert_array_equal(found.inputs[column.name], values)
        replayed = it.replay(id)
        assert (replayed.outcome, replayed.n_rows) == (Outcome.IDENTICAL, table.n_rows)


def test_texts_times_booleans_and_what_is_missing_come_back(tmp_path: Path) -> None:
    folder = function_bundle(tmp_path / "rule", RULE, "rule", MIXED)
    root = tmp_path / "records"
    nat = np.datetime64("NaT")
    table = Table(
        MIXED,
        3,
        arrays=(
            np.array(["Änne", None, ""], dtype=object),
            np.array([1.5, np.nan, -0.0]),
            np.array(["2020-02-29T01:02:03.000004", nat, "1999-12-31"], "datetime64[us]"),
            np.array([True, False, True]),
        ),
    )
    (id,) = recorded(root, folder, [table])
    it = desk(root, folder)
    assert it.replay(id).outcome == Outcome.IDENTICAL
    names = it.find(id).inputs["name"]
    assert names is not None
    assert names.tolist() == ["Änne", None, ""]


def test_another_model_under_the_same_digest_is_seen(tmp_path: Path, flower: Path) -> None:
    root = tmp_path / "records"
    (id,) = recorded(root, flower, flowers(5))
    other = compiled_bundle(tmp_path / "other", flower_graph(0.7), FLOWER, classes=("a", "b", "c"))
    it = desk(root, flower, instead={open_bundle(flower).digest: other})
    replayed = it.replay(id)
    assert replayed.outcome == Outcome.DIFFERENT
    assert replayed.differing > 0


def test_redacted_columns_are_said(tmp_path: Path, flower: Path) -> None:
    root = tmp_path / "records"
    policy = RecordingPolicy(EndpointPolicy(dropped=frozenset({"petal width"})))
    (id,) = recorded(root, flower, flowers(1), policy)
    with pytest.raises(NotReplayable, match="redacted: petal width"):
        desk(root, flower).replay(id)


def test_a_bundle_that_is_gone_and_an_unknown_id_are_said(tmp_path: Path, flower: Path) -> None:
    root = tmp_path / "records"
    (id,) = recorded(root, flower, flowers(1))
    it = desk(root)
    with pytest.raises(NotReplayable, match="is not here any more"):
        it.replay(id)
    with pytest.raises(PredictionNotFound):
        it.find("nobody")
