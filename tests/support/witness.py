"""Who asks known rows beside everything else, and whether the server keeps its size meanwhile."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Any

from support.ending import joined
from support.live import Service

VIRGINICA = {"sepal_length": 7.7, "sepal_width": 3.0, "petal_length": 6.1, "petal_width": 2.3}
SETOSA = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}


class Witness:
    """Asks two known flowers all the time, in a thread of its own, and remembers wrong answers."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self.answered = 0
        self.wrong: list[object] = []
        self.slowest_s = 0.0

    def __enter__(self) -> Witness:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        joined(self._thread)

    def _ask(self) -> None:
        while not self._over.wait(0.02):
            started = time.perf_counter()
            answer = self._service.ask("/predict", json=[VIRGINICA, SETOSA])
            self.slowest_s = max(self.slowest_s, time.perf_counter() - started)
            found: Any = answer.json
            if answer.status != 200 or [one["prediction"] for one in found] != [2, 0]:
                self.wrong.append(answer)
            self.answered += 1


def pss_mb(process: int) -> float:
    """Proportional set size of a process of this machine, in megabytes."""
    told = Path(f"/proc/{process}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+) kB", told, re.MULTILINE)
    assert found
    return int(found[1]) / 1000
