"""The soak of serving: ten minutes of load, a swap every 5 s, a worker killed every 60 s.

``make soak`` runs it and writes ``bench/results/serving_soak.json``. Ends with 1 where a request
failed that no killed worker had, where a worker took two seconds to be there again, or where all
processes together grew by more than a twentieth between minute 2 and the end.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from support.servers import servers
from support.soaking import NAME, Rhythm, Soak, figures, soak_bundles

RESULTS = Path(__file__).parent / "results" / "serving_soak.json"
RHYTHM = Rhythm(seconds=600, swap_s=5, kill_s=60, settled_s=120)
BUNDLES = 60
MOST_GROWTH = 1.05
LONGEST_RESTART_S = 2.0


def main() -> int:
    """Run it; write the figures; print what failed."""
    with tempfile.TemporaryDirectory() as folder, servers(Path(folder)) as serve:
        bundles = soak_bundles(Path(folder) / "bundles", BUNDLES)
        service = serve(f"{NAME}={bundles[0]}", "--workers", "2")
        found = figures(Soak(service, bundles, RHYTHM).run(), RHYTHM)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({name: value for name, value in found.items() if name != "sizes_mb"}))
    growth, restart_s = found["growth"], found["longest_restart_s"]
    assert isinstance(growth, float)
    assert isinstance(restart_s, float)
    return 1 if found["faults"] or growth > MOST_GROWTH or restart_s >= LONGEST_RESTART_S else 0


if __name__ == "__main__":
    sys.exit(main())
