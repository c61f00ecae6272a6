"""Parts of one call's outputs are what cutting every array would give."""

from __future__ import annotations

import numpy as np

from modelway.domain.parts import Part, Whole, single_row
from modelway.domain.signature import Signature, columns_named
from modelway.domain.tables import Table

SIGNATURE = Signature(columns=columns_named(["x"]))

OUTPUTS = {
    "class_index": np.array([2, 0, 1]),
    "probabilities": np.array([[0.1, 0.2, 0.7], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
}


def table(n_rows: int) -> Table:
    return Table(SIGNATURE, n_rows, matrix=np.zeros((n_rows, 1)))


def test_a_part_has_its_rows_of_every_output() -> None:
    part = Part(Whole(table(3), OUTPUTS), 1, 3)
    assert list(part) == list(OUTPUTS)
    assert len(part) == 2
    for name, array in OUTPUTS.items():
        assert np.array_equal(part[name], array[1:3])
    assert part.get("prediction") is None


def test_a_single_row_is_found_in_a_part_and_in_outputs_of_its_own() -> None:
    whole = Whole(table(3), OUTPUTS)
    lists, row = single_row(Part(whole, 2, 3))
    assert lists is single_row(Part(whole, 0, 1))[0], "lists are made once a call"
    assert (lists["class_index"][row], lists["probabilities"][row]) == (1, [0.0, 1.0, 0.0])
    own, first = single_row({name: array[:1] for name, array in OUTPUTS.items()})
    assert (own["class_index"][first], own["probabilities"][first]) == (2, [0.1, 0.2, 0.7])


def test_many_rows_are_not_listed_for_the_sake_of_one() -> None:
    whole = Whole(table(10_000), {"prediction": np.arange(10_000.0)})
    lists, row = single_row(Part(whole, 7, 8))
    assert (lists, row) == ({"prediction": [7.0]}, 0)
