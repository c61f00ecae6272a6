from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from modelway.batch.parts import Done, Part, Span
from modelway.batch.ports import Advanced, Exceeded, Finished, Ready, Report
from modelway.batch.progress import Progress
from modelway.batch.running import Run

PARTS = tuple(Part(number, 0, Span(number, number + 1, 1, 10)) for number in range(5))


class Told:
    """Workers that do each part at once; ``errors`` of each are rows without an answer."""

    def __init__(self, n_workers: int, errors: dict[int, int], most: int = 1000) -> None:
        self.given: list[int] = []
        self.dismissed: list[int] = []
        self._errors, self._most = errors, most
        self._said: deque[tuple[int, Report]] = deque((w, Ready()) for w in range(n_workers))

    def give(self, worker: int, part: Part) -> None:
        self.given.append(part.number)
        n_errors = self._errors.get(part.number, 0)
        self._said.append((worker, Advanced(part.span.n_rows)))
        if n_errors > self._most:
            self._said.append((worker, Exceeded(part.number, n_errors)))
        else:
            done = Done(part.span.n_rows - n_errors, n_errors)
            self._said.append((worker, Finished(part.number, done)))

    def dismiss(self, worker: int) -> None:
        self.dismissed.append(worker)

    def reports(self, timeout_s: float) -> Sequence[tuple[int, Report]]:
        return [self._said.popleft()]


def test_every_part_that_is_not_done_is_given_once_in_order() -> None:
    run, workers = Run(PARTS, {1: Done(10, 0)}, 0), Told(2, {})
    said: list[Progress] = []
    run.carry_out(workers, said.append)
    assert workers.given == [0, 2, 3, 4]
    assert sum(one.n_rows for one in run.done.values()) == 50
    assert said[-1].rows == said[-1].total_rows == 50


def test_it_stops_where_more_rows_fail_than_may() -> None:
    run, workers = Run(PARTS, {}, 3), Told(1, {0: 2, 1: 2})
    run.carry_out(workers, lambda _: None)
    assert run.has_too_many_errors
    assert (run.n_errors, workers.given) == (4, [0, 1, 2])


def test_it_stops_where_a_part_alone_has_too_many() -> None:
    run, workers = Run(PARTS, {}, 3), Told(1, {0: 4}, most=3)
    run.carry_out(workers, lambda _: None)
    assert (run.n_errors, run.done) == (4, {})


def test_as_many_errors_as_may_be_are_not_too_many() -> None:
    run = Run(PARTS, {}, 4)
    run.carry_out(Told(1, {0: 2, 1: 2}), lambda _: None)
    assert not run.has_too_many_errors
    assert len(run.done) == 5
