"""Records and labels by their operations and commands, over a real store and real records."""

from __future__ import annotations

import csv
import getpass
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression

from modelway.access.keys import Scope
from modelway.access.making import new_key
from modelway.composition import label_operations, record_operations
from modelway.composition.control import Control
from modelway.composition.operating import Target
from modelway.composition.operations import Operation, carried_out, read_parameters
from modelway.composition.trace_operations import REPLAY, TRACE
from modelway.domain.errors import (
    Forbidden,
    InvalidInput,
    PredictionNotFound,
    TargetExists,
    Unavailable,
)
from modelway.domain.signature import Signature, columns_named
from modelway.settings import load_settings
from support.jobs import new_job
from support.recording import iris, people, recorded
from support.running import native_bundle
from support.shell import Shell

ERIKA = "Erika-Mustermann-4711"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with three predictions of iris, ``i-0`` to ``i-2``, and one of two rows, ``p``."""
    home = tmp_path / "home"
    recorded(home / "records", iris(3, ids=["i-0", "i-1", "i-2"]), slot="0")
    recorded(home / "records", people([ERIKA, None], [1200, 1], prediction_id="p"), slot="1")
    return home


@pytest.fixture
def target(home: Path) -> Target:
    return Target(load_settings({"bundles.home": home}, folder=home, environment={}))


@pytest.fixture
def shell(home: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(home, capsys)


def test_a_query_gives_a_table_json_or_csv(shell: Shell) -> None:
    sql = "select prediction_id, inputs, event_time from predictions order by all limit 2"
    found = shell.json("record", "query", sql)
    assert found["columns"] == ["prediction_id", "inputs", "event_time"]
    assert [row[0] for row in found["rows"]] == ["i-0", "i-1"]
    assert datetime.fromisoformat(found["rows"][0][2]).year >= 2024
    assert shell("record", "query", sql).splitlines()[0].split() == found["columns"]
    rows = list(csv.reader(io.StringIO(shell("record", "query", sql, "--csv"))))
    assert [row[0] for row in rows] == ["prediction_id", "i-0", "i-1"]
    assert json.loads(rows[1][1]) == {"a": 0.0, "b": 2.0, "c": 3.0, "d": 4.0}


def test_a_query_says_when_there_are_more_rows(shell: Shell) -> None:
    found = shell.json("record", "query", "select 1 from predictions", "--limit", "2")
    assert (found["rows"], found["truncated"]) == ([[1], [1]], True)
    assert "first 2 rows" in shell.said
    shell("record", "query", "select 1", "--limit", "0", code=2)
    assert "from 1 to 100,000, got 0" in shell.said


@pytest.mark.parametrize(
    "value",
    [
        ("'nan'::double", None),
        ("2::hugeint << 80", 2**81),
        ("1.25::decimal(5,2)", "1.25"),
        ("map{'a': [1, null]}", {"a": [1, None]}),
        ("date '2026-01-02'", "2026-01-02"),
        ("'\\x00'::blob", "AA=="),
        ("interval 1 day", "1 day, 0:00:00"),
        ("{'x': timestamp '2026-01-02 03:04:05'}", {"x": "2026-01-02T03:04:05"}),
        ("true", True),
    ],
    ids=lambda value: value[0],
)
def test_every_value_of_sql_has_a_form_in_json(shell: Shell, value: tuple[str, Any]) -> None:
    sql, expected = value
    assert shell.json("record", "query", f"select {sql}")["rows"] == [[expected]]


@pytest.mark.parametrize(
    "sql", ["drop view predictions", "select 1; select 2", "select * from 'x.csv'", "selec"]
)
def test_what_is_no_select_of_records_is_refused(shell: Shell, sql: str) -> None:
    shell("record", "query", sql, code=2)
    assert "[invalid-input]" in shell.said


def test_a_prediction_is_shown_whole_or_by_row(shell: Shell) -> None:
    assert [one["row"] for one in shell.json("record", "show", "p")] == [0, 1]
    (row,) = shell.json("record", "show", "p:1")
    assert (row["row"], row["inputs"]["income"]) == (1, 1)
    assert ERIKA in shell("record", "show", "p:0")
    for missing in ("q", "p:2", "q:0"):
        shell("record", "show", missing, code=3)
        assert repr(missing) in shell.said


def test_records_are_exported_by_the_form_of_the_name(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    assert shell.json("record", "export", path) == {"path": str(path), "rows": 5}
    assert len(path.read_text().splitlines()) == 5
    shell("record", "export", path, code=4)
    shell("record", "export", tmp_path / "some", code=2)
    assert "--format" in shell.said
    some = ("--sql", "select prediction_id from iris", "--format", "csv")
    assert shell("record", "export", tmp_path / "some", *some).startswith("3 rows")
    shell("record", "export", tmp_path / "x.csv", "--server", "http://127.0.0.1:1", code=2)
    assert "exported where they are" in shell.said


def test_coverage_says_which_share_is_labelled(shell: Shell) -> None:
    shell("label", "add", "i-0", "1")
    shell("label", "add", "never-recorded", "1")
    assert shell.json("record", "coverage") == [
        {"endpoint": "iris", "age": "<1h", "predicted": 3, "labelled": 1, "share": 1 / 3},
        {"endpoint": "loan", "age": "<1h", "predicted": 2, "labelled": 0, "share": 0.0},
    ]


def test_what_is_erased_is_gone_with_its_labels_and_its_value_is_nowhere(
    shell: Shell, target: Target, home: Path
) -> None:
    for id in ("p", "p:1", "i-0"):
        shell("label", "add", id, "1")
    asked = ("record", "erase", "--column", "name", "--value", ERIKA)
    shell(*asked, code=2)
    assert "--yes" in shell.said
    gone = {"records": 1, "predictions": 1, "labels": 2, "jobs": 0}
    assert shell.json(*asked, "--yes") == gone
    assert shell.json(*asked, "--yes") == dict.fromkeys(gone, 0)
    with Control(target.settings) as control:
        assert [one.prediction_id for one in control.store.labels.of(["p", "i-0"])] == ["i-0"]
        acts = control.store.audit.acts(10)
    assert [(one.act, one.subject, one.outcome) for one in acts] == [
        ("record.erase", "name", "done")
    ] * 2
    assert json.loads(acts[1].detail)["records"] == 1
    everything = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert ERIKA.encode() not in everything


def test_labels_and_jobs_of_what_was_never_recorded_are_erased_by_their_id(
    shell: Shell, target: Target
) -> None:
    shell("label", "add", "unknown", "yes")
    with Control(target.settings) as control:
        control.store.jobs.enqueue([new_job("unknown"), new_job("other")])
    asked = ("record", "erase", "--column", "prediction_id", "--value", "unknown", "--yes")
    assert shell.json(*asked) == {"records": 0, "predictions": 0, "labels": 1, "jobs": 1}
    assert "0 labels and 0 jobs are gone" in shell(*asked)
    assert [one["id"] for one in shell.json("job", "list")] == ["other"]


def test_a_failed_erasure_is_in_the_trail_with_its_reason(shell: Shell, target: Target) -> None:
    shell("record", "erase", "--column", "no", "--value", "x", "--yes", code=2)
    assert "no record keeps a column 'no'" in shell.said
    with Control(target.settings) as control:
        (act,) = control.store.audit.acts(10)
    assert act.outcome == "invalid-input"


def test_an_export_is_in_the_trail_with_what_was_asked(
    shell: Shell, target: Target, tmp_path: Path
) -> None:
    sql = "select 1 from predictions limit 2"
    few, whole = tmp_path / "few.csv", tmp_path / "all.csv"
    assert shell.json("record", "export", few, "--sql", sql)["rows"] == 2
    assert shell.json("record", "export", whole)["rows"] == 5
    shell("record", "export", whole, code=4)
    with Control(target.settings) as control:
        refused, done, first = control.store.audit.acts(10)
    assert {one.act for one in (refused, done, first)} == {"record.export"}
    assert (first.actor, first.outcome) == (getpass.getuser(), "done")
    told = {"path": str(few), "sql": sql, "form": None, "rows": 2}
    assert json.loads(first.detail) == told
    assert json.loads(done.detail) == {**told, "path": str(whole), "sql": None, "rows": 5}
    assert refused.outcome == "target-exists"
    assert json.loads(refused.detail)["path"] == str(whole)


def test_a_number_and_a_text_are_erased_by_what_they_say(target: Target) -> None:
    found = target.carry_out(record_operations.ERASE, column="income", value="1")
    assert found["records"] == 1
    for value in ("true", "4711", True, 3.5):
        read = read_parameters(record_operations.ERASE, {"column": "c", "value": value})
        assert (type(read.value), read.value) == (type(value), value)


def test_records_are_sealed_compacted_and_kept_for_so_long(shell: Shell, home: Path) -> None:
    assert shell.json("record", "compact") == {"sealed": 5, "merged": 0}
    assert len(list((home / "records").rglob("*.parquet"))) == 2
    shell("record", "retain", code=2)
    assert "records.keep_days" in shell.said
    assert shell.json("record", "retain", "--days", "1") == {"removed": 0}
    assert shell.json("record", "retain", "--bytes", "1") == {"removed": 2}
    assert shell.json("record", "query", "select count(*) from predictions")["rows"] == [[0]]
    shell("record", "retain", "--days", "-1", code=2)


def test_a_label_has_its_type_and_its_revision(shell: Shell, target: Target) -> None:
    shell("label", "add", "p:1", "true", "--at", "2026-01-02T03:04:05+01:00", "--source", "bank")
    shell("label", "add", "p:1", "true", "--text")
    with Control(target.settings) as control:
        first, second = control.store.labels.of(["p"])
    assert (first.value, first.source, first.revision) == (True, "bank", 1)
    assert first.at == datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)
    assert (second.value, second.row, second.revision) == ("true", 1, 2)
    shell("label", "add", "p", "1", "--at", "2026-01-02T03:04:05", code=2)
    assert "with its zone" in shell.said


def test_a_confirmed_prediction_has_the_value_that_was_predicted(shell: Shell) -> None:
    (label,) = shell.json("label", "confirm", "i-2")["labels"]
    assert (label["value"], label["row"]) == (2, 0)
    shell("label", "confirm", "unknown", code=3)
    shell("label", "confirm", "p:5", code=3)


def test_a_declined_prediction_of_many_classes_needs_a_value(shell: Shell) -> None:
    shell("label", "decline", "i-2", code=2)
    assert "say which value is true" in shell.said
    (label,) = shell.json("label", "decline", "i-2", "1")["labels"]
    assert label["value"] == 1


def test_a_declined_prediction_of_two_classes_is_the_other(shell: Shell, home: Path) -> None:
    """The classes are those of the bundle that answered."""
    model = LogisticRegression().fit([[0.0], [1.0]], ["bad", "good"])
    native_bundle(home / "bundles" / "two", model, Signature(columns=columns_named(["x"])))
    _record_prediction(home, "sha256:two", "bad")
    (label,) = shell.json("label", "decline", "q")["labels"]
    assert label["value"] == "good"


def _record_prediction(home: Path, digest: str, predicted: Any) -> None:
    """A record of a prediction ``q`` that a bundle answered."""
    import numpy as np

    from modelway.records.identity import Identity
    from modelway.records.recorder import Recorder
    from support.recording import Counted

    def identify(endpoint: str, version: str | None, _: bool) -> Identity:
        return Identity(endpoint, version, digest, "live", None)

    recorder = Recorder(home / "records", "9", identify, Counted())
    outputs = {"prediction": np.array([predicted])}
    recorder.answered(people(["x"], [1], prediction_id="q", outputs=outputs))
    recorder.close()


def test_one_of_many_that_cannot_be_stored_stores_none(target: Target) -> None:
    labels: Sequence[Mapping[str, Any]] = [
        {"prediction_id": "a", "value": 1},
        {"prediction_id": "b", "value": None},
    ]
    with pytest.raises(InvalidInput, match=r"labels/1: value: .* got null"):
        target.carry_out(label_operations.ADD, labels=labels)
    with pytest.raises(InvalidInput, match="either labels"):
        target.carry_out(label_operations.ADD)
    with pytest.raises(InvalidInput, match="either labels"):
        target.carry_out(label_operations.ADD, labels=labels, prediction_id="a")
    with Control(target.settings) as control:
        assert control.store.labels.of(["a", "b"]) == []


def test_a_key_of_some_endpoints_labels_and_sees_those_alone(target: Target) -> None:
    key, _ = new_key("bank", [Scope.LABEL, Scope.READ], ["iris"], 0, datetime.now(UTC))
    with Control(target.settings) as control:

        def asked(operation: Operation[Any], **given: Any) -> Any:
            parameters = read_parameters(operation, given)
            # The store does not know the key any more: what it may is what came with it.
            return carried_out(control, operation, parameters, "gone:1", key)

        assert asked(record_operations.SHOW, id="i-0")[0]["endpoint"] == "iris"
        for operation in (record_operations.SHOW, TRACE, REPLAY):
            with pytest.raises(Forbidden, match="not for 'loan'"):
                asked(operation, id="p")
        (added,) = asked(label_operations.ADD, prediction_id="i-0", value=1).labels
        assert added.source == "gone:1"
        for forbidden in ("p", "it's unknown"):
            with pytest.raises(Forbidden):
                asked(label_operations.ADD, prediction_id=forbidden, value=1)
        with pytest.raises(Forbidden, match="your key says who says so"):
            asked(label_operations.ADD, prediction_id="i-0", value=1, source="somebody")
        (label,) = control.store.labels.of(["i-0", "p"])
        assert label == added


def test_what_is_not_recorded_is_not_found_by_the_operation(target: Target) -> None:
    with pytest.raises(PredictionNotFound):
        target.carry_out(record_operations.SHOW, id="x:y")
    with pytest.raises(TargetExists):
        target.carry_out(record_operations.EXPORT, path=__file__, form="csv")
    with pytest.raises(Unavailable, match="does not answer"):
        Target(target.settings, "http://127.0.0.1:1", "k").carry_out(record_operations.COVERAGE)


class TestImport:
    def write(self, tmp_path: Path, text: str | bytes) -> Path:
        path = tmp_path / "labels.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def test_good_rows_are_imported_and_bad_ones_said_with_their_line(
        self, shell: Shell, target: Target, tmp_path: Path
    ) -> None:
        path = self.write(
            tmp_path,
            b"\xef\xbb\xbfprediction_id,row,value,at\r\n"
            b"i-0,,1,2026-01-02T03:04:05Z\r\n"
            b"p:1,,good,\r\n"
            b"\r\n"
            b"i-1,x,1,\r\n"
            b"i-2,0\r\n"
            b",0,1,\r\n"
            b"i-2,0,,\r\n"
            b"i-2,0,1,soon\r\n"
            b"i-2,0,\xff,\r\n"
            b'p,0,"two\nlines",\r\n'
            b"i-2,,true,\r\n",
        )
        done = shell.json("label", "import", path, code=2)
        assert (done["imported"], done["bad"]) == (4, 6)
        assert [one["line"] for one in done["bad_rows"]] == [5, 6, 7, 8, 9, 10]
        said = "\n".join(one["error"] for one in done["bad_rows"])
        for word in ("row: ", "expected 4 cells, got 2", "prediction_id: ", "empty", "soon"):
            assert word in said
        assert "line 5: row: " in shell.said
        with Control(target.settings) as control:
            labels = control.store.labels.of(["i-0", "i-2", "p"])
        values = {(one.prediction_id, one.row): one.value for one in labels}
        assert values == {("i-0", 0): 1, ("i-2", 0): True, ("p", 0): "two\nlines", ("p", 1): "good"}

    def test_what_the_store_cannot_hold_is_a_bad_row_too(
        self, shell: Shell, tmp_path: Path
    ) -> None:
        long = "x" * 300
        path = self.write(tmp_path, f"prediction_id,value,source\na,1,{long}\nb,1,me\nc,2,me\n")
        done = shell.json("label", "import", path, code=2)
        assert (done["imported"], [one["line"] for one in done["bad_rows"]]) == (2, [2])
        assert "source" in done["bad_rows"][0]["error"]

    def test_values_may_all_be_taken_as_text(
        self, shell: Shell, target: Target, tmp_path: Path
    ) -> None:
        path = self.write(tmp_path, "value,prediction_id\n1,a\n")
        assert shell("label", "import", path, "--text") == "imported 1 label\n"
        with Control(target.settings) as control:
            assert [one.value for one in control.store.labels.of(["a"])] == ["1"]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "prediction_id\na\n",
            "prediction_id,value,valeu\n",
            "a,1\n",
            "value,value,prediction_id\n",
        ],
    )
    def test_another_header_is_refused(self, shell: Shell, tmp_path: Path, text: str) -> None:
        shell("label", "import", self.write(tmp_path, text), code=2)
        assert "columns are prediction_id, value" in shell.said

    def test_no_file_is_not_found(self, shell: Shell, tmp_path: Path) -> None:
        shell("label", "import", tmp_path / "none.csv", code=3)

    def test_many_rows_are_imported_a_portion_at_a_time(
        self, shell: Shell, target: Target, tmp_path: Path
    ) -> None:
        n = 20_000
        lines = "".join(f"k-{k},{k % 2}\n" for k in range(n))
        path = self.write(tmp_path, f"prediction_id,value\n{lines}bad\n")
        done = shell.json("label", "import", path, code=2)
        assert (done["imported"], done["bad_rows"][0]["line"]) == (n, n + 2)
        with Control(target.settings) as control:
            (last,) = control.store.labels.of([f"k-{n - 1}"])
            assert last.value == 1
            assert sum(1 for _ in control.store.labels.since(datetime(2020, 1, 1, tzinfo=UTC))) == n
