"""Recording while processes die and disks are full: nothing written is lost, nothing is doubled."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from modelway.backends.duckdb_records import DuckdbRecords
from modelway.backends.parquet_records import ParquetRecords
from modelway.domain.errors import PredictFailed
from modelway.domain.inference import InferenceRequest
from modelway.records.recorder import Recorder, RecordingBounds
from support.recording import Counted, files_below, identify, iris, people, recorded

TESTS = Path(__file__).parents[1]
LOST_MS = 50
ERIKA = "Erika-Mustermann-4711"

RECORDS = """
import os, sys, time
from pathlib import Path
from support.recording import Counted, identify, iris
from modelway.records.recorder import Recorder
recorder = Recorder(Path(sys.argv[1]), "0", identify, Counted())
recorder.start()
while True:
    told = iris(9)
    recorder.answered(told)
    ids = " ".join(response.prediction_id for _, response, _ in told)
    os.write(1, f"{time.time_ns()} {ids}\\n".encode())
    time.sleep(0.001)
"""

IS_LIMITED = """
import resource, sys, time
from pathlib import Path
from support.recording import Counted, identify, iris
from modelway.records.recorder import Recorder
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
counted = Counted()
recorder = Recorder(Path(sys.argv[1]), "0", identify, counted)
recorder.start()
def tell(n):
    for _ in range(n):
        recorder.answered(iris(30))
        time.sleep(0.03)
tell(20)
assert counted.n_shed > 0 and set(counted.reasons) == {"disk"}, vars(counted)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
time.sleep(0.6)
shed = counted.n_shed
tell(5)
recorder.close()
assert counted.n_shed == shed, "the disk has room again"
assert counted.n_recorded + counted.n_shed == 25 * 30
print(counted.n_recorded)
"""

DIES = """
import os, shutil, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
import pyarrow.compute, pyarrow.parquet
from modelway.backends.parquet_records import ParquetRecords
template, work, what = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.link", "os.truncate"}

def dies_at(step, root):
    left = [step]
    def hook(event, arguments):
        is_write = event == "open" and isinstance(arguments[2], int) and arguments[2] & 3
        if (event in CHANGES or is_write) and str(root) in str(arguments[0]):
            left[0] -= 1
            if left[0] < 0:
                os._exit(3)
    sys.addaudithook(hook)
    keeper = ParquetRecords(root)
    if what == "seal":
        keeper.seal_once()
    elif what == "compact":
        keeper.compact(datetime.now(UTC).date() + timedelta(days=1))
    elif what == "erase":
        keeper.erase("name", sys.argv[4])
    os._exit(0)

for step in range(200):
    root = work / f"step-{step}"
    shutil.copytree(template, root)
    child = os.fork()
    if child == 0:
        dies_at(step, root)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 3), code
    if code == 0:
        break
else:
    raise SystemExit("it never ended")
"""


def run(script: str, *arguments: object) -> str:
    """What a script of the tests' own prints; fails the test where the script fails."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ids_in(root: Path) -> list[str]:
    """The id of every record, one a record."""
    return [
        row[0] for row in DuckdbRecords(root).query("select prediction_id from predictions").rows
    ]


def test_a_killed_process_loses_nothing_older_than_50_ms(tmp_path: Path) -> None:
    judged = 0
    for attempt in range(15):
        root = tmp_path / f"records-{attempt}"
        killed_at, told = _killed(root, tmp_path / f"told-{attempt}")
        times = np.array([at for at, _ in told] + [killed_at])
        # A machine too busy to run the process at all says nothing of what it would have written.
        if np.diff(times[times > killed_at - 200_000_000]).max() > 15_000_000:
            continue
        ParquetRecords(root).seal_once()
        found = ids_in(root)
        assert len(found) == len(set(found))
        old = {one for at, ids in told if at < killed_at - LOST_MS * 1_000_000 for one in ids}
        assert old <= set(found)
        judged += 1
        if judged == 3:
            return
    pytest.fail(f"the machine was busy in all but {judged} of 15 attempts")


def _killed(root: Path, log: Path) -> tuple[int, list[tuple[int, list[str]]]]:
    """When a recording process was killed, and what it had told until then, and when."""
    with log.open("wb") as stream:
        child = subprocess.Popen(
            [sys.executable, "-c", RECORDS, str(root)],
            stdout=stream,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
        )
    until = time.monotonic() + 30
    while log.stat().st_size < 50_000 and time.monotonic() < until:
        time.sleep(0.01)
    killed_at = time.time_ns()
    child.send_signal(signal.SIGKILL)
    child.wait()
    told = [line.split() for line in log.read_text().splitlines()]
    return killed_at, [(int(at), ids) for at, *ids in told if int(at) < killed_at]


def test_a_torn_tail_costs_only_itself_and_is_counted(tmp_path: Path) -> None:
    recorded(tmp_path, *[iris(1, ids=[f"id-{k}"], version=str(k)) for k in range(5)])
    (segment,) = (tmp_path / "segments").iterdir()
    os.truncate(segment, segment.stat().st_size - 7)
    assert sorted(ids_in(tmp_path)) == ["id-0", "id-1", "id-2", "id-3"]
    sealed = ParquetRecords(tmp_path).seal_once()
    assert (sealed.records, sealed.torn) == (4, 1)
    assert sorted(ids_in(tmp_path)) == ["id-0", "id-1", "id-2", "id-3"]


def test_a_full_disk_sheds_and_counts_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    n_recorded = int(run(IS_LIMITED, tmp_path))
    assert len(set(ids_in(tmp_path))) == n_recorded
    assert ParquetRecords(tmp_path).seal_once().torn == 0
    assert len(set(ids_in(tmp_path))) == n_recorded


def test_a_folder_that_cannot_be_written_sheds_and_counts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    counted = recorded(tmp_path / "file" / "records", iris(3), iris(4))
    assert (counted.n_recorded, counted.n_shed, counted.reasons) == (0, 7, ["disk"])


def test_records_go_on_in_another_segment_where_theirs_was_removed(tmp_path: Path) -> None:
    counted = Counted()
    recorder = Recorder(tmp_path, "0", identify, counted)
    recorder.start()
    recorder.answered(iris(1))
    _wait_until_recorded(counted, 1)
    shutil.rmtree(tmp_path / "segments")
    time.sleep(0.1)
    recorder.answered(iris(1, ids=["after"]))
    recorder.close()
    assert ids_in(tmp_path) == ["after"]


@pytest.mark.parametrize(
    "bounds", [RecordingBounds(requests=20), RecordingBounds(n_bytes=20 * 264)]
)
def test_what_finds_no_room_is_shed_the_newest_first(
    tmp_path: Path, bounds: RecordingBounds
) -> None:
    counted = Counted()
    recorder = Recorder(tmp_path, "0", identify, counted, bounds=bounds)
    for k in range(30):
        recorder.answered(iris(1, ids=[f"{k:02}"]))
    request = InferenceRequest("iris", iris(1)[0][0].table, "late")
    recorder.failed(request, PredictFailed("no"), 0.0)
    recorder.close()
    found = sorted(ids_in(tmp_path))
    assert 18 <= len(found) <= 22
    assert found == [f"{k:02}" for k in range(len(found))]
    assert (counted.n_recorded, counted.n_shed) == (len(found), 31 - len(found))


def test_an_answer_that_cannot_be_recorded_costs_no_other(tmp_path: Path) -> None:
    good, strange = iris(2, ids=["a", "b"]), iris(1, version="9")
    strange[0][1].outputs = {"prediction": object()}  # type: ignore[dict-item] # as a model may
    counted = recorded(tmp_path, iris(1, ids=["first"]), strange, good)
    assert sorted(ids_in(tmp_path)) == ["a", "b", "first"]
    assert (counted.n_recorded, counted.n_shed, counted.reasons) == (3, 1, ["internal"])


def prepared(root: Path) -> None:
    """Records of two endpoints, sealed and not, with a person in each."""
    keeper = ParquetRecords(root)
    for k in range(3):
        recorded(root, iris(3), people([ERIKA, "Ann"], [k, k]))
        if k < 2:
            keeper.seal_once()


@pytest.mark.parametrize("what", ["seal", "compact", "erase"])
def test_dying_at_any_step_neither_loses_nor_doubles(tmp_path: Path, what: str) -> None:
    template, work = tmp_path / "template", tmp_path / "work"
    prepared(template)
    run(DIES, template, work, what, ERIKA)
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    steps = sorted(work.iterdir())
    assert len(steps) > 5
    sql = """select prediction_id, "row" from predictions
    where endpoint = 'iris' or inputs->>'name' = 'Ann'"""
    expected = sorted(DuckdbRecords(template).query(sql).rows)
    assert len(expected) == 3 * 4
    of_erika = "select count(*) from loan where inputs.name = 'Erika-Mustermann-4711'"
    for root in steps:
        reader, keeper = DuckdbRecords(root), ParquetRecords(root)
        assert sorted(reader.query(sql).rows) == expected, root.name
        if what != "erase":
            assert reader.query(of_erika).rows == [(3,)], root.name
            keeper.compact(tomorrow)
            assert sorted(reader.query(sql).rows) == expected, root.name
        keeper.erase("name", ERIKA)
        assert sorted(reader.query(sql).rows) == expected, root.name
        left = files_below(root)
        assert not [name for name, raw in left.items() if ERIKA.encode() in raw], root.name
        assert sorted(left)[0] == ".keeper.lock"
        assert [name for name in left if not name.endswith(".parquet")] == [".keeper.lock"]


def test_readers_see_every_record_once_while_files_move(tmp_path: Path) -> None:
    recorded(tmp_path, iris(5))
    reader = DuckdbRecords(tmp_path)
    script = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from support.recording import iris, recorded
from modelway.backends.parquet_records import ParquetRecords
root = Path(sys.argv[1])
keeper = ParquetRecords(root)
for k in range(25):
    recorded(root, iris(5))
    keeper.seal_once()
    keeper.compact(datetime.now(UTC).date() + timedelta(days=1))
"""
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    seen = [5]
    try:
        while child.poll() is None:
            found = ids_in(tmp_path)
            assert len(found) == len(set(found))
            assert len(found) % 5 == 0
            assert len(found) >= seen[-1]
            seen.append(len(found))
    finally:
        assert child.wait(60) == 0
    assert len(set(seen)) > 2
    assert reader.query("select count(*) from predictions").rows == [(130,)]


def _wait_until_recorded(counted: Counted, n: int) -> None:
    until = time.monotonic() + 10
    while counted.n_recorded < n:
        assert time.monotonic() < until, "it was not recorded in time"
        time.sleep(0.01)
