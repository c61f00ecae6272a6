"""Ids of callers: bound to their inputs, shared by processes, bounded, never refused wrongly."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from modelway.domain.errors import IdempotencyMismatch
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Table
from modelway.inference.own_ids import OwnIds, inputs_hash

TWO = Signature(columns=(Column("a", "a", Datatype.FP64), Column("b", "b", Datatype.FP64)))
TEXT = Signature(columns=(Column("a", "a", Datatype.STRING), Column("b", "b", Datatype.FP64)))
_HEAD, _ENTRY = 4096, 32


def test_an_id_is_bound_to_its_inputs_and_its_endpoint(tmp_path: Path) -> None:
    ids = OwnIds(tmp_path / "ids", 64)
    ids.check("loan", "a", b"1")
    ids.check("loan", "a", b"1")
    ids.check("loan", "b", b"2")
    ids.check("iris", "a", b"3")
    with pytest.raises(IdempotencyMismatch, match="the id a before") as refused:
        ids.check("loan", "a", b"2")
    assert (refused.value.endpoint, refused.value.prediction_id) == ("loan", "a")
    ids.check("loan", "a", b"1")


def test_processes_share_what_they_know(tmp_path: Path) -> None:
    one, other = (OwnIds(tmp_path / "ids", 64) for _ in range(2))
    one.check("loan", "a", b"1")
    with pytest.raises(IdempotencyMismatch):
        other.check("loan", "a", b"2")
    assert [path.name for path in tmp_path.iterdir()] == ["ids"]


def test_of_many_ids_the_oldest_give_way(tmp_path: Path) -> None:
    ids = OwnIds(tmp_path / "ids", 256)
    for number in range(10_000):
        ids.check("loan", str(number), b"1")
    for number in range(9_950, 10_000):
        with pytest.raises(IdempotencyMismatch):
            ids.check("loan", str(number), b"2")
    for number in range(1000):
        ids.check("loan", str(number), b"2")


def test_nobody_can_say_where_an_id_lies(tmp_path: Path) -> None:
    places = []
    for name in ("one", "other"):
        OwnIds(tmp_path / name, 2**12).check("loan", "a", b"1")
        content = (tmp_path / name).read_bytes()[_HEAD:]
        places.append(next(k for k, byte in enumerate(content) if byte) // _ENTRY)
    assert places[0] != places[1]


@pytest.mark.parametrize("word", range(4))
def test_an_entry_that_is_torn_refuses_nobody(tmp_path: Path, word: int) -> None:
    path = tmp_path / "ids"
    ids = OwnIds(path, 16)
    for number in range(16):
        ids.check("loan", str(number), b"1")
    content = bytearray(path.read_bytes())
    for place in range(_HEAD, len(content), _ENTRY):
        content[place + 8 * word] ^= 1
    with path.open("r+b") as file:
        file.write(content)
    for number in range(16):
        ids.check("loan", str(number), b"2")


_ASKING = """
import random
import sys
from pathlib import Path

from modelway.domain.errors import IdempotencyMismatch
from modelway.inference.own_ids import PROBED, OwnIds

draw, ids, refused = random.Random(int(sys.argv[2])), OwnIds(Path(sys.argv[1]), 2 * PROBED), 0
for _ in range(20_000):
    number = draw.randrange(200)
    try:
        ids.check("loan", str(number), str(number).encode())
    except IdempotencyMismatch:
        refused += 1
print(refused)
"""


def test_processes_that_write_at_once_refuse_nobody_wrongly(tmp_path: Path) -> None:
    """Under ids that all others use too, each always with its own inputs, in few places."""
    command = [sys.executable, "-c", _ASKING, str(tmp_path / "ids")]
    asking = [
        subprocess.Popen([*command, str(seed)], stdout=subprocess.PIPE, text=True)
        for seed in range(3)
    ]
    assert [one.communicate(timeout=120)[0] for one in asking] == ["0\n"] * 3


def test_threads_that_begin_at_once_make_one_file(tmp_path: Path) -> None:
    many = [OwnIds(tmp_path / "ids", 64) for _ in range(8)]
    threads = [threading.Thread(target=one.check, args=("loan", "a", b"1")) for one in many]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in many:
        with pytest.raises(IdempotencyMismatch):
            one.check("loan", "a", b"2")


def test_without_a_file_nobody_is_refused_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ids = OwnIds(tmp_path / "gone" / "ids")
    for inputs in (b"1", b"2"):
        ids.check("loan", "a", inputs)
    assert len(caplog.records) == 1
    assert "ids of callers are not compared" in caplog.text


def test_a_file_that_was_not_made_for_this_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "ids").write_bytes(bytes(8192))
    ids = OwnIds(tmp_path / "ids", 1024)
    for k in range(1024):
        ids.check("loan", str(k), b"1")
    assert len(caplog.records) == 1
    assert f"{tmp_path / 'ids'} was not made for this; remove it" in caplog.text


def test_inputs_are_the_same_whatever_form_they_came_in() -> None:
    cells = Table(TWO, 1, cells=((1.0, float("nan")),))
    matrix = Table(TWO, 1, matrix=np.array([[1.0, np.nan]]))
    arrays = Table(TWO, 1, arrays=(np.array([1.0]), np.array([np.nan])))
    assert inputs_hash(cells) == inputs_hash(matrix) == inputs_hash(arrays)


def test_parameters_have_any_size_and_no_order() -> None:
    def asked(parameters: dict[str, object]) -> Table:
        table = Table(TWO, 1, matrix=np.array([[1.0, 2.0]]))
        table.parameters = parameters
        return table

    many = {"seed": 10**30, "of": {"b": 1, "a": 2}}
    turned = {"of": {"a": 2, "b": 1}, "seed": 10**30}
    assert inputs_hash(asked(many)) == inputs_hash(asked(turned))
    assert inputs_hash(asked(many)) != inputs_hash(asked({**many, "seed": 10**30 + 1}))


def test_other_inputs_are_others() -> None:
    def text(value: str | None) -> Table:
        return Table(TEXT, 1, arrays=(np.array([value], object), np.array([1.0])))

    said = Table(TWO, 1, matrix=np.array([[1.0, 2.0]]))
    said.parameters = {"mode": "fast"}
    other = Signature(columns=tuple(reversed(TWO.columns)))
    tables = [
        Table(TWO, 1, matrix=np.array([[1.0, 2.0]])),
        Table(TWO, 1, matrix=np.array([[2.0, 1.0]])),
        Table(TWO, 2, matrix=np.array([[1.0, 2.0], [1.0, 2.0]])),
        Table(other, 1, matrix=np.array([[1.0, 2.0]])),
        said,
        *(text(value) for value in ("a", "b", "", "None", None)),
    ]
    assert len({inputs_hash(table) for table in tables}) == len(tables)


def test_what_was_opened_is_there_before_the_first_id(tmp_path: Path) -> None:
    ids = OwnIds(tmp_path / "ids", 64)
    ids.open()
    made = (tmp_path / "ids").stat()
    ids.check("loan", "a", b"1")
    assert (tmp_path / "ids").stat().st_ino == made.st_ino
    with pytest.raises(IdempotencyMismatch):
        ids.check("loan", "a", b"2")
