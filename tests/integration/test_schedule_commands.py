"""``modelway schedule`` as it is said: what is refused, and lines for cron and systemd."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from modelway.batch.cron import Cron
from modelway.batch.schedules import RunState
from modelway.batch.systemd import calendar_events
from modelway.cli.main import run
from modelway.composition.schedule_operations import SHOW, OfSchedule
from modelway.domain.signature import Column, Datatype, Signature
from support.canaries import controlled
from support.homes import HOME
from support.schedules import MINUTE, NOON
from support.schedules import run as scheduled_run
from support.schedules import schedule as schedule_of
from support.scored import rows_of
from support.served import function_bundle

ELAPSES = re.compile(r"(?:Next elapse|Iter\S* #\d+): \w+ (\S+ \S+) UTC")
NIGHTLY = "0 2 * * *"
BATCH = ("batch", "pets", "--input", "a.csv", "--output", "scored-{due:%Y-%m-%d}.csv")
PETS = Signature(columns=(Column("legs", "legs", Datatype.INT64, maximum=10, minimum=0),))
SOURCE = "def doubled(legs):\n    return legs * 2.0\n"

ANALYZE = str(shutil.which("systemd-analyze"))
with_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze"
)

Schedule = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which commands are said, with characters that mean something to shells."""
    folder = tmp_path / "it's 5% of $HOME"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def schedule(folder: Path, capsys: pytest.CaptureFixture[str]) -> Schedule:
    """What ``modelway schedule`` prints: to standard output, or to standard error where it ends
    with another code than 0."""

    def said(*words: str, code: int = 0) -> str:
        assert run(["schedule", *words]) == code
        out = capsys.readouterr()
        return out.err if code else out.out

    return said


def test_a_schedule_is_added_shown_and_removed(folder: Path, schedule: Schedule) -> None:
    words = ("--zone", "Asia/Tokyo", "--json")
    added = json.loads(schedule("add", NIGHTLY, *words, *BATCH, "--workers", "2"))
    assert (added["name"], added["cron"], added["zone"]) == ("pets", NIGHTLY, "Asia/Tokyo")
    assert added["arguments"] == [*BATCH[1:], "--workers", "2"]
    assert added["folder"] == str(folder)
    due = datetime.fromisoformat(added["next_due"])
    assert (due.hour, due.minute) == (2, 0)
    assert due.utcoffset() == datetime.now(ZoneInfo("Asia/Tokyo")).utcoffset()
    assert 0 < (due - datetime.now(UTC)).total_seconds() <= 86_400
    assert json.loads(schedule("list", "--json")) == [added]
    assert json.loads(schedule("show", "pets", "--json")) == {"schedule": added, "runs": []}
    schedule("remove", "pets")
    assert "modelway schedule list" in schedule("remove", "pets", code=3)
    assert "no schedule is called" in schedule("show", "pets", code=3)
    assert json.loads(schedule("list", "--json")) == []


@pytest.mark.parametrize("words", [("--name", "batch"), ("--name=batch",)])
def test_a_schedule_may_be_called_batch(schedule: Schedule, words: tuple[str, ...]) -> None:
    added = json.loads(schedule("add", NIGHTLY, *words, "--json", *BATCH))
    assert (added["name"], added["arguments"]) == ("batch", [*BATCH[1:]])
    assert "modelway batch pets" in schedule("print", "cron", NIGHTLY, *words, *BATCH)


def test_times_are_shown_on_the_clocks_of_the_zone(tmp_path: Path) -> None:
    with controlled(tmp_path / HOME) as control:
        tokyo = schedule_of(zone="Asia/Tokyo")
        control.store.schedules.add(tokyo)
        runs = control.store.schedule_runs
        missed = scheduled_run(state=RunState.MISSED, attempt=0, tries=0, until=None)
        runs.enter(tokyo, missed, NOON + MINUTE)
        runs.enter(replace(tokyo, next_due=NOON + MINUTE), scheduled_run(NOON + MINUTE), NOON)
        shown: Any = msgspec.to_builtins(SHOW.carry_out(control, OfSchedule("nightly"), ""))
    of, found = shown["schedule"], shown["runs"]
    assert (of["next_due"], of["last_missed"]) == ("2026-03-05T21:00:00+09:00",) * 2
    assert of["last_due"] == found[0]["due_at"] == "2026-03-05T21:01:00+09:00"
    assert found[0]["until"] == "2026-03-05T21:01:30+09:00"
    assert [one["started_at"][-6:] for one in found] == ["+09:00"] * 2


def test_adding_and_removing_are_audited(
    schedule: Schedule, capsys: pytest.CaptureFixture[str]
) -> None:
    schedule("add", NIGHTLY, *BATCH)
    schedule("add", NIGHTLY, *BATCH, code=4)
    schedule("remove", "pets")
    assert run(["key", "audit", "--json"]) == 0
    acts = json.loads(capsys.readouterr().out)
    assert [(one["act"], one["subject"], one["outcome"]) for one in acts] == [
        ("schedule.remove", "pets", "done"),
        ("schedule.add", "pets", "conflict"),
        ("schedule.add", "pets", "done"),
    ]


def test_no_password_is_shown(schedule: Schedule, capsys: pytest.CaptureFixture[str]) -> None:
    url = "postgresql://ann:s3cret@db/rows?password=s3cret&table=loans"
    output = ("--output", "sqlite:///out.sqlite?table=scored", "--id-column", "id")
    added = schedule("add", NIGHTLY, "batch", "pets", f"--input={url}", *output)
    shown = schedule("show", "pets") + schedule("list", "--json")
    assert run(["key", "audit"]) == 0
    assert "s3cret" not in added + shown + capsys.readouterr().out
    assert "--input=postgresql://db/rows?table=loans" in shown


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("0 2 * *", *BATCH), "expected 5 fields, got 4"),
        (("0 0 30 2 *", *BATCH), "Bad day-of-month"),
        ((NIGHTLY, "--zone", "Mars/Olympus", *BATCH), "no time zone 'Mars/Olympus'"),
        ((NIGHTLY, "--name", "a/b", *BATCH), "a/b"),
        ((NIGHTLY, *BATCH[:-1], "{when}.csv"), "no placeholder 'when'"),
        ((NIGHTLY, *BATCH, "--resume"), "gone on with by itself"),
        ((NIGHTLY, *BATCH, "--worker", "2"), "No such option"),
        ((NIGHTLY, *BATCH, "--workers", "many"), "--workers"),
        ((NIGHTLY, *BATCH, "--address", "head:1"), "--address is for --engine ray"),
        ((NIGHTLY, "batch", "pets", "--input", "a.csv"), "Missing option '--output'"),
        ((NIGHTLY, *BATCH[:-1], "scored.doc"), "does not end in one of"),
        ((NIGHTLY, *BATCH[:-1], "sqlite:///x?table=t"), "--id-column"),
        ((NIGHTLY, "predict", "pets", "--input", "a.csv"), "only batch can be scheduled"),
        ((NIGHTLY, "predict", *BATCH), "only batch can be scheduled"),
        ((NIGHTLY,), "only batch can be scheduled"),
        ((NIGHTLY, "--server", "http://127.0.0.1:1", *BATCH), "where its home is"),
    ],
)
def test_what_is_wrong_is_refused_as_it_is_added(
    schedule: Schedule, folder: Path, words: tuple[str, ...], says: str
) -> None:
    assert says in schedule("add", *words, code=2)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("cron", "output", "is_told"),
    [
        (NIGHTLY, "scored.csv", True),
        (NIGHTLY, "scored-{due:%Y-%m}.csv", True),
        ("0 2 1 * *", "scored-{due:%Y-%m}.csv", False),
        (NIGHTLY, "scored-{due}.csv", False),
    ],
)
def test_runs_that_would_write_the_same_file_are_told_of(
    folder: Path, capsys: pytest.CaptureFixture[str], cron: str, output: str, *, is_told: bool
) -> None:
    assert run(["schedule", "add", cron, *BATCH[:-1], output]) == 0
    assert ("note: every run writes the same file" in capsys.readouterr().err) == is_told


def test_what_is_not_there_is_told_of_and_added(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(name: str, *words: str) -> str:
        output = ("--output", "scored-{due}.csv")
        assert run(["schedule", "add", NIGHTLY, "--name", name, "batch", *words, *output]) == 0
        return capsys.readouterr().err

    assert "there is no model at pets" in told("path", "pets", "--input", "a.csv")
    assert "a.csv does not exist" in told("input", "pets@champion", "--input", "a.csv")
    (folder / "a.csv").write_text("legs\n4\n")
    assert told("reference", "pets@champion", "--input", "a.csv") == ""
    assert told("daily", "pets:1", "--input", "{due}.csv") == ""


def test_a_shell_runs_the_line_of_the_crontab(schedule: Schedule, folder: Path) -> None:
    function_bundle(folder / "pets", SOURCE, "doubled", PETS)
    (folder / "a b.csv").write_text("legs\n4\n")
    output = 'of "{due:%Y} %".csv'
    words = ("batch", "pets", "--input", "a b.csv", "--output", output)
    lines = schedule("print", "cron", NIGHTLY, "--zone", "Asia/Tokyo", *words).splitlines()
    assert lines[-2] == "CRON_TZ=Asia/Tokyo"
    command = lines[-1].removeprefix(f"{NIGHTLY} ").replace("\\%", "%")
    before = datetime.now(ZoneInfo("Asia/Tokyo")).year
    subprocess.run(["/bin/sh", "-c", command], cwd="/", check=True, timeout=120)
    after = datetime.now(ZoneInfo("Asia/Tokyo")).year
    (made,) = folder.glob("of *.csv")
    assert made.name in {f'of "{year} %".csv' for year in (before, after)}
    assert rows_of(made) == [{"legs": "4", "prediction": "8.0"}]
    assert json.loads(schedule("list", "--json")) == []


@with_systemd
@pytest.mark.parametrize("output", ["scored.csv", 'of "{due:%Y} %" $HOME.csv'])
def test_systemd_takes_the_units(schedule: Schedule, folder: Path, output: str) -> None:
    words = ("--name", "pets", "--json", *BATCH[:-1], output)
    units = json.loads(schedule("print", "systemd", "0 2 1,15 * MON", *words))
    assert sorted(units) == ["modelway-pets.service", "modelway-pets.timer"]
    for name, text in units.items():
        (folder / name).write_text(text)
    done = subprocess.run(
        [ANALYZE, "verify", "--man=no", *(str(folder / name) for name in units)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


@with_systemd
@pytest.mark.parametrize(
    "expression",
    [NIGHTLY, "*/15 * * * *", "0 0 1,15 * MON", "0 0 */10 * 1-5", "5 4 1-3,7 1,12 *", "0 0 * * 7"],
)
def test_systemd_is_due_when_we_are(expression: str) -> None:
    at, n = datetime(2026, 2, 27, 13, tzinfo=UTC), 12
    cron, due, expected = Cron(expression, "UTC"), at, set()
    for _ in range(n):
        due = cron.after(due)
        expected.add(due)
    found: set[datetime] = set()
    for event in calendar_events(cron):
        base = ("--base-time", f"{at:%Y-%m-%d %H:%M:%S} UTC", "--iterations", str(n))
        done = subprocess.run(
            [ANALYZE, "calendar", *base, event],
            capture_output=True,
            text=True,
            timeout=60,
            env={"TZ": "UTC", "LC_ALL": "C"},
        )
        assert done.returncode == 0, done.stderr
        found |= {
            datetime.strptime(one, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            for one in ELAPSES.findall(done.stdout)
        }
    assert sorted(found)[:n] == sorted(expected)
