"""Metrics as whoever scrapes them sees them."""

from __future__ import annotations

from collections.abc import Mapping

from modelway.telemetry.exposition import exposition
from modelway.telemetry.instruments import Metrics


def shown(metrics: Metrics) -> Mapping[str, float]:
    """What Prometheus reads, by series."""
    lines = exposition([metrics.read()]).decode().splitlines()
    series = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in series}
