"""Joined frames hold the records of the frames, in tables that are the same."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.backends.arrow_records import Shelf, shelved
from modelway.records.flushing import Flush
from modelway.records.frames import Frame, frames_in
from modelway.records.joining import joined
from modelway.records.policy import RecordingPolicy
from modelway.records.told import Answered
from support.recording import iris, people, told_of


class Written:
    """Frames as they would be written."""

    def __init__(self) -> None:
        self.raw = b""

    def append(self, frame: bytes, n_requests: int, n_rows: int) -> None:
        """A frame was made."""
        self.raw += frame

    def lost(self, n_requests: int) -> None:
        """A frame could not be made."""
        raise AssertionError(n_requests)


TOLD = st.one_of(
    st.builds(iris, st.integers(1, 4), st.sampled_from("ef"), st.sampled_from("7s")),
    st.builds(
        lambda names: people(names, [1.0] * len(names)),
        st.lists(st.none() | st.text(max_size=3), min_size=1, max_size=3),
    ),
)


def framed(told: Sequence[list[Answered]]) -> list[Frame]:
    """A frame for each."""
    written = Written()
    flush = Flush(written, RecordingPolicy())
    for place, one in enumerate(told):
        flush.answered([told_of(one, place * 50_000_000_000_000)])
    return list(frames_in(written.raw))


def sorted_rows(tables: Sequence[pa.Table]) -> list[object]:
    """The records, in an order of their own."""
    rows = [row for table in tables for row in table.to_pylist()]
    return sorted(rows, key=lambda row: (row["prediction_id"], row["row"]))


@settings(max_examples=60, deadline=None)
@given(st.lists(TOLD, min_size=1, max_size=8))
def test_tables_are_those_of_the_frames_one_by_one(told: list[list[Answered]]) -> None:
    frames = framed(told)
    one_by_one: dict[Shelf, list[pa.Table]] = {}
    for frame in frames:
        for shelf, table in shelved([frame]).items():
            one_by_one.setdefault(shelf, []).append(table)
    together = shelved(frames)
    assert set(together) == set(one_by_one)
    for shelf, table in together.items():
        assert table.schema.equals(one_by_one[shelf][0].schema, check_metadata=True)
        assert sorted_rows([table]) == sorted_rows(one_by_one[shelf])


def test_alike_frames_become_one_in_their_order() -> None:
    told = [iris(2, ids=["a", "b"]), iris(1, "other", ids=["x"]), iris(1, ids=["c"])]
    found = {frame.head.endpoint: frame for frame in joined(framed(told))}
    assert {name: frame.head.n_requests for name, frame in found.items()} == {"iris": 3, "other": 1}
    assert list(found["iris"].request("ids")) == ["a", "b", "c"]  # type: ignore[arg-type]
