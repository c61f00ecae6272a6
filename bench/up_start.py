"""``modelway up`` from nothing to its first right answer, in a home with one promoted endpoint.

``python bench/up_start.py`` starts it seven times with its own MLflow, which loads beside it, and
seven times without, in turns, and writes the medians to ``bench/results/up_start.json``. Ends with
1 where the median with MLflow is above two seconds. From the second start on what is imported is
compiled, as an installer leaves it, and in the page cache. Linux only.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import fitted_models
from http_stack import free_port
from recording import prepare

RESULTS = Path(__file__).parent / "results" / "up_start.json"
STARTS = 7
MOST_S = 2.0
LONGEST_S = 60
_UNCOMPILED = "PYTHONDONTWRITEBYTECODE"


def main() -> int:
    """Start several times; write and print the medians."""
    fitted = fitted_models.iris()
    row = json.dumps(fitted.training.iloc[100].to_dict()).encode()
    found: dict[str, list[float]] = {"with_mlflow": [], "without": []}
    loads = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        prepare(home, fitted)
        for turn in range(STARTS + 1):
            for name, words in (("with_mlflow", []), ("without", ["--no-mlflow"])):
                loads.append(os.getloadavg()[0])
                seconds = answered_after(home, words, row)
                if turn:  # the first fills the page cache
                    found[name].append(seconds)
    figures: dict[str, Any] = {"starts": STARTS, "load_before": round(statistics.median(loads), 1)}
    for name, seconds_of in found.items():
        figures[name] = {
            "first_answer_s": round(statistics.median(seconds_of), 2),
            "slowest_s": round(max(seconds_of), 2),
            "fastest_s": round(min(seconds_of), 2),
        }
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))
    return int(figures["with_mlflow"]["first_answer_s"] > MOST_S)


def answered_after(home: Path, words: list[str], row: bytes) -> float:
    """The seconds from the start of ``modelway up`` to its first right answer."""
    port = free_port()
    command = [sys.executable, "-m", "modelway", "up", "--home", str(home), "--port", str(port)]
    own = {"MODELWAY__ADMIN__PORT": "0", "MODELWAY__REGISTRY__PORT": "0"}
    own |= {name: value for name, value in os.environ.items() if name != _UNCOMPILED}
    with (home.parent / "up.log").open("wb") as log:
        begun = time.perf_counter()
        up = subprocess.Popen([*command, *words], stdout=log, stderr=log, env=own)
    try:
        while not is_answered(f"http://127.0.0.1:{port}/predict", row):
            if up.poll() is not None or time.perf_counter() - begun > LONGEST_S:
                raise SystemExit((home.parent / "up.log").read_text())
            time.sleep(0.01)
        return time.perf_counter() - begun
    finally:
        up.terminate()
        up.wait(60)


def is_answered(url: str, row: bytes) -> bool:
    """Whether the promoted version answers a flower as it should."""
    request = urllib.request.Request(url, row, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            said = json.load(answer)
    except OSError:
        return False
    return bool(said["version"] == "1" and said["prediction"] == 2)


if __name__ == "__main__":
    sys.exit(main())
