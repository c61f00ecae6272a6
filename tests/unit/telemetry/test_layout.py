"""The form of a slot's file: what is half written is left out, whatever it looks like."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from modelway.telemetry import layout
from modelway.telemetry.layout import FILE_BYTES, FIRST, HEAD
from modelway.telemetry.metrics import INFERENCE_SECONDS, REQUESTS
from modelway.telemetry.slots import Slot

VALUES = ("native", "200")


@pytest.fixture
def memory() -> mmap.mmap:
    """Two series: the first of 7, the second of 3 observations."""
    memory = layout.begun(mmap.mmap(-1, FILE_BYTES))
    slot = Slot("0", memory)
    slot.cells(REQUESTS, VALUES)[0] = 7.0
    slot.cells(INFERENCE_SECONDS, ("iris", "7"))[2] = 3.0
    return memory


def word(memory: mmap.mmap, index: int, value: int) -> None:
    with memoryview(memory) as raw, raw.cast("Q") as words:
        words[index] = value


def test_series_are_read_in_the_order_in_which_they_were_made(memory: mmap.mmap) -> None:
    first, second = layout.series(memory)
    assert first == (REQUESTS, VALUES, [7.0])
    assert second.metric is INFERENCE_SECONDS
    assert second.values == ("iris", "7")
    assert len(second.cells) == INFERENCE_SECONDS.n_cells
    assert second.cells[2] == 3.0


def test_numbers_lie_at_multiples_of_eight_bytes_inside_their_record(memory: mmap.mmap) -> None:
    for record in layout.records(memory):
        assert record.offset % 8 == 0
        assert record.first_cell * 8 >= record.offset + layout.KEY_AT
        assert (record.first_cell + record.n_cells) * 8 == record.offset + record.n_bytes


def test_what_lies_behind_the_end_is_not_there(memory: mmap.mmap) -> None:
    _, second = layout.records(memory)
    word(memory, layout.END_WORD, second.offset)
    assert [one.metric for one in layout.series(memory)] == [REQUESTS]


def test_an_end_past_bytes_that_are_not_there_yet_ends_the_reading(memory: mmap.mmap) -> None:
    _, second = layout.records(memory)
    word(memory, layout.END_WORD, second.offset + second.n_bytes + 512)
    assert len(layout.series(memory)) == 2
    word(memory, layout.END_WORD, 2**63)
    assert len(layout.series(memory)) == 2


@pytest.mark.parametrize("n_bytes", [0, 8, 12, 2**31])
def test_a_size_that_cannot_be_ends_the_reading(memory: mmap.mmap, n_bytes: int) -> None:
    HEAD.pack_into(memory, FIRST, n_bytes, 1)
    assert layout.series(memory) == []


@pytest.mark.parametrize("seal", [0, 1, 2**64 - 1, 2**32 - 1])
def test_a_seal_that_does_not_fit_leaves_one_record_out(memory: mmap.mmap, seal: int) -> None:
    word(memory, FIRST // 8 + 1, seal)
    assert [one.metric for one in layout.series(memory)] == [INFERENCE_SECONDS]


@pytest.mark.parametrize("at", [4, layout.KEY_AT, layout.KEY_AT + 9])
def test_a_changed_byte_of_head_or_key_leaves_one_record_out(memory: mmap.mmap, at: int) -> None:
    memory[FIRST + at] ^= 2
    assert [one.metric for one in layout.series(memory)] == [INFERENCE_SECONDS]


@pytest.mark.parametrize(
    "key",
    [b'["no_such_metric","native","200"]', b'["modelway_requests_total","native"]'],
    ids=["metric", "labels"],
)
def test_a_key_that_the_table_does_not_have_leaves_one_record_out(
    memory: mmap.mmap, key: bytes
) -> None:
    memory[FIRST + layout.KEY_AT : FIRST + layout.KEY_AT + len(key)] = key
    word(memory, FIRST // 8 + 1, layout.seal_of(memory[FIRST : FIRST + HEAD.size], key))
    assert [one.metric for one in layout.series(memory)] == [INFERENCE_SECONDS]


def test_a_file_that_is_created_is_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "slot-0.metrics"
    layout.created(path).close()
    assert path.stat().st_size == FILE_BYTES
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    memory = layout.opened(path)
    assert memory is not None
    assert layout.series(memory) == []
    memory.close()


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"\0" * FILE_BYTES])
def test_a_file_of_another_form_is_not_opened(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "slot-0.metrics"
    path.write_bytes(content)
    assert layout.opened(path) is None
    assert layout.opened(path, mmap.ACCESS_READ) is None
    assert layout.opened(tmp_path / "slot-1.metrics") is None
