"""Threads are made as they are needed, and end with their model."""

from __future__ import annotations

import threading
import weakref

from modelway.inference.runners import Runners

PATIENCE_S = 20.0


def test_there_are_never_more_threads_than_run_at_a_time() -> None:
    runners, names, done = Runners("iris", 3), [], threading.Semaphore(0)

    def work() -> None:
        names.append(threading.current_thread().name)
        done.release()

    for _ in range(5):
        runners.start(work, 0)
        assert done.acquire(timeout=PATIENCE_S)
    assert set(names) == {"infer-iris_0"}
    runners.close()


def test_there_are_at_most_as_many_as_allowed() -> None:
    runners, gate, names = Runners("iris", 2), threading.Event(), []
    done = threading.Semaphore(0)

    def work() -> None:
        gate.wait(PATIENCE_S)
        names.append(threading.current_thread().name)
        done.release()

    for running in range(4):
        runners.start(work, running)
    gate.set()
    for _ in range(4):
        assert done.acquire(timeout=PATIENCE_S)
    assert set(names) <= {"infer-iris_0", "infer-iris_1"}
    assert runners.most == 2
    runners.close()


def test_closing_ends_them_and_may_be_done_twice() -> None:
    runners, found, done = Runners("iris", 1), [], threading.Event()

    def work() -> None:
        found.append(threading.current_thread())
        done.set()

    runners.start(work, 0)
    assert done.wait(PATIENCE_S)
    runners.close()
    runners.close()
    found[0].join(PATIENCE_S)
    assert not found[0].is_alive()
    assert found[0].daemon


def test_an_idle_thread_keeps_nothing_of_its_last_work() -> None:
    class Held:
        """Something large."""

        def __call__(self) -> None:
            done.set()

    runners, done, freed = Runners("iris", 1), threading.Event(), threading.Event()
    work = Held()
    weakref.finalize(work, freed.set)
    runners.start(work, 0)
    del work
    assert done.wait(PATIENCE_S)
    assert freed.wait(PATIENCE_S)
    runners.close()
