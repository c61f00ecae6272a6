"""The contract of ``LabelStore``, over SQLite, PostgreSQL and MariaDB, each a real one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from modelway.backends.sql.store import Store
from modelway.domain.errors import (
    InvalidInput,
)
from support.moves import NOON, SECOND, label
from support.patience import promised
from support.stores import (
    at_once,
)


class TestLabelStore:
    def test_add_gives_each_the_next_revision_of_its_predictions_row(self, store: Store) -> None:
        assert store.labels.add([label(1), label(2, row=1), label(3, id="b")]) == [
            label(1),
            label(2, row=1),
            label(3, id="b"),
        ]
        corrected = store.labels.add([label(5, at=NOON + SECOND), label(6), label(2, row=7)])
        assert [one.revision for one in corrected] == [2, 3, 1]
        assert store.labels.of(["a"]) == [
            label(1),
            replace(label(5, at=NOON + SECOND), revision=2),
            replace(label(6), revision=3),
            label(2, row=1),
            label(2, row=7),
        ]

    @pytest.mark.parametrize(
        "value",
        [*(0, -1, 2**70, 0.1, 1.0, -0.0, 5e-324, 1.7e308, True, False, "", "1", "true"), "☃\x00\n"],
    )
    def test_a_value_comes_back_as_it_was_given(
        self, store: Store, value: int | float | str | bool
    ) -> None:
        store.labels.add([label(value)])
        (found,) = store.labels.of(["a"])
        assert (type(found.value), repr(found.value)) == (type(value), repr(value))

    def test_the_same_value_from_the_same_source_again_adds_nothing(self, store: Store) -> None:
        first = store.labels.add([label("yes")])
        again = store.labels.add([label("yes", at=NOON + SECOND), label("yes")])
        assert again == [first[0], first[0]]
        assert store.labels.of(["a"]) == first

    def test_another_source_or_another_type_adds_a_revision(self, store: Store) -> None:
        said = [label(1), label(1.0), label(True), label("1"), label(1), label(1, source="csv")]
        assert [one.revision for one in store.labels.add(said)] == [1, 2, 3, 4, 5, 6]
        assert [one.revision for one in store.labels.add([label(1)])] == [7]

    def test_labels_of_predictions_that_nobody_knows_are_kept(self, store: Store) -> None:
        store.labels.add([label(1, id="nobody knows")])
        assert store.labels.of(["nobody knows", "a"]) == [label(1, id="nobody knows")]

    def test_of_are_all_revisions_for_some_predictions(self, store: Store) -> None:
        ids = [f"p{n:04}" for n in range(1200)]
        store.labels.add([label(n, id=id) for n, id in enumerate(ids)])
        store.labels.add([label(-1, id=ids[7])])
        found = store.labels.of([*ids[::-1], ids[0]])
        assert len(found) == 1201
        assert [one.value for one in found if one.prediction_id == ids[7]] == [7, -1]
        assert store.labels.of(["P0007", "p0007 "]) == []
        assert store.labels.of([]) == []

    def test_since_are_the_newest_revisions_received_from_a_time_on_in_their_order(
        self, store: Store
    ) -> None:
        store.labels.add([label(n, id=f"p{n}", at=NOON + n * SECOND) for n in (3, 1, 2, 0)])
        store.labels.add([label(9, id="p1", at=NOON + 5 * SECOND)])
        store.labels.add([label(0, id=id, at=NOON + 4 * SECOND) for id in ("z", "y")])
        found = list(store.labels.since(NOON + SECOND))
        assert [one.prediction_id for one in found] == ["p2", "p3", "z", "y", "p1"]
        assert found[-1] == replace(label(9, id="p1", at=NOON + 5 * SECOND), revision=2)
        assert list(store.labels.since(NOON + 6 * SECOND)) == []

    def test_since_gives_every_row_once_over_many_pages_while_others_add(
        self, store: Store
    ) -> None:
        at_one_moment = [label(n, id=f"p{n}") for n in range(7000)]
        later = [label(n, id=f"q{n}", at=NOON + n * SECOND) for n in range(1, 7001)]
        store.labels.add(at_one_moment)
        store.labels.add(later)
        store.labels.add([label(-1, id="p6999")])
        expected = [*(f"p{n}" for n in range(7000)), *(f"q{n}" for n in range(1, 7001))]
        found = []
        for one in store.labels.since(NOON):
            if one.prediction_id == "p100":
                store.labels.add([label(-1, id="q7000", at=NOON + 9000 * SECOND)])
            found.append(one)
        assert [one.prediction_id for one in found] == expected
        assert [one.value for one in found if one.revision > 1] == [-1]
        assert found[6999].value == -1

    def test_erase_removes_for_good_and_gives_how_many_there_were(self, store: Store) -> None:
        store.labels.add([label(1), label(2), label(3, row=1), label(4, id="b")])
        assert store.labels.erase(["a", "a", "unknown"]) == 3
        assert store.labels.of(["a"]) == []
        assert store.labels.erase(["a"]) == 0
        assert store.labels.erase([]) == 0
        assert store.labels.of(["b"]) == [label(4, id="b")]
        assert [one.revision for one in store.labels.add([label(5)])] == [1]

    def test_add_stores_all_or_none(self, store: Store) -> None:
        for bad in (math.nan, -math.inf, None, b"x", [1], "\ud800"):
            with pytest.raises(InvalidInput, match="value: expected"):
                store.labels.add([label(1), label(bad, row=1)])  # type: ignore[arg-type]  # refused
        with pytest.raises(InvalidInput, match="row_index: expected a whole number from 0"):
            store.labels.add([label(1), label(1, row=-1)])
        assert store.labels.of(["a"]) == []
        assert store.labels.add([]) == []

    def test_revisions_are_right_under_concurrency(self, store: Store, url: str) -> None:
        def adder(source: str) -> Callable[[Store], object]:
            return lambda own: [
                own.labels.add([label(n, row=row, source=source) for row in rows])
                for n in range(15)
                for rows in ((0, 1, 2), (2, 1, 0))
            ]

        ends = at_once(url, [adder("x"), adder("y"), adder("z")])
        found = store.labels.of(["a"])
        for row in range(3):
            revisions = [one for one in found if one.row == row]
            assert [one.revision for one in revisions] == list(range(1, len(revisions) + 1))
            for before, after in pairwise(revisions):
                assert (before.value, before.source) != (after.value, after.source)
        given = {one for end in ends if isinstance(end, list) for some in end for one in some}
        assert given == set(found)

    def test_ten_thousand_labels_take_a_few_seconds_at_most(self, store: Store) -> None:
        for source in ("first", "second", "second"):
            many = [label(n, id=f"p{n // 2}", row=n % 2, source=source) for n in range(10_000)]
            began = time.perf_counter()
            given = store.labels.add(many)
            assert time.perf_counter() - began < promised(5)
            assert {one.revision for one in given} == {1 if source == "first" else 2}
