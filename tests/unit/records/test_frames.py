"""Frames hold what was told, bit for bit, whatever its layout; torn ones are counted."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelway.domain.inference import Outputs
from modelway.domain.parts import Part, Whole
from modelway.domain.signature import Datatype, Signature, TensorSpec
from modelway.domain.tables import NUMPY_DTYPES, Array, Table
from modelway.records.frames import Frame, Torn, frames_in
from modelway.records.gathered import Batches, Framing, Gathered
from modelway.records.identity import Identity
from modelway.records.policy import EndpointPolicy
from modelway.records.told import Answered
from modelway.records.values import Texts, Values, texts
from support.recording import CLASSES, identify, iris
from support.tables import array_of, rows_of, signatures

EVERYTHING = EndpointPolicy()


def gathered(parts: Sequence[Part]) -> Gathered:
    """Requests that were answered by these parts."""
    n = len(parts)
    told_at = np.arange(n, dtype=np.int64) + 1_700_000_000_000_000
    ids = [f"id-{k}-ü" for k in range(n)]
    rows = [part.end - part.start for part in parts]
    return Gathered(texts(ids), parts, [None] * n, [0.0] * n, told_at, rows)


def alone(tables: list[Table], outputs: Sequence[Outputs] | None = None) -> list[Part]:
    """Every table answered by a call of its own."""
    found = outputs or [{} for _ in tables]
    calls = [Whole(table, its) for table, its in zip(tables, found, strict=True)]
    return [Part(call, 0, call.n_rows) for call in calls]


def parts_of(told: Sequence[Answered]) -> list[Part]:
    """The parts that answered; here all of a call that answered several."""
    return [response.outputs for _, response, _ in told if isinstance(response.outputs, Part)]


def framed(
    one: Gathered, identity: Identity | None = None, policy: EndpointPolicy = EVERYTHING
) -> Frame:
    """What is read back of the frame of these requests."""
    identity = identity or identify("e", "1")
    raw = Framing(b"key").frame("e", one, identity, policy, 1)
    (frame,) = frames_in(raw)
    return frame


def as_array(values: Values) -> Array:
    if not isinstance(values, Texts):
        return values
    found = np.empty(len(values.lengths), dtype=object)
    found[:] = list(values)
    return found.reshape(values.shape)


def assert_alike(found: Array, expected: Array) -> None:
    assert found.shape == expected.shape
    if expected.dtype == object:
        assert found.tolist() == expected.tolist()
    else:
        assert found.dtype == expected.dtype
        assert found.tobytes() == expected.tobytes()


@st.composite
def tabular(draw: st.DrawFn) -> list[Table]:
    """One to four tables of one signature; as cells or as a matrix where all are numbers."""
    signature = draw(signatures())
    tables = []
    for _ in range(draw(st.integers(1, 4))):
        rows = draw(st.lists(rows_of(signature), min_size=1, max_size=3))
        arrays = [array_of(c, [row[c.name] for row in rows]) for c in signature.columns]
        if signature.is_numeric and draw(st.booleans()):
            cells = [tuple(row) for row in np.stack(arrays, axis=1).tolist()]
            tables.append(Table(signature, len(rows), cells=cells))
        else:
            tables.append(Table(signature, len(rows), arrays=arrays))
    return tables


@settings(max_examples=150, deadline=None)
@given(tabular())
def test_columns_come_back_as_they_were(tables: list[Table]) -> None:
    frame = framed(gathered(alone(tables)))
    signature = tables[0].signature
    assert [one.name for one in frame.inputs()] == [one.name for one in signature.columns]
    for place, one in enumerate(frame.inputs()):
        whole = np.concatenate([table.arrays[place] for table in tables])
        assert_alike(as_array(one.values), whole)
    rows = frame.request("rows")
    told = [table.n_rows for table in tables]
    assert (told == [1] * len(told)) if rows is None else (as_array(rows).tolist() == told)
    ids = frame.request("ids")
    assert isinstance(ids, Texts)
    assert list(ids) == [f"id-{k}-ü" for k in range(len(tables))]


@st.composite
def tensors(draw: st.DrawFn) -> list[Table]:
    """One to three tables of one tensor, of any datatype and of one to three axes."""
    datatype = draw(st.sampled_from([d for d in NUMPY_DTYPES if d is not Datatype.DATETIME]))
    inner = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    signature = Signature(tensors=(TensorSpec("x", datatype, (-1, *([-1] * len(inner)))),))
    tables = []
    for _ in range(draw(st.integers(1, 3))):
        n_rows = draw(st.integers(1, 3))
        dtype = NUMPY_DTYPES[datatype]
        if dtype.hasobject:
            cells = st.binary(max_size=5) if datatype is Datatype.BYTES else st.text(max_size=5)
            array = draw(hnp.arrays(object, (n_rows, *inner), elements=cells))
        else:
            array = draw(hnp.arrays(dtype, (n_rows, *inner)))
        tables.append(Table(signature, n_rows, arrays=(array,)))
    return tables


@settings(max_examples=150, deadline=None)
@given(tensors())
def test_tensors_come_back_as_they_were(tables: list[Table]) -> None:
    frame = framed(gathered(alone(tables)))
    (found,) = frame.inputs()
    assert_alike(as_array(found.values), np.concatenate([table.arrays[0] for table in tables]))


def test_parts_of_one_call_are_cut_out_together() -> None:
    parts = parts_of(iris(5))
    frame = framed(gathered([parts[0], parts[1], parts[3]]))
    found = {one.name: one.values for one in frame.outputs()}
    assert as_array(found["class_index"]).tolist() == [0, 1, 0]
    assert found["probabilities"].shape == (3, 3)


def test_an_output_without_rows_stands_once_a_request() -> None:
    signature = Signature(tensors=(TensorSpec("x", Datatype.FP32, (-1,)),))
    tables = [Table(signature, n, arrays=(np.zeros(n, np.float32),)) for n in (2, 3)]
    outputs = [{"y": np.array([1.0, 2.0, 3.0, 4.0])}, {"y": np.array([5.0, 6.0, 7.0, 8.0])}]
    (found,) = framed(gathered(alone(tables, outputs))).outputs()
    assert not found.per_row
    assert as_array(found.values).tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_a_batch_is_kept_where_it_matters() -> None:
    identity = Identity("m", "1", None, "live", CLASSES, batch_invariant=False)
    frame = framed(gathered(parts_of(iris(3))), identity)
    names, places = frame.request("batch_id"), frame.request("batch_place")
    assert isinstance(names, Texts)
    assert list(names) == ["id-0-ü"] * 3
    assert places is not None
    assert as_array(places).tolist() == [0, 1, 2]


def test_the_name_of_a_batch_does_not_hold_on_to_what_it_gave() -> None:
    batches = Batches()
    one = iris(2)
    (part, other) = parts_of(one)
    assert batches.name(part.whole, "a") == batches.name(other.whole, "b") == "a"
    gone = weakref.ref(part.whole)
    del one, part, other
    gc.collect()
    assert gone() is None


def test_what_is_dropped_or_hashed_is_not_written() -> None:
    table = iris(1)[0][0].table
    policy = EndpointPolicy(dropped=frozenset("b"), hashed=frozenset("c"))
    frame = framed(gathered(alone([table])), policy=policy)
    found = {one.name: as_array(one.values).tolist() for one in frame.inputs()}
    assert found["a"] == [0.0]
    assert found["d"] == [4.0]
    assert "b" not in found
    assert len(found["c"][0]) == 32
    assert [one.form for one in frame.head.columns] == ["kept", "dropped", "hashed", "kept"]


def test_what_utf8_cannot_hold_is_written_as_its_escape() -> None:
    assert list(texts(["\ud800", None, "é"])) == ["\\ud800", None, "é"]


@settings(deadline=None)
@given(st.data())
def test_whole_frames_are_found_around_what_is_torn(data: st.DataObject) -> None:
    raws = [
        Framing().frame("e", gathered(parts_of(iris(1))), identify("e", "1"), EVERYTHING, k)
        for k in range(3)
    ]
    cut = data.draw(st.integers(1, len(raws[1]) - 1))
    torn = Torn()
    found = list(frames_in(raws[0] + raws[1][:cut] + raws[2], torn))
    assert [one.head.recorded_at for one in found] == [0, 2]
    assert torn.stretches == 1


def test_a_flipped_bit_costs_one_frame() -> None:
    raws = [
        Framing().frame("e", gathered(parts_of(iris(1))), identify("e", "1"), EVERYTHING, k)
        for k in range(3)
    ]
    broken = bytearray(raws[1])
    broken[-1] ^= 1
    torn = Torn()
    found = list(frames_in(raws[0] + bytes(broken) + raws[2], torn))
    assert [one.head.recorded_at for one in found] == [0, 2]
    assert torn.stretches == 1
