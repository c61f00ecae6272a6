"""Recorded predictions, found and replayed: what was answered is answered again, to the bit."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelway.access.keys import Key, Scope
from modelway.backends.duckdb_records import DuckdbRecords
from modelway.bundles.store import open_bundle
from modelway.cli.main import run
from modelway.composition.answering_apart import answer_apart
from modelway.composition.control import Control
from modelway.composition.operations import carried_out, read_parameters
from modelway.composition.recorded_predictions import RecordedPredictions, answer_of
from modelway.composition.recording import identify_by
from modelway.composition.trace_operations import TRACE
from modelway.domain.errors import (
    DeadlineExceeded,
    Forbidden,
    InvalidInput,
    ModelCrashed,
    NotReplayable,
    PredictionNotFound,
    Unavailable,
)
from modelway.domain.inference import InferenceRequest
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.stopping import Limit
from modelway.domain.tables import Table
from modelway.endpoints.router import EndpointRouter
from modelway.inference.dataplane import DataPlane
from modelway.lineage.replay import Outcome, Replaying
from modelway.records.policy import EndpointPolicy, RecordingPolicy
from modelway.records.recorder import Recorder
from modelway.settings import load_settings
from support.canaries import NUMBERS
from support.recording import Counted
from support.served import FLOWER, compiled_bundle, flower_graph, function_bundle, loaded, plane_of
from support.shell import Shell

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
ABORTING = """
import os

def rule(a):
    if "ABORTS" in os.environ:
        os.abort()
    return a
"""
SLOW = """
import time

def rule(a):
    time.sleep(60)
    return a
"""


def recorded(
    root: Path,
    folder: Path,
    tables: Sequence[Table],
    policy: RecordingPolicy | None = None,
    endpoint: str = "it",
    own_id: str | None = None,
) -> list[str]:
    """The ids of what the bundle in a folder answered to tables, recorded as a service does."""
    model = loaded(folder, endpoint)
    plane = plane_of([model])
    assert isinstance(plane.router, EndpointRouter)
    recorder = Recorder(root, "0", identify_by(plane.router), Counted(), policy)
    observed = DataPlane(plane.router, plane.catalogue, [recorder])

    async def ask() -> list[str]:
        requests = [InferenceRequest(endpoint, table, own_id) for table in tables]
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


def test_an_id_that_was_asked_again_is_its_last_answer(tmp_path: Path, flower: Path) -> None:
    root = tmp_path / "records"
    many, few = flowers(5, 2)
    for table in (many, few):
        recorded(root, flower, [table], own_id="order-1")
    it = desk(root, flower)
    found = it.find("order-1")
    assert found.n_rows == 2
    np.testing.assert_array_equal(found.inputs["petal width"], few.arrays[1])
    assert (it.replay("order-1").outcome, it.replay("order-1").n_rows) == (Outcome.IDENTICAL, 2)


def test_an_id_of_several_endpoints_is_said(tmp_path: Path, flower: Path) -> None:
    root = tmp_path / "records"
    for endpoint, table in zip(("loan", "churn"), flowers(5, 2), strict=True):
        recorded(root, flower, [table], endpoint=endpoint, own_id="order-1")
    it = desk(root, flower)
    with pytest.raises(InvalidInput, match="order-1 is the id of predictions of churn, loan"):
        it.find("order-1")
    assert (it.find("order-1", "loan").n_rows, it.find("order-1", "churn").n_rows) == (5, 2)
    with pytest.raises(PredictionNotFound):
        it.find("order-1", "fraud")


def test_another_model_under_the_same_digest_is_seen(tmp_path: Path, flower: Path) -> None:
    root = tmp_path / "records"
    (id,) = recorded(root, flower, flowers(5))
    other = compiled_bundle(tmp_path / "other", flower_graph(0.7), FLOWER, classes=("a", "b", "c"))
    it = desk(root, flower, instead={open_bundle(flower).digest: other})
    replayed = it.replay(id)
    assert replayed.outcome == Outcome.DIFFERENT
    assert replayed.differing > 0


def test_a_model_that_aborts_ends_the_replay_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = function_bundle(tmp_path / "rule", ABORTING, "rule", NUMBERS)
    root = tmp_path / "records"
    (id,) = recorded(root, folder, [Table(NUMBERS, 1, arrays=(np.array([7.0]),))])
    monkeypatch.setenv("ABORTS", "1")
    with pytest.raises(ModelCrashed, match="died"):
        desk(root, folder).replay(id)


def test_a_replay_whose_asker_has_left_ends(tmp_path: Path) -> None:
    folder = function_bundle(tmp_path / "rule", SLOW, "rule", NUMBERS)
    asked = Table(NUMBERS, 1, arrays=(np.array([7.0]),))
    began, gone = time.monotonic(), threading.Event()
    threading.Timer(1.0, gone.set).start()
    settings = load_settings({}, folder=tmp_path)
    with pytest.raises(Unavailable, match="nobody waits"):
        answer_apart(folder, asked, settings.inference, Limit(60, gone), allow_pickle=True)
    with pytest.raises(DeadlineExceeded, match=r"over 0\.5 s"):
        limit = Limit(0.5, threading.Event())
        answer_apart(folder, asked, settings.inference, limit, allow_pickle=True)
    assert time.monotonic() - began < 45


def test_redacted_columns_are_said(tmp_path: Path, flower: Path) -> None:
    root = tmp_path / "records"
    policy = RecordingPolicy(EndpointPolicy(dropped=frozenset({"petal width"})))
    (id,) = recorded(root, flower, flowers(1), policy)
    with pytest.raises(NotReplayable, match="redacted: petal width"):
        desk(root, flower).replay(id)


def test_the_command_line_ends_with_a_code_for_each_outcome(
    tmp_path: Path, flower: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    policy = RecordingPolicy(EndpointPolicy(dropped=frozenset({"petal width"})))
    (redacted,) = recorded(home / "records", flower, flowers(1), policy)
    (kept,) = recorded(home / "records", flower, flowers(5))
    digest = open_bundle(flower).digest
    bundle = home / "bundles" / digest.removeprefix("sha256:")

    def replayed(id: str) -> int:
        return run(["trace", id, "--replay", "--home", str(home)])

    shutil.copytree(flower, bundle)
    assert (replayed(kept), replayed(redacted)) == (0, 9)
    shutil.rmtree(bundle)
    shutil.copytree(
        compiled_bundle(tmp_path / "other", flower_graph(0.7), FLOWER, classes=("a", "b", "c")),
        bundle,
    )
    assert replayed(kept) == 10


def test_a_bundle_that_is_gone_and_an_unknown_id_are_said(tmp_path: Path, flower: Path) -> None:
    root = tmp_path / "records"
    (id,) = recorded(root, flower, flowers(1))
    it = desk(root)
    with pytest.raises(NotReplayable, match="is not here any more"):
        it.replay(id)
    with pytest.raises(PredictionNotFound):
        it.find("nobody")


def test_of_an_id_of_several_endpoints_one_is_traced_and_replayed(
    tmp_path: Path, flower: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    for endpoint, table in zip(("loan", "churn"), flowers(5, 2), strict=True):
        recorded(home / "records", flower, [table], endpoint=endpoint, own_id="order-1")
    (home / "bundles").mkdir()
    digest = open_bundle(flower).digest
    (home / "bundles" / digest.removeprefix("sha256:")).symlink_to(flower)
    shell = Shell(home, capsys)
    shell("trace", "order-1", code=2)
    assert "is the id of predictions of churn, loan" in shell.said
    assert "modelway trace ID --endpoint churn" in shell.said
    for endpoint, n_rows in (("loan", 5), ("churn", 2)):
        found = shell.json("trace", "order-1", "--endpoint", endpoint, "--replay")
        assert (found["endpoint"], found["n_rows"]) == (endpoint, n_rows)
        assert (found["replay"]["outcome"], found["replay"]["n_rows"]) == ("identical", n_rows)
    row = shell.json("trace", "order-1:3", "--endpoint", "loan")
    assert (row["row"], row["endpoint"]) == (3, "loan")
    shell("trace", "order-1:3", "--endpoint", "churn", code=3)
    assert "no prediction of churn with the id 'order-1:3' is recorded" in shell.said


def test_a_key_for_one_endpoint_traces_what_that_one_answered(tmp_path: Path, flower: Path) -> None:
    home = tmp_path / "home"
    for endpoint, table in zip(("loan", "churn"), flowers(5, 2), strict=True):
        recorded(home / "records", flower, [table], endpoint=endpoint, own_id="order-1")
    scopes, at = frozenset((Scope.READ,)), datetime(2026, 1, 1, tzinfo=UTC)
    key = Key("k", "ann", b"", scopes, ("loan",), at)
    with Control(load_settings({"bundles.home": home}, environment={})) as control:

        def traced(endpoint: str) -> Any:
            asked = read_parameters(TRACE, {"id": "order-1", "endpoint": endpoint})
            return carried_out(control, TRACE, asked, key.actor, key)

        assert traced("loan").n_rows == 5
        with pytest.raises(Forbidden):
            traced("churn")
