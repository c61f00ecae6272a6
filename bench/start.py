"""A compiled bundle from nothing to ready, and the memory of all its processes then.

``python bench/start.py BUNDLE`` starts ``modelway serve`` seven times as one process and seven
times as a supervisor with two workers, and writes the medians of the time until ``/health/ready``
answers 200, and of the proportional set size after a prediction, to ``bench/results/start.json``.
From the second start on what is imported is in the page cache, as it does wherever a service starts
again. Linux only.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from http_stack import free_port
from servers import pss_mb

RESULTS = Path(__file__).parent / "results" / "start.json"
STARTS = 7
LONGEST_S = 30


def started(bundle: str, workers: int) -> tuple[float, float]:
    """Seconds until ready, and megabytes after the first prediction, of one start."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    begun = time.perf_counter()
    command = (
        *(sys.executable, "-m", "modelway", "serve", bundle, "--port", str(port)),
        *("--admin-port", "0", "--workers", str(workers)),
    )
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not is_ready(url):
            if server.poll() is not None or time.perf_counter() - begun > LONGEST_S:
                raise SystemExit(f"{' '.join(command)} did not become ready")
            time.sleep(0.005)
        ready_s = time.perf_counter() - begun
        ask_one(url)
        return ready_s, pss_mb()
    finally:
        server.terminate()
        server.wait()


def is_ready(url: str) -> bool:
    """Whether every model is loaded."""
    try:
        with urllib.request.urlopen(f"{url}/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def ask_one(url: str) -> None:
    """One prediction: the example that the service's own document shows."""
    with urllib.request.urlopen(f"{url}/openapi.json", timeout=5) as answer:
        document: Any = json.load(answer)
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    example = next(iter(content["examples"].values()))["value"]
    request = urllib.request.Request(
        f"{url}/predict", json.dumps(example).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        answer.read()


def main() -> None:
    """Start several times; write and print the medians."""
    figures: dict[str, Any] = {
        "starts": STARTS,
        "pyarrow_installed": find_spec("pyarrow") is not None,
    }
    for name, workers in (("one_process", 1), ("two_workers", 2)):
        found = [started(sys.argv[1], workers) for _ in range(STARTS)]
        figures[name] = {
            "ready_s": round(statistics.median(ready for ready, _ in found), 3),
            "slowest_ready_s": round(max(ready for ready, _ in found), 3),
            "pss_mb": round(statistics.median(pss for _, pss in found), 1),
        }
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n")
    print(figures)


if __name__ == "__main__":
    main()
