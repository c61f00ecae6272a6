"""The measurements of the comparison: kept one by one as they come, and put together as figures.

A run that breaks off loses nothing, and a part that is measured again replaces what was there: of
each figure only the samples of the latest run that has it count.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEYS = ("what", "peer", "model", "connections", "form", "rows", "models")
"""What one figure is of; the other fields of a sample are numbers or words that were found."""

Sample = dict[str, Any]


class Samples:
    """A file with one sample a line, and the run that adds to it."""

    def __init__(self, path: Path, run: str) -> None:
        """``run`` is when this run began; a file that is not there is empty."""
        self._path, self.run = path, run

    def add(self, what: str, **fields: Any) -> None:
        """Keep one sample."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps({"what": what, "run": self.run, **fields}) + "\n")

    def __iter__(self) -> Iterator[Sample]:
        """All samples of all runs, as they came."""
        if self._path.exists():
            with self._path.open() as file:
                yield from (json.loads(line) for line in file)

    def latest(self, what: str, field: str, **keys: Any) -> Any:
        """The last value of a field; None where there is none."""
        found = None
        for one in self:
            if one["what"] == what and all(one.get(key) == value for key, value in keys.items()):
                found = one.get(field, found)
        return found


@dataclass(frozen=True)
class Figures:
    """Figures by what they are of, each a list with a value for every round."""

    by_key: Mapping[tuple[Any, ...], Mapping[str, Any]]

    def values(self, field: str, **keys: Any) -> list[float]:
        """All rounds' values of a field; empty where it was not measured."""
        figure = self.by_key.get(tuple(keys.get(key) for key in KEYS), {})
        found: list[float] = figure.get(field, [])
        return found

    def median(self, field: str, **keys: Any) -> float | None:
        """The median over the rounds; None where it was not measured."""
        values = self.values(field, **keys)
        return statistics.median(values) if values else None


def figures(samples: Iterable[Sample]) -> list[dict[str, Any]]:
    """One figure for each key, of the latest run that has it."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for sample in samples:
        key = tuple(sample.get(name) for name in KEYS)
        if key not in found or found[key]["run"] != sample["run"]:
            named = {name: sample[name] for name in KEYS if sample.get(name) is not None}
            found[key] = {**named, "run": sample["run"]}
        for field, value in sample.items():
            # A log names folders of the machine; it stays among the samples.
            if field not in (*KEYS, "run", "log"):
                found[key].setdefault(field, []).append(value)
    return list(found.values())


def opened(content: Mapping[str, Any]) -> Figures:
    """The figures of a results file."""
    return Figures({tuple(one.get(key) for key in KEYS): one for one in content["figures"]})


def write(path: Path, content: Mapping[str, Any]) -> None:
    """The results file: one figure a line, so that a change shows as what it is."""
    head = {key: value for key, value in content.items() if key != "figures"}
    lines = ",\n  ".join(json.dumps(one) for one in content["figures"])
    text = json.dumps(head, indent=1)[:-2] + f',\n "figures": [\n  {lines}\n ]\n}}\n'
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    processors = Path("/proc/cpuinfo")
    names = [line for line in processors.read_text().splitlines() if line.startswith("model name")]
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": names[0].partition(":")[2].strip() if names else platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
    }
