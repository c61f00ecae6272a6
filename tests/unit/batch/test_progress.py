from __future__ import annotations

from modelway.batch.progress import Progress, bar, progress_at


def test_what_was_done_before_does_not_make_it_faster() -> None:
    found = progress_at(300, before=100, total=500, seconds=2.0)
    assert found == Progress(300, 500, 100.0, 2.0)


def test_nothing_is_promised_before_anything_is_done() -> None:
    assert progress_at(100, before=100, total=500, seconds=2.0).remaining_s is None


def test_the_bar_says_how_far_it_is_and_fits() -> None:
    line = bar(Progress(300, 600, 1234.5, 125.0), 80)
    assert " 50%  300 rows, 1,234 rows/s, 2 min 05 s left" in line
    assert abs(line.count("#") - line.count(".")) <= 1
    assert len(bar(Progress(300, 600, 1234.5, 125.0), 20)) <= 20
