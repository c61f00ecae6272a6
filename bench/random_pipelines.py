"""The soak of exactness: random pipelines, each compiled and asked rows that no gate has seen.

``make soak`` runs 500 of a fresh seed in as many processes as there are cores, and writes
``bench/results/random_pipelines.json``. ``MODELWAY_SEED`` brings a seed back. Ends with 1 where
anything that is called compiled answered one row otherwise.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

from support.exactness import Outcome, Verdict, verdict
from support.seeds import SEED

RESULTS = Path(__file__).parent / "results" / "random_pipelines.json"
PIPELINES = 500
A_GROUP = 10


def group(start: int) -> list[Verdict]:
    """The verdicts on ten pipelines, those from ``start`` on."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        numbers = range(start, start + A_GROUP)
        return [verdict(SEED, number, Path(folder)) for number in numbers]


def verdicts() -> Iterator[Verdict]:
    """All verdicts, as they come."""
    with ProcessPoolExecutor() as pool:
        groups = [pool.submit(group, start) for start in range(0, PIPELINES, A_GROUP)]
        for done in as_completed(groups):
            yield from done.result()


def main() -> int:
    """Run all; print what is wrong; write the figures."""
    started = time.monotonic()
    counts: Counter[Outcome] = Counter()
    reasons: Counter[str] = Counter()
    wrong = []
    for found in verdicts():
        counts[found.outcome] += 1
        if found.outcome is Outcome.WRONG:
            wrong.append(found)
            print(found, flush=True)
        elif found.outcome is not Outcome.COMPILED:
            reasons[found.reason.split(", worst in")[0]] += 1
        if sum(counts.values()) % 50 == 0:
            print(f"{sum(counts.values())} of {PIPELINES}: {dict(counts)}", flush=True)
    figures = {
        "seed": SEED,
        "pipelines": PIPELINES,
        "seconds": round(time.monotonic() - started),
        **{outcome.value: counts[outcome] for outcome in Outcome},
        "native_because": dict(reasons.most_common()),
        "wrong_answers": [asdict(one) for one in sorted(wrong, key=lambda one: one.number)],
    }
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
