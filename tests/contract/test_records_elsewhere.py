"""What holds of records that are kept at a place elsewhere, on a disk and on a real S3 server."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelway.backends.duckdb_records import DuckdbRecords
from modelway.backends.fsspec_place import Place, open_place
from modelway.backends.parquet_elsewhere import ElsewhereRecords
from modelway.backends.parquet_erasing import Value
from modelway.backends.parquet_records import ParquetRecords
from modelway.backends.parquet_sent import SentRecords
from modelway.backends.parquet_tombstones import tombstone_of
from modelway.domain.errors import InvalidInput, PredictionNotFound, Unavailable
from support.ending import killed, repeated, together
from support.objects import KINDS, ObjectStore
from support.recording import files_below, iris, people, recorded, tensors

COUNT = "select count(*), count(distinct prediction_id) from predictions"
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).date()

both = pytest.mark.parametrize("place_url", KINDS, indirect=True)
disk = pytest.mark.parametrize("place_url", ["file"], indirect=True)


class Kept:
    """The records of one home, and who keeps and reads them."""

    def __init__(self, folder: Path, home: str, place: Place) -> None:
        self.root, self.place = folder / home, place
        sent = SentRecords(place, home)
        self.forgotten: set[str] = set()
        here = ParquetRecords(self.root, rotate_s=0.2)
        self.keeper = ElsewhereRecords(self.root, here, sent, self.forgotten.update)
        self.reader = DuckdbRecords(self.root, sent=sent)

    def count(self) -> tuple[int, int]:
        """How many records there are, and how many ids."""
        n, ids = self.reader.query(COUNT).rows[0]
        return n, ids

    def send(self) -> int:
        """Seal and send what was recorded."""
        self.keeper.seal_once()
        return self.keeper.send()

    def parquets(self) -> list[str]:
        """The names of sealed files that are here."""
        return [one.name for one in self.root.rglob("*.parquet")]


@pytest.fixture
def place(place_url: str) -> Place:
    return open_place(place_url, "records.url")


@pytest.fixture
def a(tmp_path: Path, place: Place) -> Kept:
    return Kept(tmp_path, "a", place)


@pytest.fixture
def b(tmp_path: Path, place: Place) -> Kept:
    return Kept(tmp_path, "b", place)


@both
def test_what_is_sent_is_read_by_every_home_and_is_here_no_more(a: Kept, b: Kept) -> None:
    assert a.count() == (0, 0)
    recorded(a.root, iris(3, ids=["x", "y", "z"]), people(["Erika"], [1], prediction_id="p"))
    assert (a.count(), b.count()) == ((4, 4), (0, 0))
    assert a.keeper.seal_once().records == 4
    assert a.count() == (4, 4)
    assert a.keeper.send() == 2
    assert a.parquets() == []
    assert sorted(a.place.sizes()) == sorted(one for one in a.place.sizes() if one[:2] == "a/")
    recorded(b.root, iris(2), slot="0")
    assert (a.count(), b.count()) == ((4, 4), (6, 6))
    for one in (a, b):
        (shown,) = one.reader.show("y")
        assert shown["inputs"] == {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
        assert [column["form"] for column in shown["columns"]] == ["kept"] * 4
    with pytest.raises(PredictionNotFound):
        a.reader.show("never")
    rows = b.reader.query('select inputs.name from "loan"').rows
    assert rows == [("Erika",)]


@disk
def test_homes_whose_segments_have_one_name_do_not_meet(a: Kept, b: Kept) -> None:
    recorded(a.root, iris(2))
    (segment,) = (a.root / "segments").iterdir()
    recorded(b.root, iris(3))
    (other,) = (b.root / "segments").iterdir()
    other.rename(other.with_name(segment.name))
    assert (a.send(), b.send()) == (1, 1)
    assert (a.count(), b.count()) == ((5, 5), (5, 5))


@disk
def test_a_file_that_is_at_both_ends_counts_once(a: Kept, b: Kept) -> None:
    recorded(a.root, iris(5))
    a.keeper.seal_once()
    (file,) = a.root.rglob("*.parquet")
    content = file.read_bytes()
    a.keeper.send()
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    assert (a.count(), b.count()) == ((5, 5), (5, 5))
    assert a.keeper.compact(TOMORROW) == 0
    assert (a.count(), a.parquets()) == ((5, 5), [])


@pytest.mark.services
def test_while_the_place_is_away_records_are_kept_and_shown_here(
    a: Kept, objects: ObjectStore
) -> None:
    recorded(a.root, iris(1, ids=["before"]))
    a.send()
    objects.way.sever()
    try:
        recorded(a.root, iris(1, ids=["meanwhile"]))
        assert a.keeper.seal_once().records == 1
        with pytest.raises(Unavailable, match="s3://"):
            a.keeper.send()
        with pytest.raises(Unavailable, match="s3://"):
            a.count()
        with pytest.raises(Unavailable, match="s3://"):
            a.reader.show("before")
        assert a.reader.show("meanwhile")[0]["endpoint"] == "iris"
        with pytest.raises(Unavailable, match="s3://"):
            a.keeper.erase("prediction_id", "meanwhile")
        assert len(a.parquets()) == 1
    finally:
        objects.way.mend()
    assert a.count() == (2, 2)
    assert a.keeper.send() == 1
    assert a.count() == (2, 2)


SENDING = """
import sys
from pathlib import Path
from modelway.backends.fsspec_place import open_place
from modelway.backends.parquet_elsewhere import ElsewhereRecords
from modelway.backends.parquet_records import ParquetRecords
from modelway.backends.parquet_sent import SentRecords
from datetime import date
root, url = Path(sys.argv[1]), sys.argv[2]
keeper = ElsewhereRecords(root, ParquetRecords(root), SentRecords(open_place(url, "u"), "a"))
print("ready", flush=True)
keeper.seal_once()
keeper.compact(date(9999, 1, 1))
print("done", flush=True)
"""


@disk
def test_whenever_the_sender_is_killed_nothing_is_lost_or_doubled(
    a: Kept, place_url: str, tmp_path: Path
) -> None:
    drawn = random.Random(7)
    n = 0
    for k in range(8):
        for slot in range(12):
            recorded(a.root, iris(5), slot=f"{k}-{slot}")
            n += 5
        command = [sys.executable, "-c", SENDING, str(a.root), place_url]
        with killed(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as sender:
            assert sender.stdout is not None
            assert sender.stdout.readline() == "ready\n"
            until = time.monotonic() + drawn.uniform(0, 0.3)
            while time.monotonic() < until:
                assert a.count() == (n, n)
        assert a.count() == (n, n)
    a.keeper.seal_once()
    assert a.keeper.compact(TOMORROW) > 0
    assert a.count() == (n, n)
    assert len(files_below(tmp_path / "elsewhere")) == 1


@both
def test_each_home_merges_its_own_files_and_two_may_do_so_at_once(a: Kept, b: Kept) -> None:
    for one in (a, b):
        for k in range(3):
            recorded(one.root, iris(4), slot=str(k))
        one.send()
    before = a.count()
    gone: list[int] = []
    counts = []
    with repeated(lambda: counts.append(b.count())):
        together(*(lambda one=one: gone.append(one.keeper.compact(TOMORROW)) for one in (a, b)))
    assert gone == [3, 3]
    assert set(counts) == {before} == {(24, 24)}
    assert sorted(name[:2] for name in a.place.sizes()) == ["a/", "b/"]
    assert a.keeper.compact(TOMORROW) == 0
    assert (a.count(), b.count()) == (before, before)


@both
def test_erasing_reaches_the_files_of_all_homes(a: Kept, b: Kept, tmp_path: Path) -> None:
    erika = "Erika-Mustermann-4711"
    for one in (a, b):
        for k, names in enumerate(([erika], ["Ann", erika], ["Bob"])):
            recorded(one.root, people(names, range(len(names))), slot=str(k))
        one.send()
    b.keeper.compact(TOMORROW)
    recorded(a.root, people([erika, "Cid"], [1, 2]), slot="9")
    erased = a.keeper.erase("name", erika)
    assert (erased.records, len(erased.prediction_ids)) == (5, 5)
    assert not [name for name, raw in files_below(tmp_path).items() if erika.encode() in raw]
    left = a.reader.query('select inputs.name from "loan" order by all').rows
    assert left == [("Ann",), ("Ann",), ("Bob",), ("Bob",), ("Cid",)]
    assert a.keeper.erase("name", erika).records == 0
    with pytest.raises(InvalidInput, match="kept are: income, name, since"):
        a.keeper.erase("nothing", erika)
    assert not [name for name in a.place.sizes() if "erasing" in name]


@disk
def test_erasing_passes_over_tensors_and_is_refused_where_there_is_nothing_else(
    a: Kept, b: Kept
) -> None:
    recorded(a.root, people(["Erika"], [1], "a"), tensors("name"))
    recorded(b.root, tensors("name"), people(["Erika"], [1], "z"))
    a.send()
    b.send()
    assert a.keeper.erase("name", "Erika").records == 2
    assert len(a.place.sizes("erased")) == 1
    with pytest.raises(InvalidInput, match="name is a tensor"):
        a.keeper.erase("name", "Erika")
    assert a.count() == (4, 2)
    assert len(a.place.sizes("erased")) == 1


def bury(place: Place) -> None:
    """Begin to erase, by leaving a tombstone."""
    sought = Value("name", "Erika", b"")
    SentRecords(place, "a").bury(tombstone_of(sought, time.time_ns() // 1000))


class Slow(Place):
    """A place at which ``before`` happens before each file of records is put there."""

    before: Callable[[], object] = staticmethod(lambda: None)

    def put(self, file: Path, name: str) -> None:
        if name.endswith(".parquet"):
            self.before()
        super().put(file, name)


@both
@pytest.mark.parametrize("goes_on", [False, True])
def test_a_merge_that_meets_an_erasing_is_taken_back(
    a: Kept, tmp_path: Path, place: Place, place_url: str, goes_on: bool
) -> None:
    slow = Slow(place.filesystem, place.path("").rstrip("/"), place.shown)
    b = Kept(tmp_path, "b", slow)
    for k in range(2):
        recorded(b.root, people(["Erika", "Ann"], [1, 2]), slot=str(k))
    b.send()

    def erase() -> None:
        if goes_on:
            bury(place)  # and dies there
        else:
            assert a.keeper.erase("name", "Erika").records == 2

    slow.before = erase
    assert b.keeper.compact(TOMORROW) == 0
    assert a.count() == ((4, 2) if goes_on else (2, 2))
    slow.before = lambda: None
    assert b.keeper.compact(TOMORROW) == 2
    assert a.reader.query('select inputs.name from "loan"').rows == [("Ann",), ("Ann",)]


@both
@pytest.mark.parametrize("meets", ["unsealed", "sealed", "sending"])
def test_what_another_host_has_not_sent_is_sent_without_what_was_erased(
    a: Kept, tmp_path: Path, place: Place, meets: str
) -> None:
    slow = Slow(place.filesystem, place.path("").rstrip("/"), place.shown)
    b = Kept(tmp_path, "b", slow)
    recorded(a.root, people(["Erika", "Ann"], [1, 2]))
    a.send()
    recorded(b.root, people(["Erika", "Bob", None], [1, 2, 3], prediction_id="p"), slot="0")
    recorded(b.root, people(["Erika"], [4], prediction_id="q"), slot="1")

    def erase() -> None:
        slow.before = lambda: None
        assert a.keeper.erase("name", "Erika").records == 1

    if meets == "sealed":
        b.keeper.seal_once()
    if meets == "sending":
        slow.before = erase
        b.keeper.seal_once()
        b.keeper.send()
    else:
        erase()
    recorded(b.root, people(["Erika"], [5], prediction_id="later"), slot="2")
    b.keeper.seal_once()
    b.keeper.send()
    sql = "select inputs.name, inputs.income from loan order by inputs.income"
    expected = [("Ann", 2), ("Bob", 2), (None, 3), ("Erika", 5)]
    assert a.reader.query(sql).rows == b.reader.query(sql).rows == expected
    assert b.forgotten == {"p", "q"}
    (tombstone,) = place.sizes("erased")
    assert b"Erika" not in (place.read(tombstone) or b"")


@disk
@pytest.mark.parametrize(
    ("column", "value", "left"),
    [
        ("income", "1.0", ["Ann", "Bob"]),
        ("income", 1.5, ["Ann", "Bob", "Erika"]),
        ("name", "Ann", ["Bob", "Erika"]),
        ("principal", "ann", []),
        ("since", "2020-02-29T12:00:00.000001Z", []),
        ("since", "2020-02-29T12:00:00Z", ["Ann", "Bob", "Erika"]),
    ],
)
def test_under_a_tombstone_values_are_compared_by_type(
    a: Kept, b: Kept, column: str, value: str | float, left: list[str]
) -> None:
    recorded(b.root, people(["Erika", "Ann", "Bob"], [1, 2, 3]))
    assert a.keeper.erase(column, value).records == 0
    b.send()
    rows = b.reader.query("select inputs->>'name' from predictions order by 1").rows
    assert rows == [(name,) for name in left]


class Died(BaseException):
    """What ends a process that is to die."""


class Dying(Place):
    """A place at which one dies before change number ``left``, and changes nothing any more."""

    left = 1_000
    before: Callable[[], object] = staticmethod(lambda: None)

    def put(self, file: Path, name: str) -> None:
        if name.endswith(".parquet"):
            self.before()
        self._step()
        super().put(file, name)

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            self._step()
            super().remove([name])

    def _step(self) -> None:
        if self.left == 0:
            raise Died
        self.left -= 1


@both
@pytest.mark.parametrize("what", ["merge", "erase"])
def test_whoever_dies_at_any_step_what_was_erased_does_not_come_back(
    tmp_path: Path, place_url: str, what: str
) -> None:
    names = 'select inputs.name from "loan" order by all'
    expected = [("Ann",), ("Ann",), ("Bob",), ("Cid",)]
    for step in range(50):
        place = open_place(f"{place_url}/{step}", "records.url")
        dying = Dying(place.filesystem, place.path("").rstrip("/"), place.shown)
        a = Kept(tmp_path / str(step), "a", dying if what == "erase" else place)
        b = Kept(tmp_path / str(step), "b", dying if what == "merge" else place)
        for k in range(2):
            recorded(b.root, people(["Erika", "Ann"], [1, 2]), slot=str(k))
            b.send()
        recorded(a.root, people(["Erika", "Cid"], [1, 2]))

        def erase(a: Kept = a, dying: Dying = dying) -> None:
            dying.before = lambda: None
            a.keeper.erase("name", "Erika", a.forgotten.update)

        if what == "merge":
            dying.before = erase
        dying.left = step
        try:
            b.keeper.compact(TOMORROW) if what == "merge" else erase()
            ended = True
        except Died:
            ended = False
        dying.left = 1_000
        if what == "erase" or step == 0:
            erase()
        recorded(b.root, people(["Bob"], [1]), slot="9")
        b.send()
        assert a.reader.query(names).rows == expected, step
        a.send()
        for one in (b, a):
            one.keeper.compact(TOMORROW)
            assert a.reader.query(names).rows == expected, step
            assert one.keeper.erase("name", "Erika").records == 0, step
        assert len(a.forgotten | b.forgotten) == 3, step
        if ended:
            assert step > 3
            return
    pytest.fail("it never ended")


@disk
def test_of_two_who_erase_one_is_told_and_a_mark_of_one_that_died_counts_for_an_hour(
    a: Kept, place: Place
) -> None:
    recorded(a.root, people(["Erika"], [1]))
    a.send()
    place.write(f"erasing/{int(time.time()) - 3500}-b", b"")
    with pytest.raises(Unavailable, match=r"being erased by another host: .*-b"):
        a.keeper.erase("name", "Erika")
    assert a.count() == (1, 1)
    place.remove(place.sizes("erasing"))
    place.write(f"erasing/{int(time.time()) - 3700}-b", b"")
    assert a.keeper.erase("name", "Erika").records == 1


@both
def test_retention_takes_the_oldest_of_all_homes(a: Kept, b: Kept) -> None:
    for one in (a, b):
        recorded(one.root, iris(2))
        one.send()
    old = datetime.now(UTC).date() - timedelta(days=9)
    for name in list(b.place.sizes("b")):
        content = b.place.read(name) or b""
        b.place.write(name.replace(f"date={datetime.now(UTC).date()}", f"date={old}"), content)
    assert a.count() == (6, 4)
    assert a.keeper.retain(timedelta(days=10), None) == 0
    assert a.keeper.retain(timedelta(days=8), None) == 1
    assert b.count() == (4, 4)
    assert a.keeper.retain(None, sum(a.place.sizes().values()) - 1) == 1
    assert b.count() == (2, 2)
    assert a.keeper.retain(None, 0) == 1
    assert b.count() == (0, 0)


@disk
def test_what_was_kept_here_before_goes_there_too(tmp_path: Path, a: Kept) -> None:
    here = ParquetRecords(a.root)
    for k in range(3):
        recorded(a.root, iris(4), slot=str(k))
        here.seal_once()
    assert here.compact(TOMORROW) == 3
    recorded(a.root, iris(1), slot="4")
    assert a.count() == (13, 13)
    assert a.send() == 2
    assert a.count() == (13, 13)
    assert a.keeper.compact(TOMORROW) == 2
    assert a.count() == (13, 13)
    assert not list(a.root.glob("endpoint=*"))
