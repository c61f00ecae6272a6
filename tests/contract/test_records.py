"""What readers and keepers of records promise, clause by clause, on the shipped backends."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from modelway.backends.arrow_records import labels
from modelway.backends.duckdb_records import DuckdbRecords
from modelway.backends.parquet_records import ParquetRecords
from modelway.domain.errors import (
    DeadlineExceeded,
    InvalidInput,
    MalformedPayload,
    PredictFailed,
    PredictionNotFound,
    StoreUnavailable,
    TargetExists,
    Unavailable,
)
from modelway.domain.identifiers import new_prediction_id
from modelway.domain.inference import InferenceRequest, InferenceResponse
from modelway.domain.signature import Column, Datatype, Scalar, Signature, TensorSpec
from modelway.domain.tables import Table
from modelway.records.flushing import Flush
from modelway.records.labels import Label
from modelway.records.policy import EndpointPolicy, RecordingPolicy
from modelway.records.recorder import Recorder, RecordingBounds
from modelway.records.segments import SegmentBounds, segments_in, taken_over
from modelway.records.writing import Writing
from support.recording import (
    CLASSES,
    IRIS,
    PEOPLE,
    Counted,
    files_below,
    identify,
    iris,
    people,
    recorded,
    tensors,
    told_of,
)

KEY = b"a key of the home"
COUNT = "select count(*), count(distinct prediction_id) from predictions"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "records"


@pytest.fixture(params=["unsealed", "sealed", "both"])
def state(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def seal(root: Path, state: str) -> None:
    """Bring what is recorded so far into the state that is tested."""
    if state == "sealed":
        ParquetRecords(root, KEY).seal_once()


def labelled(*labels: tuple[str, int, Scalar, int]) -> list[Label]:
    now = datetime.now(UTC)
    return [Label(i, row, value, now, now, "test", revision) for i, row, value, revision in labels]


def test_nothing_recorded_is_nothing_found(root: Path) -> None:
    reader = DuckdbRecords(root)
    assert reader.query("select * from predictions").rows == []
    assert reader.query("select * from labelled").rows == []
    assert reader.coverage() == []
    assert ParquetRecords(root).seal_once().segments == 0
    with pytest.raises(PredictionNotFound):
        reader.show(new_prediction_id())


def test_a_record_is_found_by_name_and_type(root: Path, state: str) -> None:
    recorded(root, iris(3, ids=["i-0", "i-1", "i-2"]), slot="0")
    seal(root, "sealed" if state == "both" else state)
    recorded(root, people(["Erika", None], [1200, float("nan")], prediction_id="p"), slot="1")
    seal(root, state)
    reader = DuckdbRecords(root)
    rows = reader.query(
        'select inputs.a, outputs.prediction, outputs.probabilities from "iris"'
    ).rows
    assert sorted(rows) == [(float(k), k, [1 / 3] * 3) for k in range(3)]
    found = reader.query(
        'select "row", inputs.name, inputs.income, inputs.since, outputs.prediction, principal '
        "from loan order by 1"
    )
    since = datetime(2020, 2, 29, 12, 0, 0, 1)
    assert found.rows == [(0, "Erika", 1200, since, 0.0, "ann"), (1, None, None, since, 0.5, "ann")]
    every = reader.query(
        "select endpoint, prediction, inputs->>'name' from predictions order by all"
    )
    assert every.rows == [
        ("iris", "0", None),
        ("iris", "1", None),
        ("iris", "2", None),
        ("loan", "0.0", "Erika"),
        ("loan", "0.5", None),
    ]


def test_who_answered_and_when_is_in_every_record(root: Path, state: str) -> None:
    before = datetime.now(UTC).replace(tzinfo=None)
    recorded(root, iris(1))
    seal(root, state)
    (row,) = (
        DuckdbRecords(root)
        .query(
            "select endpoint, model, version, digest, role, status, latency_s, sampling_rate, "
            "event_time, record_time from predictions"
        )
        .rows
    )
    assert row[:8] == ("iris", "iris", "7", "sha256:7", "live", "ok", 0.001, 1.0)
    event, record = row[8:]
    assert record - event >= timedelta(milliseconds=1)
    assert (
        before - timedelta(milliseconds=2)
        <= event
        <= record
        <= datetime.now(UTC).replace(tzinfo=None)
    )


def test_failures_and_refusals_are_recorded(root: Path, state: str) -> None:
    counted = Counted()
    recorder = Recorder(root, "0", identify, counted)
    failed = InferenceRequest("iris", Table(IRIS, 2, cells=[(1.0, 2.0, 3.0, 4.0)] * 2), "f")
    recorder.failed(failed, PredictFailed("no"), 0.5)
    recorder.failed(
        InferenceRequest("iris", Table(IRIS, 0, arrays=()), "r"), MalformedPayload("no"), 0
    )
    recorder.failed(
        InferenceRequest("loan", Table(PEOPLE, 0, arrays=())), MalformedPayload("no"), 0
    )
    recorder.close()
    seal(root, state)
    reader = DuckdbRecords(root)
    rows = reader.query(
        "select endpoint, status, \"row\", version, inputs->>'a' from predictions order by all"
    ).rows
    assert rows == [
        ("iris", "malformed-payload", None, None, None),
        ("iris", "predict-failed", 0, None, "1.0"),
        ("iris", "predict-failed", 1, None, "1.0"),
        ("loan", "malformed-payload", None, None, None),
    ]
    (refused,) = reader.show("r")
    assert (refused["row"], refused["inputs"], refused["outputs"]) == (None, None, None)
    assert counted.n_recorded == 3


def test_rows_of_a_large_request_are_numbered_through(root: Path, state: str) -> None:
    values = np.random.default_rng(7).random((20_000, 4))
    request = InferenceRequest("iris", Table(IRIS, 20_000, matrix=values))
    response = InferenceResponse("iris", "7", "large", {"prediction": values[:, 0]}, 20_000)
    recorded(root, [(request, response, 0.1)])
    seal(root, state)
    rows = (
        DuckdbRecords(root)
        .query('select "row", inputs.b, outputs.prediction from iris order by "row"')
        .rows
    )
    assert rows == [(k, b, a) for k, (a, b) in enumerate(values[:, :2].tolist())]


def test_tensors_are_nested_lists(root: Path, state: str) -> None:
    signature = Signature(
        tensors=(
            TensorSpec("image", Datatype.FP32, (-1, -1, 2)),
            TensorSpec("word", Datatype.BYTES, (-1,)),
        )
    )
    told = []
    for k, side in enumerate((1, 3)):
        image = np.arange(2 * side * 2, dtype=np.float32).reshape(2, side, 2)
        words = np.array([b"\xff", f"w{k}"], dtype=object)
        table = Table(signature, 2, arrays=(image, words))
        response = InferenceResponse("vision", "1", f"t{k}", {"y": image.astype(np.float16)}, 2)
        told.append([(InferenceRequest("vision", table), response, 0.1)])
    recorded(root, *told)
    seal(root, state)
    rows = (
        DuckdbRecords(root)
        .query(
            'select prediction_id, "row", inputs.image, inputs.word, outputs.y '
            "from vision order by all"
        )
        .rows
    )
    assert rows[1][2:] == ([[2.0, 3.0]], b"w0", [[2.0, 3.0]])
    assert rows[2][2:] == ([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], b"\xff", rows[2][2])
    assert len(rows) == 4


def test_layouts_of_one_endpoint_are_put_under_one_another(root: Path, state: str) -> None:
    wider = Signature(
        columns=(Column("a", "a", Datatype.STRING), Column("new", "new", Datatype.BOOL))
    )
    texts = np.array(["x"], dtype=object)
    table = Table(wider, 1, arrays=(texts, np.array([1.0])))
    answer = InferenceResponse("iris", "8", "wide", {"prediction": np.array(["yes"])}, 1)
    recorded(root, iris(1), [(InferenceRequest("iris", table), answer, 0.1)])
    seal(root, state)
    rows = (
        DuckdbRecords(root)
        .query(
            "select version, inputs.a, inputs.new, inputs.b, outputs.prediction "
            "from iris order by 1"
        )
        .rows
    )
    assert rows == [("7", "0.0", None, 2.0, "0"), ("8", "x", True, None, "yes")]


def test_names_that_differ_in_case_only_stay_apart(root: Path, state: str) -> None:
    signature = Signature(
        columns=(Column("x", "x", Datatype.FP64), Column("X", "X", Datatype.FP64))
    )
    told = [
        (
            InferenceRequest(name, Table(signature, 1, cells=[(1.0, 2.0)])),
            InferenceResponse(name, "1", name, {"prediction": np.zeros(1)}, 1),
            0.1,
        )
        for name in ("Loan", "loan", "predictions")
    ]
    recorded(root, *([one] for one in told))
    seal(root, state)
    reader = DuckdbRecords(root)
    assert reader.query('select endpoint, inputs.x, inputs."X_2" from "Loan"').rows == [
        ("Loan", 1, 2)
    ]
    assert reader.query('select endpoint from "loan_"').rows == [("loan",)]
    assert reader.query('select endpoint from "predictions_"').rows == [("predictions",)]
    assert reader.show("loan")[0]["columns"][1]["field"] == "X_2"


def test_show_gives_live_and_shadow_by_row(root: Path, state: str) -> None:
    own, made = "mine", new_prediction_id()
    recorded(root, iris(1, version="s", ids=[own]), iris(1, ids=[own]), iris(1, ids=[made]))
    seal(root, state)
    reader = DuckdbRecords(root)
    assert [(one["role"], one["version"]) for one in reader.show(own)] == [
        ("live", "7"),
        ("shadow", "s"),
    ]
    (one,) = reader.show(made)
    assert one["inputs"] == {"a": 0.0, "b": 2.0, "c": 3.0, "d": 4.0}
    assert [column["form"] for column in one["columns"]] == ["kept"] * 4


def test_show_opens_only_files_of_the_day_an_id_was_made(root: Path) -> None:
    made = new_prediction_id()
    recorded(root, iris(1, ids=[made]))
    keeper = ParquetRecords(root)
    keeper.seal_once()
    old = root / "endpoint=iris" / "date=2001-02-03"
    old.mkdir()
    (old / "part-h-0-1-aaaaaaaaaaaa.parquet").write_bytes(b"no Parquet")
    assert len(DuckdbRecords(root).show(made)) == 1


def test_labels_are_joined_by_their_newest_revision(root: Path, state: str) -> None:
    recorded(root, iris(3, ids=["x", "y", "z"]), iris(1, version="s", ids=["x"]))
    seal(root, state)
    labels = labelled(("x", 0, 1, 1), ("x", 0, 2, 2), ("y", 0, "no", 1), ("never", 0, True, 1))
    reader = DuckdbRecords(root, lambda: labels)
    rows = reader.query(
        "select prediction_id, role, label, label_number from labelled order by all"
    ).rows
    assert rows == [("x", "live", "2", 2.0), ("x", "shadow", "2", 2.0), ("y", "live", "no", None)]
    assert reader.query("select value from labels where prediction_id = 'never'").rows == [
        ("true",)
    ]
    (coverage,) = reader.coverage()
    assert (coverage.endpoint, coverage.age, coverage.predicted, coverage.labelled) == (
        "iris",
        "<1h",
        3,
        2,
    )
    assert coverage.share == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_text('{secret}')",
        "select * from read_csv('{secret}')",
        "select * from '{secret}'",
        "select * from glob('{folder}/*')",
        "select * from read_parquet('{root}/**/*.parquet')",
        "copy predictions to '{folder}/out.csv'",
        "copy (select 1) to '{folder}/out.parquet'",
        "export database '{folder}/out'",
        "attach '{folder}/out.db'",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "pragma database_list",
        "create table t as select 1",
        "drop view predictions",
        "select 1; select 2",
        "with x as (select 1) insert into labels select 1",
        "call pragma_version()",
        "",
        "selec",
        "select nothing from predictions",
        "select * from RESERVED_NAME",
        "select * from secret_table",
    ],
)
def test_a_statement_neither_reads_nor_writes_anything_else(
    root: Path, tmp_path: Path, sql: str
) -> None:
    recorded(root, iris(1))
    ParquetRecords(root).seal_once()
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    secret_table = pq.read_table(next(root.rglob("*.parquet")), partitioning=None)
    before = files_below(tmp_path)
    with pytest.raises(InvalidInput):
        DuckdbRecords(root).query(sql.format(secret=secret, folder=tmp_path, root=root))
    assert files_below(tmp_path) == before
    assert secret_table.num_rows == 1


def test_a_statement_has_its_time(root: Path) -> None:
    with pytest.raises(DeadlineExceeded, match=r"over 0\.2 s"):
        DuckdbRecords(root, deadline_s=0.2).query(
            "select count(*) from range(100000000000) a where hash(a.range) = 1"
        )


def test_no_more_rows_are_given_than_were_asked_for(root: Path) -> None:
    recorded(root, iris(5))
    reader = DuckdbRecords(root)
    assert reader.query("select * from predictions", most_rows=5).truncated is False
    found = reader.query("select * from predictions", most_rows=4)
    assert (len(found.rows), found.truncated) == (4, True)


def test_labels_are_read_for_what_names_them_only(root: Path) -> None:
    read: list[str] = []

    def labels() -> list[Label]:
        read.append("again")
        return []

    reader = DuckdbRecords(root, labels)
    assert reader.query("select count(*) from predictions").rows == [(0,)]
    assert read == []
    assert reader.query('select count(*) from "LABELLED"').rows == [(0,)]
    assert reader.coverage() == []
    assert len(read) == 2


def test_no_more_bytes_are_given_than_an_answer_may_have(root: Path) -> None:
    reader = DuckdbRecords(root)
    large = "select repeat('x', 10000000) from range(10)"
    found = reader.query(large, most_rows=1000)
    assert (len(found.rows), found.truncated) == (3, True)
    nested = reader.query("select [{'a': repeat('x', 40000000)}] from range(2)", most_rows=9)
    assert (nested.rows, nested.truncated) == ([], True)


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_export_writes_what_a_query_gives(
    root: Path, tmp_path: Path, form: str, state: str
) -> None:
    recorded(root, iris(3, ids=["i", "j", "k"]))
    seal(root, state)
    path = tmp_path / f"out.{form}"
    reader = DuckdbRecords(root)
    sql = "select prediction_id, inputs, outputs.prediction as p from iris order by 1;"
    assert reader.export(path, sql, form) == 3  # type: ignore[arg-type] # one of them
    if form == "parquet":
        assert pq.read_table(path)["p"].to_pylist() == [0, 1, 2]
    elif form == "jsonl":
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert lines[1]["inputs"]["a"] == 1.0
    else:
        assert path.read_text().splitlines()[1] == (
            '"i","{""a"":0.0,""b"":2.0,""c"":3.0,""d"":4.0}",0'
        )
    with pytest.raises(TargetExists):
        reader.export(path, None, form)  # type: ignore[arg-type] # one of them
    assert reader.export(tmp_path / "all", None, form) == 3  # type: ignore[arg-type] # one of them
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(["all", path.name, "records"])


def test_export_says_what_forms_there_are(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="parquet, csv, jsonl"):
        DuckdbRecords(root).export(tmp_path / "x", None, "xml")  # type: ignore[arg-type] # wrong


def test_what_is_written_is_not_sealed_and_what_is_not_is(root: Path) -> None:
    recorder = Recorder(root, "0", identify, Counted())
    recorder.start()
    recorder.answered(iris(1))
    keeper, reader = ParquetRecords(root), DuckdbRecords(root)
    _wait_for(lambda: reader.query(COUNT).rows == [(1, 1)])
    assert keeper.seal_once().segments == 0
    recorder.close()
    assert keeper.seal_once().records == 1
    assert reader.query(COUNT).rows == [(1, 1)]
    assert not list((root / "segments").iterdir())


def test_segments_end_by_size_and_by_age(root: Path) -> None:
    for bounds in (SegmentBounds(n_bytes=1), SegmentBounds(n_rows=1), SegmentBounds(seconds=0)):
        recorder = Recorder(root, "0", identify, Counted(), bounds=RecordingBounds(segments=bounds))
        recorder.start()
        for n in (1, 2):
            recorder.answered(iris(1))
            _wait_for(partial(_are_free, root, n))
        recorder.close()
        assert ParquetRecords(root).seal_once().segments == 2


def test_compaction_merges_past_days_and_changes_no_record(root: Path) -> None:
    keeper, reader = ParquetRecords(root), DuckdbRecords(root)
    for k in range(4):
        recorded(root, iris(10), people(["Erika"], [k]))
        keeper.seal_once()
    before = sorted(reader.query("select * from predictions").rows, key=repr)
    assert keeper.compact(datetime.now(UTC).date()) == 0
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert keeper.compact(tomorrow) == 8
    assert len(list(root.rglob("*.parquet"))) == 2
    assert sorted(reader.query("select * from predictions").rows, key=repr) == before
    assert keeper.compact(tomorrow) == 0
    recorded(root, iris(10))
    keeper.seal_once()
    assert keeper.compact(tomorrow) == 2
    assert reader.query(COUNT).rows == [(54, 54)]


def test_retention_by_age_and_by_size_takes_the_oldest(root: Path) -> None:
    keeper, reader = ParquetRecords(root), DuckdbRecords(root)
    today = datetime.now(UTC).date()
    for age in (0, 1, 5, 9):
        recorded(root, iris(2))
        keeper.seal_once()
        _move(root, today, today - timedelta(days=age), mtime=1000 - age)
    assert keeper.retain(timedelta(days=9), None) == 0
    assert keeper.retain(timedelta(days=8), None) == 1
    assert reader.query(COUNT).rows == [(6, 6)]
    sizes = {path: path.stat().st_size for path in root.rglob("*.parquet")}
    assert keeper.retain(None, sum(sizes.values())) == 0
    assert keeper.retain(None, sum(sizes.values()) - 1) == 1
    left = {path.parent.name for path in root.rglob("*.parquet")}
    assert left == {f"date={today}", f"date={today - timedelta(days=1)}"}
    assert keeper.retain(None, 0) == 2
    assert not list(root.glob("endpoint=*"))


def test_erasing_leaves_no_byte_of_the_value(root: Path) -> None:
    keeper, reader = ParquetRecords(root), DuckdbRecords(root)
    erika, others = "Erika-Mustermann-4711", ["Ann", "Bob"]
    recorded(root, people([erika], [1]), slot="0")
    recorded(root, people(others, [2, 3]), slot="1")
    keeper.seal_once()
    keeper.compact(datetime.now(UTC).date() + timedelta(days=1))
    recorded(root, people([*others, erika], [4, 5, 6], prediction_id="p"), slot="2")
    keeper.seal_once()
    recorded(root, people([erika, None], [7, 8]), slot="3")
    recorder = Recorder(root, "4", identify, Counted())
    recorder.start()
    recorder.answered(people([erika], [9]))
    _wait_for(lambda: reader.query(COUNT).rows[0][0] == 9)
    erased = keeper.erase("name", erika)
    assert erased.records == 4
    assert "p" in erased.prediction_ids
    assert not [name for name, raw in files_below(root).items() if erika.encode() in raw]
    rows = reader.query("select inputs.income from loan order by 1").rows
    assert rows == [(2,), (3,), (4,), (5,), (8,)]
    recorder.answered(people(["Cid"], [10]))
    recorder.close()
    assert reader.query(COUNT).rows[0][0] == 6
    assert keeper.erase("name", erika).records == 0


def test_records_whose_predictions_cannot_be_forgotten_are_not_erased(root: Path) -> None:
    keeper, reader = ParquetRecords(root), DuckdbRecords(root)
    recorded(root, people(["Erika", "Ann"], [1, 2], prediction_id="p"), slot="0")
    recorded(root, people(["Erika"], [3], "z", prediction_id="q"), slot="1")
    forgotten: list[str] = []

    def forget(ids: Sequence[str]) -> None:
        if forgotten:
            raise StoreUnavailable("away")
        forgotten.extend(ids)

    with pytest.raises(StoreUnavailable):
        keeper.erase("name", "Erika", forget)
    assert reader.query(COUNT).rows == [(2, 2)]
    again: list[str] = []
    assert keeper.erase("name", "Erika", again.extend).prediction_ids == tuple(again)
    assert sorted(forgotten + again) == ["p", "q"]
    assert reader.query(COUNT).rows == [(1, 1)]


def test_erasing_by_numbers_ids_and_hashed_columns(root: Path) -> None:
    policy = RecordingPolicy(EndpointPolicy(hashed=frozenset(["name", "since"])), key=KEY)
    recorder = Recorder(root, "0", identify, Counted(), policy)
    recorder.answered(people(["Erika", "Ann"], [1, 2]))
    recorder.answered(people(["Bob"], [3], prediction_id="bob"))
    recorder.close()
    assert not [raw for raw in files_below(root).values() if b"Erika" in raw]
    keeper = ParquetRecords(root, KEY)
    assert keeper.erase("name", "Erika").records == 1
    assert keeper.erase("income", "2").records == 1
    assert keeper.erase("income", "many").records == 0
    assert keeper.erase("since", "2020-02-29T12:00:00.000002Z").records == 0
    assert keeper.erase("prediction_id", "bob").prediction_ids == ("bob",)
    assert DuckdbRecords(root).query(COUNT).rows == [(0, 0)]


def test_erasing_says_which_columns_there_are(root: Path) -> None:
    dropping = RecordingPolicy(EndpointPolicy(dropped=frozenset(["name"])))
    recorder = Recorder(root, "0", identify, Counted(), dropping)
    recorder.answered(people(["Erika"], [1]))
    recorder.close()
    with pytest.raises(InvalidInput, match="kept are: income, since"):
        ParquetRecords(root).erase("name", "Erika")


def test_erasing_passes_over_tensors_of_the_same_name(root: Path) -> None:
    recorded(root, people(["Erika"], [1], "a"), tensors("name"), people(["Erika"], [2], "z"))
    keeper = ParquetRecords(root)
    assert keeper.erase("name", "Erika").records == 2
    assert DuckdbRecords(root).query(COUNT).rows == [(2, 1)]
    with pytest.raises(InvalidInput, match="name is a tensor"):
        keeper.erase("name", "Erika")
    assert DuckdbRecords(root).query(COUNT).rows == [(2, 1)]


def test_erasing_waits_for_who_writes_and_then_says_so(root: Path) -> None:
    writing = Writing(root, "0", SegmentBounds(), Counted())  # which nobody looks after
    told = people(["Erika"], [1])
    Flush(writing, RecordingPolicy()).answered([told_of(told, time.time_ns())])
    with pytest.raises(Unavailable, match="nothing was erased"):
        ParquetRecords(root, rotate_s=0.1).erase("name", "Erika")
    assert not list((root / "segments").glob("*.rotate"))
    writing.close()
    assert ParquetRecords(root).erase("name", "Erika").records == 1


def test_sampled_out_is_not_recorded_and_the_rate_is(root: Path) -> None:
    policy = RecordingPolicy(endpoints={"iris": EndpointPolicy(0.25), "loan": EndpointPolicy(0.0)})
    counted = Counted()
    recorder = Recorder(root, "0", identify, counted, policy)
    told = iris(2000)
    recorder.answered(told)
    recorder.answered(iris(2000, version="s", ids=[one.prediction_id for _, one, _ in told]))
    recorder.answered(people(["Erika"], [1]))
    recorder.close()
    ParquetRecords(root).seal_once()
    rows = (
        DuckdbRecords(root)
        .query(
            "select prediction_id, count(*), any_value(sampling_rate) from predictions group by 1"
        )
        .rows
    )
    assert 400 < len(rows) < 600
    assert {row[1:] for row in rows} == {(2, 0.25)}
    assert counted.n_recorded == 2 * len(rows)


def test_labels_of_every_type_become_values_of_their_type(root: Path) -> None:
    assert labels(CLASSES).to_pylist() == [0, 1, 2]
    assert labels((False, True)).to_pylist() == [False, True]
    assert labels((0, 0.5)).to_pylist() == [0.0, 0.5]
    assert labels(("a", 1)).to_pylist() == ["a", "1"]


def _wait_for(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


def _are_free(root: Path, n: int) -> bool:
    """Whether there are so many segments, and nobody writes any."""
    found = segments_in(root)
    for segment in found:
        with taken_over(segment) as is_free:
            if not is_free:
                return False
    return len(found) == n


def _move(root: Path, day: date, other: date, mtime: int) -> None:
    """Make records of a day those of another."""
    for path in (root / "endpoint=iris" / f"date={day}").iterdir():
        if path.stat().st_mtime > 2000:
            folder = root / "endpoint=iris" / f"date={other}"
            folder.mkdir(exist_ok=True)
            os.utime(path.rename(folder / path.name), (mtime, mtime))
