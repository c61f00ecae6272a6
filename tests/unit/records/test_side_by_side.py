"""Rows that are kept as bytes give the frame that the requests themselves would have given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.domain.parts import Part, Whole
from modelway.domain.signature import Datatype, Signature, columns_named
from modelway.domain.tables import Table
from modelway.records.flushing import Flush
from modelway.records.frames import Frame, frames_in
from modelway.records.policy import EndpointPolicy, RecordingPolicy
from modelway.records.side_by_side import SideBySide, can_be_kept
from modelway.records.told import Answered, run_of
from modelway.records.values import Texts
from support.recording import IRIS, PEOPLE, identify, iris, told_of

BY = identify("iris", "7")
IDS = st.lists(st.text(max_size=12), min_size=1, max_size=9)


class Written:
    """Frames as they would be written."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.n_lost = 0

    def append(self, frame: bytes, n_requests: int, n_rows: int) -> None:
        """A frame was made."""
        self.frames.append(frame)

    def lost(self, n_requests: int) -> None:
        """A frame could not be made."""
        self.n_lost += n_requests

    def contents(self) -> list[object]:
        """What the frames say, but for when they were made."""
        assert not self.n_lost
        return [_said(frame) for raw in self.frames for frame in frames_in(raw)]


def _said(frame: Frame) -> object:
    arrays = [
        (one.place, one.name, one.datatype, one.per_row, one.values.shape, _bits(one.values))
        for one in frame.arrays
    ]
    head = frame.head
    shared = (head.endpoint, head.identity, head.sampling_rate, head.columns)
    return (*shared, head.n_requests, head.n_rows, sorted(arrays, key=repr))


def _bits(values: object) -> object:
    if isinstance(values, Texts):
        return values.lengths.tobytes(), values.joined
    assert isinstance(values, np.ndarray)
    return values.dtype.str, values.tobytes()


def _runs(told: Sequence[Sequence[Answered]]) -> list[tuple[Sequence[Answered], Part]]:
    found = []
    for one in told:
        run = run_of(one)
        assert run is not None
        found.append((one, run))
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.lists(IDS, min_size=1, max_size=4),
    st.integers(0, 3),
    st.sampled_from([EndpointPolicy(), EndpointPolicy(0.5, frozenset("b"), frozenset("c"))]),
)
def test_the_frame_is_that_of_the_requests(
    ids: list[list[str]], before: int, policy: EndpointPolicy
) -> None:
    # The rows of a call may have been told in two parts, so a run begins anywhere in it.
    told = [iris(before + len(its), ids=["_"] * before + its)[before:] for its in ids]
    by_rows, by_requests = Written(), Written()
    rows = SideBySide("iris", BY, run_of(told[0]).whole)  # type: ignore[union-attr]
    for place, (one, run) in enumerate(_runs(told)):
        arrays = rows.arrays_of(run.whole)
        assert arrays is not None
        rows.add(place * 1000, one, run, arrays)
    Flush(by_rows, RecordingPolicy(policy, key=b"k")).side_by_side(rows)
    entries = [told_of(one, place * 1000, None, BY) for place, one in enumerate(told)]
    for entry in entries:
        Flush(by_requests, RecordingPolicy(policy, key=b"k")).answered([entry])
    assert rows.n_rows == 0
    together = Written()
    Flush(together, RecordingPolicy(policy, key=b"k")).answered(
        [told_of(one, place * 1000, run, BY) for place, (one, run) in enumerate(_runs(told))]
    )
    assert by_rows.contents() == together.contents()
    kept = sum(frame.head.n_requests for raw in by_rows.frames for frame in frames_in(raw))
    assert kept == sum(
        frame.head.n_requests for raw in by_requests.frames for frame in frames_in(raw)
    )


def test_requests_of_no_row_and_of_several_are_no_run() -> None:
    told = iris(4)
    whole = run_of(told).whole  # type: ignore[union-attr]
    bounds = [(0, 1), (1, 1), (1, 3), (3, 4)]
    for (_, response, _), (start, end) in zip(told, bounds, strict=True):
        response.outputs, response.n_rows = Part(whole, start, end), end - start
    assert run_of(told) is None


def test_a_call_of_another_layout_is_not_taken() -> None:
    whole = run_of(iris(3)).whole  # type: ignore[union-attr]
    rows = SideBySide("iris", BY, whole)
    outputs = dict(whole.outputs)
    assert rows.arrays_of(Whole(whole.table, outputs)) is not None
    assert rows.arrays_of(Whole(whole.table, {**outputs, "more": np.zeros(3)})) is None
    assert rows.arrays_of(Whole(whole.table, {**outputs, "class_index": np.zeros(3)})) is None
    assert (
        rows.arrays_of(Whole(whole.table, {**outputs, "probabilities": np.zeros((3, 2))})) is None
    )
    asked = Table(IRIS, 3, matrix=np.zeros((3, 4)))
    asked.parameters = {"temperature": 0.5}
    assert rows.arrays_of(Whole(asked, outputs)) is None


@pytest.mark.parametrize(
    ("signature", "outputs", "kept"),
    [
        (IRIS, {"y": np.zeros(2)}, True),
        (IRIS, {"y": np.array(["a", None], object)}, False),
        (IRIS, {"y": np.zeros(5)}, False),
        (IRIS, {"y": object()}, False),
        (PEOPLE, {"y": np.zeros(2)}, False),
        (Signature(columns=columns_named([f"c{k}" for k in range(600)])), {}, False),
    ],
)
def test_what_is_kept_so(signature: Signature, outputs: dict[str, object], kept: bool) -> None:
    dtypes = [
        object if column.datatype is Datatype.STRING else float for column in signature.columns
    ]
    table = Table(signature, 2, arrays=[np.zeros(2, dtype) for dtype in dtypes])
    for parameters in ({}, {"temperature": 0.5}):  # of one call, and not of those that follow
        table.parameters = parameters
        assert can_be_kept(Whole(table, outputs)) is kept  # type: ignore[arg-type]
