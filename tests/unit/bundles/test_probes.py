"""The rows of the gate: the same ones every time, all of them possible, and where models break."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from modelway.bundles.probes import MOST_ROWS, Kind, Probes, neighbours, probe_rows
from modelway.domain.signature import Column, Datatype, Signature, columns_named
from modelway.domain.tables import Table

NONE = np.empty(0)

MIXED = Signature(
    (
        Column("age", "age", Datatype.INT32, minimum=18, maximum=90),
        Column("small", "small", Datatype.UINT8),
        Column("income (EUR)", "income", Datatype.FP64, nullable=True),
        Column("weight", "weight", Datatype.FP32, nullable=True),
        Column("member", "member", Datatype.BOOL),
        Column("city", "city", Datatype.CATEGORICAL, categories=("Rome", "Oslo"), nullable=True),
        Column("plan", "plan", Datatype.CATEGORICAL, categories=("a", "b"), closed=True),
        Column("zone", "zone", Datatype.CATEGORICAL, categories=(3, 7), closed=True),
        Column("note", "note", Datatype.STRING),
        Column("since", "since", Datatype.DATETIME, nullable=True),
    )
)
SPLITS = [np.array([30.5]), NONE, np.array([0.1, 2e4]), np.array([0.1])] + [NONE] * 6


def reference(n: int = 40) -> Table:
    rng = np.random.default_rng(3)
    income = rng.normal(2e4, 5e3, n)
    income[::4] = np.nan
    city = rng.choice(np.array(["Rome", "Oslo"], dtype=object), n)
    city[::5] = None
    arrays: list[npt.NDArray[Any]] = [
        rng.integers(18, 90, n).astype(np.float64),
        rng.integers(0, 255, n).astype(np.float64),
        income,
        rng.normal(70, 9, n).astype(np.float32).astype(np.float64),
        rng.integers(0, 2, n).astype(np.float64),
        city,
        rng.choice(np.array(["a", "b"], dtype=object), n),
        rng.choice([3.0, 7.0], n),
        rng.choice(np.array(["one two", "three"], dtype=object), n),
        np.full(n, np.datetime64("2024-05-17T12:30:00", "us")),
    ]
    return Table(MIXED, n, arrays=arrays)


def of_kind(probes: Probes, kind: Kind) -> Table:
    return probes.table.rows(np.flatnonzero([found is kind for found in probes.kinds]))


@pytest.fixture(params=["with reference rows", "without"])
def mixed(request: pytest.FixtureRequest) -> Probes:
    return probe_rows(MIXED, reference() if "with " in request.param else None, SPLITS)


def test_the_same_rows_come_every_time() -> None:
    one, other = (probe_rows(MIXED, reference(), SPLITS) for _ in range(2))
    assert one.kinds == other.kinds
    for left, right in zip(one.table.arrays, other.table.arrays, strict=True):
        assert left.tobytes() == right.tobytes() or list(left) == list(right)


def test_there_are_no_more_rows_than_allowed(mixed: Probes) -> None:
    assert len(mixed.kinds) == mixed.table.n_rows <= MOST_ROWS
    names = Signature(columns_named([f"x{i}" for i in range(300)]))
    wide = probe_rows(names, None, [np.arange(64.0)] * 300)
    assert wide.table.n_rows <= MOST_ROWS
    assert set(wide.kinds) == {Kind.RANDOM, Kind.TIE, Kind.EXTREME, Kind.THRESHOLD}


def test_every_row_is_one_that_a_request_could_bring(mixed: Probes) -> None:
    age, small, income, weight, member, city, plan, zone, note, since = mixed.table.arrays
    assert np.array_equal(age, np.round(age))
    assert abs(age).max() <= 2**31
    assert set(small) <= set(range(256))
    assert np.isfinite(income[~np.isnan(income)]).all()
    assert np.array_equal(weight.astype(np.float32).astype(np.float64), weight, equal_nan=True)
    assert set(member) == {0.0, 1.0}
    assert set(plan) == {"a", "b"}
    assert set(zone) == {3.0, 7.0}
    assert {type(text) for text in city} == {str, type(None)}
    assert {type(text) for text in note} == {str}
    assert since.dtype == np.dtype("datetime64[us]")


def test_reference_rows_are_asked_as_they_are() -> None:
    given = reference()
    asked = of_kind(probe_rows(MIXED, given, SPLITS), Kind.REFERENCE)
    assert asked.n_rows == given.n_rows
    for left, right in zip(asked.arrays, given.arrays, strict=True):
        assert list(left.astype(str)) == list(right.astype(str))


def test_every_threshold_is_asked_and_what_lies_next_to_it(mixed: Probes) -> None:
    asked = of_kind(mixed, Kind.THRESHOLD).arrays
    assert set(neighbours(SPLITS[2])) <= set(asked[2])
    assert {30.0, 31.0} & set(asked[0])
    near = {np.float32(0.1), *(np.nextafter(np.float32(0.1), np.float32(b)) for b in (0, 1))}
    assert near <= set(asked[3].astype(np.float32))


def test_the_neighbours_of_a_value_are_of_both_precisions() -> None:
    found = neighbours(np.array([0.8]))
    single = np.float32(0.8)
    expected = {0.8, np.nextafter(0.8, 1), np.nextafter(0.8, 0), float(single)}
    expected |= {float(np.nextafter(single, np.float32(to))) for to in (0, 1)}
    assert set(found) == expected


def test_what_may_be_missing_is_missing_alone_in_pairs_and_together() -> None:
    asked = of_kind(probe_rows(MIXED, None, SPLITS), Kind.MISSING).arrays
    gaps = np.stack(
        [np.isnan(asked[2]), np.isnan(asked[3]), asked[5] == None, np.isnat(asked[9])],  # noqa: E711 - element by element
        axis=1,
    )
    groups = {tuple(np.flatnonzero(row)) for row in gaps}
    alone = {(0,), (1,), (2,), (3,)}
    pairs = {(a, b) for a in range(4) for b in range(a + 1, 4)}
    assert groups == {*alone, *pairs, (0, 1, 2, 3)}


def test_text_that_training_did_not_have_is_asked(mixed: Probes) -> None:
    city = set(of_kind(mixed, Kind.UNSEEN).arrays[5])
    assert {"", " ", "never seen", "ROME", "Rome ", "Rome\x00", "🙂"} <= city


def test_texts_from_all_over_the_alphabet_are_varied() -> None:
    signature = Signature((Column("word", "word", Datatype.STRING),))
    words = [f"{letter}{i}" for letter in "abcdηθικ" for i in range(6)]
    given = Table(signature, len(words), arrays=[np.array(words, dtype=object)])
    asked = of_kind(probe_rows(signature, given, [NONE]), Kind.UNSEEN)
    upper = {text for text in asked.arrays[0] if text.lower() in words}
    assert {text[0] for text in upper - set(words)} == set("ABCDΗΘΙΚ")


def test_extreme_magnitudes_are_asked_with_both_signs() -> None:
    income = of_kind(probe_rows(MIXED, None, SPLITS), Kind.EXTREME).arrays[2]
    largest = float(np.finfo(np.float32).max)
    assert {0.0, 1e-300, -1e-300, 1e6, -1e30, largest, -largest} <= set(income)
    assert np.signbit(income[income == 0.0]).any()


def test_ties_are_asked() -> None:
    signature = Signature(columns_named(["a", "b"]))
    rng = np.random.default_rng(0)
    given = Table(signature, 50, matrix=rng.normal(size=(50, 2)))
    asked = of_kind(probe_rows(signature, given, [NONE, NONE]), Kind.TIE).matrix
    for centre in (given.matrix.mean(axis=0), np.median(given.matrix, axis=0)):
        assert np.isclose(asked, centre, rtol=1e-12).all(axis=1).any()
        assert (asked == np.round(centre, 1)).all(axis=1).any()
    assert (asked == 1.0).all(axis=1).any()
    assert len(np.unique(asked, axis=0)) < len(asked)


def test_without_reference_rows_they_lie_in_the_range_or_around_the_thresholds() -> None:
    signature = Signature(
        (
            Column("a", "a", Datatype.FP64, minimum=5.0, maximum=6.0),
            *columns_named(["b", "c"]),
        )
    )
    asked = probe_rows(signature, None, [NONE, np.array([1e5, 2e5]), NONE])
    rows = of_kind(asked, Kind.RANDOM).matrix
    assert Kind.REFERENCE not in asked.kinds
    assert 3.0 < rows[:, 0].min() < rows[:, 0].max() < 8.0
    assert 0.0 <= rows[:, 1].min() < 1e5 < 2e5 < rows[:, 1].max() < 3e5


def test_half_of_the_moved_rows_are_as_coarse_as_the_rows_are() -> None:
    signature = Signature(columns_named(["a"]))
    given = np.random.default_rng(0).normal(size=(60, 1)).round(1)
    asked = probe_rows(signature, Table(signature, 60, matrix=given), [NONE])
    moved = of_kind(asked, Kind.RANDOM).matrix[:200, 0]
    coarse = moved == moved.round(1)
    assert 90 < coarse.sum() < 110
    assert set(moved[coarse]) - set(given[:, 0])


def test_a_column_of_nothing_but_gaps_is_no_obstacle() -> None:
    signature = Signature((Column("a", "a", Datatype.FP64, nullable=True),))
    given = Table(signature, 3, matrix=np.full((3, 1), np.nan))
    assert probe_rows(signature, given, [NONE]).table.n_rows > 100
