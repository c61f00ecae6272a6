"""The HTTP stacks compared: requests a second of one JSON echo, one process each.

Needs ``wrk`` on the path and, beside the development install, ``pip install granian``. Writes
``bench/results/http_stack.json`` and prints the table of docs/decisions/0004-http-stack.md. The
stacks take turns in several rounds, and the best round counts, so that a busy machine disturbs all
alike.
"""

from __future__ import annotations

import importlib.util
import json
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
SECONDS = 4
ROUNDS = 3
CONNECTIONS = (1, 32)

UVICORN = ("uvicorn", "--http", "httptools", "--loop", "uvloop", "--no-access-log")
QUIET = ("--log-level", "warning", "--lifespan", "off")
GRANIAN = ("granian", "--loop", "uvloop", "--no-access-log", "--log-level", "warning")

STACKS: dict[str, tuple[str, ...]] = {
    "raw ASGI, uvicorn": (*UVICORN, *QUIET, "http_apps:raw_asgi"),
    "Starlette, uvicorn": (*UVICORN, *QUIET, "--factory", "http_apps:starlette"),
    "raw ASGI, Granian": (*GRANIAN, "--interface", "asginl", "http_apps:raw_asgi"),
    "RSGI, Granian": (*GRANIAN, "--interface", "rsgi", "http_apps:raw_rsgi"),
}

REQUEST = """
wrk.method = "POST"
wrk.path = "/predict"
wrk.headers["content-type"] = "application/json"
wrk.body = '{"sepal_length":7.7,"sepal_width":3.0,"petal_length":6.1,"petal_width":2.3}'
"""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until somebody listens on the port."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


def measure(command: tuple[str, ...], script: Path) -> dict[int, float]:
    """Requests a second by number of connections, of one server started for this."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", *command, "--host", "127.0.0.1", "--port", str(port)], cwd=HERE
    )
    try:
        wait_for(port)
        found = {}
        for connections in CONNECTIONS:
            load = ("wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", str(script))
            said = subprocess.run(
                [*load, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True
            ).stdout
            if "Non-2xx" in said:
                raise SystemExit(f"{command}: {said}")
            rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
            found[connections] = float(rate[1]) if rate else 0.0
        return found
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    """Measure all stacks in turns, write the figures, print the table."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    absent = {c[0] for c in STACKS.values() if importlib.util.find_spec(c[0]) is None}
    if absent:
        raise SystemExit(f"to compare all stacks: pip install {' '.join(sorted(absent))}")
    best: dict[str, dict[int, float]] = {name: dict.fromkeys(CONNECTIONS, 0.0) for name in STACKS}
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "request.lua"
        script.write_text(REQUEST)
        for _ in range(ROUNDS):
            for name, command in STACKS.items():
                for connections, rate in measure(command, script).items():
                    best[name][connections] = max(best[name][connections], rate)
    result = {"python": platform.python_version(), "seconds": SECONDS, "requests_per_s": best}
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "http_stack.json").write_text(json.dumps(result, indent=2) + "\n")
    print("| stack | " + " | ".join(str(one) for one in CONNECTIONS) + " |")
    print("|---|" + "---|" * len(CONNECTIONS))
    for name, rates in best.items():
        print(f"| {name} | " + " | ".join(f"{rates[one]:,.0f}" for one in CONNECTIONS) + " |")


if __name__ == "__main__":
    main()
