"""The soak in small: swaps and kills under load. ``make soak`` runs ten minutes of it."""

from __future__ import annotations

from pathlib import Path

from support.live import Serve
from support.soaking import NAME, Rhythm, Soak, soak_bundles

RHYTHM = Rhythm(seconds=16, swap_s=0.7, kill_s=5, settled_s=6, callers=8)


def test_nothing_fails_but_what_a_killed_worker_had(serve: Serve, tmp_path: Path) -> None:
    bundles = soak_bundles(tmp_path / "bundles", 24)
    service = serve(f"{NAME}={bundles[0]}", "--workers", "2")
    found = Soak(service, bundles, RHYTHM).run()
    assert found.faults == []
    assert found.kills >= 2
    assert found.swaps >= 10
    assert found.answers > 500
    assert found.lost_with_a_worker <= found.kills * RHYTHM.callers
    assert found.longest_restart_s < 5
