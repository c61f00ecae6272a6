from __future__ import annotations

from modelway.batch.parts import Part, PartSize, Span, planned


def test_parts_are_numbered_through_all_files() -> None:
    spans = [[Span(0, 2, 1, 20), Span(2, 3, 21, 5)], [], [Span(0, 1, 1, 7)]]
    assert list(planned(spans)) == [
        Part(0, 0, Span(0, 2, 1, 20)),
        Part(1, 0, Span(2, 3, 21, 5)),
        Part(2, 2, Span(0, 1, 1, 7)),
    ]


def test_files_without_rows_are_one_part_without_rows() -> None:
    (part,) = planned([[], []])
    assert (part.number, part.span.n_rows) == (0, 0)


def test_a_part_ends_by_rows_or_bytes() -> None:
    size = PartSize(rows=10, bytes=100)
    assert not size.is_reached(9, 99)
    assert size.is_reached(10, 1)
    assert size.is_reached(1, 100)
