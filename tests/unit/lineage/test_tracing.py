from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from modelway.backends.sql.store import Store, open_store
from modelway.bundles.record import Record
from modelway.domain.errors import DigestMismatch, PredictionNotFound
from modelway.endpoints.endpoint import Canary, Endpoint, Revision
from modelway.lineage.origin import Commit, DvcPointer, Origin
from modelway.lineage.ports import Recorded
from modelway.lineage.tracing import Trace, Tracing
from modelway.registry.models import ModelVersion, Run
from modelway.registry.promotions import Kind, Promotion
from support.ledgers import MemoryLedger
from support.lineages import MemoryPredictions, MemoryRegistry

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DIGEST = "sha256:" + "7" * 64
ORIGIN = Origin(
    Commit("abc", "main", False, "git@example.org:loan.git"),
    data="train.csv",
    data_sha256="12" * 32,
    dvc=DvcPointer("md5", "ab" * 16, "train.csv", 9),
    lock="uv.lock",
    lock_sha256="34" * 32,
)
RUN = Run("r7", "forest", NOON, {"depth": "4"}, {"accuracy": 0.81}, {"mlflow.user": "ann"})
VERSION = ModelVersion(
    *("loan", "7", NOON, "mlflow-artifacts:/7", "r7"),
    tags={**ORIGIN.tags(), "team": "loans"},
    description="the forest",
)
ANSWERED = Recorded(
    prediction_id="p1",
    endpoint="loan",
    model="loan",
    version="7",
    digest=DIGEST,
    role="live",
    at=NOON,
    n_rows=2,
    inputs={
        "age": np.array([31.0, np.nan]),
        "area": np.array(["town", None], dtype=object),
        "since": np.array(["2026-01-02T03:04:05", "NaT"], dtype="datetime64[us]"),
        "name": None,
    },
    outputs={"class_index": np.array([1, 0])},
)


def hours(number: float) -> datetime:
    return NOON + timedelta(hours=number)


def move(number: int, to_version: str | None, at: datetime, alias: str = "champion") -> Promotion:
    why = f"{to_version} is better"
    return Promotion("loan", alias, number, None, to_version, Kind.PROMOTED, "ann", why, at)


class Case:
    """Everything that a trace asks, and what a test changes of it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ledger = MemoryLedger()
        self.registry = MemoryRegistry([VERSION], {"r7": RUN})
        self.record: Record | None = Record(
            DIGEST, "loan", "model.pickle", "56" * 32, NOON.isoformat(), "0.1.0"
        )
        self._revisions = 0

    def revise(self, endpoint: Endpoint | None, at: datetime, why: str = "") -> Revision:
        self._revisions += 1
        revision = Revision("loan", self._revisions, endpoint, "bob", why, at)
        self.store.endpoints.append(revision)
        return revision

    def bundle(self, digest: str) -> Record | None:
        assert digest == DIGEST
        return self.record

    def trace(self, recorded: Recorded = ANSWERED, id: str | None = None, **changed: Any) -> Trace:
        one = replace(recorded, **changed)
        tracing = Tracing(
            MemoryPredictions(one), self.store.endpoints, self.ledger, self.registry, self.bundle
        )
        return tracing.trace(id or one.prediction_id)


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    with open_store(f"sqlite:///{tmp_path / 'control.db'}") as store:
        yield Case(store)


def test_a_move_that_was_refused_put_nothing_there(case: Case) -> None:
    case.revise(Endpoint("loan", "loan@champion"), hours(-3))
    promoted = move(1, "7", hours(-2))
    case.ledger.append(promoted)
    case.ledger.append(replace(move(2, "7", hours(-1)), kind=Kind.REFUSED, actor="mlflow"))
    placement = case.trace().placement
    assert placement is not None
    assert placement.promotion == promoted


def test_the_whole_chain(case: Case) -> None:
    revision = case.revise(Endpoint("loan", "loan@champion"), hours(-3))
    case.ledger.append(move(1, "6", hours(-2)))
    promoted = move(2, "7", hours(-1))
    case.ledger.append(promoted)
    trace = case.trace()
    assert trace.missing == ()
    assert (trace.endpoint, trace.role, trace.model, trace.version) == (
        *("loan", "live", "loan"),
        "7",
    )
    assert trace.digest == DIGEST
    assert trace.bundle == case.record
    assert trace.registered == VERSION
    assert trace.run == RUN
    assert trace.origin == ORIGIN
    assert trace.placement is not None
    assert trace.placement.promotion == promoted
    assert trace.placement.revision == revision
    assert trace.placement.reference == "loan@champion"


def test_a_trace_is_json(case: Case) -> None:
    case.revise(Endpoint("loan", "loan:7"), hours(-1))
    plain = msgspec.json.decode(msgspec.json.encode(case.trace()))
    assert plain["inputs"] == {
        "age": [31.0, None],
        "area": ["town", None],
        "since": ["2026-01-02T03:04:05.000000", "NaT"],
        "name": None,
    }
    assert plain["outputs"] == {"class_index": [1, 0]}
    assert plain["run"]["metrics"] == {"accuracy": 0.81}


def test_one_row(case: Case) -> None:
    trace = case.trace(id="p1:1")
    assert (trace.prediction_id, trace.row) == ("p1", 1)
    assert trace.inputs["area"] == [None]
    assert trace.outputs == {"class_index": [0]}


def test_a_callers_own_id_may_look_like_a_row(case: Case) -> None:
    trace = case.trace(prediction_id="order:1")
    assert (trace.prediction_id, trace.row) == ("order:1", None)


@pytest.mark.parametrize("id", ["p2", "p2:0", "p1:2", "p1:x", "p1:", ":1"])
def test_only_an_unknown_prediction_is_an_error(case: Case, id: str) -> None:
    with pytest.raises(PredictionNotFound) as error:
        case.trace(id=id)
    assert error.value.prediction_id == id


def test_the_move_at_that_time_counts(case: Case) -> None:
    case.revise(Endpoint("loan", "loan@champion"), hours(-9))
    for number, (version, at) in enumerate([("7", -5), ("8", -4), ("7", -3), ("8", 1), ("7", 2)]):
        case.ledger.append(move(number + 1, version, hours(at)))
    case.ledger.append(move(1, "7", hours(-1), alias="challenger"))
    placement = case.trace().placement
    assert placement is not None
    assert placement.promotion is not None
    assert (placement.promotion.number, placement.promotion.alias) == (3, "champion")


def test_a_worker_may_answer_a_moment_after_the_alias_moved_on(case: Case) -> None:
    case.revise(Endpoint("loan", "loan@champion"), hours(-9))
    case.ledger.append(move(1, "7", hours(-2)))
    case.ledger.append(move(2, "8", NOON - timedelta(seconds=1)))
    placement = case.trace().placement
    assert placement is not None
    assert placement.promotion is not None
    assert placement.promotion.number == 1


def test_a_version_that_was_named_itself(case: Case) -> None:
    case.revise(Endpoint("loan", "loan:6"), hours(-4))
    named = case.revise(Endpoint("loan", "loan:7"), hours(-3), "a quick repair")
    case.revise(Endpoint("loan", "loan:7", shadows=("loan:8",)), hours(-2))
    case.revise(Endpoint("loan", "loan:9"), hours(1))
    placement = case.trace().placement
    assert placement is not None
    assert placement.promotion is None
    assert placement.revision == named


@pytest.mark.parametrize("role", ["canary", "shadow"])
def test_a_version_in_another_role(case: Case, role: str) -> None:
    case.revise(Endpoint("loan", "loan:7"), hours(-3))
    canaries, shadows = (Canary("loan:5", 0.1), Canary("loan:7", 0.1)), ("loan@next",)
    now = case.revise(Endpoint("loan", "loan:6", canaries, shadows), hours(-2))
    case.ledger.append(move(1, "7", hours(-1), alias="next"))
    placement = case.trace(role=role).placement
    assert placement is not None
    assert placement.revision == now
    assert placement.reference == ("loan:7" if role == "canary" else "loan@next")
    assert (placement.promotion is None) is (role == "canary")


def test_an_endpoint_that_was_removed_and_made_again(case: Case) -> None:
    case.revise(Endpoint("loan", "loan:7"), hours(-3))
    case.revise(None, hours(-2))
    again = case.revise(Endpoint("loan", "loan:7"), hours(-1))
    placement = case.trace().placement
    assert placement is not None
    assert placement.revision == again


def test_what_nobody_entered_is_said(case: Case) -> None:
    case.revise(Endpoint("loan", "loan@champion"), hours(-1))
    case.ledger.append(move(1, "7", hours(1)))
    trace = case.trace()
    assert trace.placement is None
    assert trace.missing == (
        "nothing is entered that made loan:7 the live version of loan before "
        "2026-11-21T12:00:00+00:00",
    )


def test_a_registry_that_is_away(case: Case) -> None:
    case.revise(Endpoint("loan", "loan:7"), hours(-1))
    case.registry.away = True
    trace = case.trace()
    assert (trace.registered, trace.run, trace.origin) == (None, None, None)
    assert trace.placement is not None
    assert trace.missing == ("loan:7 in the registry: the registry cannot be reached",)


def test_a_version_and_a_run_that_were_deleted(case: Case) -> None:
    case.revise(Endpoint("loan", "loan:7"), hours(-1))
    case.registry.runs = {}
    trace = case.trace()
    assert trace.origin == ORIGIN
    assert trace.missing == ("the run r7: the registry has no run 'r7'",)
    case.registry.held = [replace(VERSION, version="8")]
    assert case.trace().missing == ("loan:7 in the registry: loan has no version '7'; there is: 8",)


def test_a_version_without_a_run_or_an_origin(case: Case) -> None:
    case.revise(Endpoint("loan", "loan:7"), hours(-1))
    case.registry.held = [replace(VERSION, run_id=None, tags={})]
    trace = case.trace()
    assert trace.run is None
    assert trace.missing == (
        "loan:7 came from no run",
        "nothing was noted of where loan:7 comes from",
    )


def test_the_runs_commit_counts_for_a_version_that_plain_mlflow_logged(case: Case) -> None:
    case.registry.held = [replace(VERSION, tags={})]
    case.registry.runs = {"r7": replace(RUN, tags={"mlflow.source.git.commit": "fed"})}
    assert case.trace().origin == Origin(Commit("fed"))


def test_a_bundle_that_is_gone_or_damaged(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.revise(Endpoint("loan", "loan:7"), hours(-1))
    case.record = None
    assert case.trace().missing == (f"the bundle {DIGEST} is not here any more",)

    def damaged(digest: str) -> Record:
        raise DigestMismatch("there", digest, "sha256:8")

    monkeypatch.setattr(case, "bundle", damaged)
    (told,) = case.trace().missing
    assert told.startswith(f"the bundle {DIGEST} cannot be read: ")


def test_what_was_never_registered(case: Case) -> None:
    trace = case.trace(version=DIGEST, model=None)
    assert trace.bundle is not None
    assert trace.missing == ("what answered was never registered: there is no run and no origin",)


def test_a_request_that_was_refused(case: Case) -> None:
    trace = case.trace(
        *(), model=None, version=None, digest=None, outputs=None, status="signature-mismatch"
    )
    assert (trace.status, trace.outputs) == ("signature-mismatch", None)
    assert "no bundle answered" in trace.missing
