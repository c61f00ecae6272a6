"""The soak of ``modelway up``: fifty kills under load, ten of each process, while its alias moves.

``make soak`` runs it, prints a table, and writes ``bench/results/kills.json``. Ends with 1 where
anything was lost that may not be: a move of the alias, a record of what was answered more than
50 ms before its worker was killed, a request that was in flight on no killed worker. Linux only.
"""

from __future__ import annotations

import json
import secrets
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.homes import Homes, copied
from support.killing import Killing, running_in
from support.outlived import figures, outlived
from support.trained import follow_tutorial

RESULTS = Path(__file__).parent / "results" / "kills.json"
KILLS = 50


def main() -> int:
    """Run it; write the figures; print what failed."""
    seed = secrets.randbelow(1_000_000)
    print(f"seed {seed}")
    with tempfile.TemporaryDirectory() as root:
        trained, folder = Path(root) / "trained", Path(root) / "soak"
        trained.mkdir()
        follow_tutorial(trained)
        with Homes() as homes:
            up = homes.up(copied(trained, folder))
            up.wait_for_mlflow()
            killing = Killing(homes, up, seed)
            lived = killing.run(KILLS)
            found = outlived(killing, lived)
            killing.up.stop()
        if left := running_in(folder):
            found.faults.append(f"{left} run on when all has ended")
    told = figures(lived, found, seed)
    RESULTS.write_text(json.dumps(told, indent=1) + "\n")
    print(_table(told))
    return int(bool(found.faults))


def _table(told: Mapping[str, Any]) -> str:
    lines = [f"{'killed':<14}{'kills':>6}{'back after s':>14}{'at most s':>11}"]
    for turn, of in told["recovery_s"].items():
        lines.append(f"{turn:<14}{of['kills']:>6}{of['median']:>14.2f}{of['max']:>11.2f}")
    others = {name: value for name, value in told.items() if name != "recovery_s"}
    return "\n".join(
        [*lines, *(f"{name.replace('_', ' ')}: {one}" for name, one in others.items())]
    )


if __name__ == "__main__":
    sys.exit(main())
