"""The compared models as our own server takes them: bundles, built once beside each model."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from compared_models import ComparedModel, Input


class BundleFailed(Exception):
    """``modelway bundle build`` failed; the message is what it said."""


def bundle_all(models: Iterable[ComparedModel]) -> None:
    """Build what is not there, two at a time. Raises BundleFailed."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_bundle, models))


def _bundle(model: ComparedModel) -> None:
    if model.bundle.exists():
        return
    data = () if model.takes is Input.TENSOR else ("--data", str(model.training))
    command = (
        *(sys.executable, "-m", "modelway", "bundle", "build", str(model.source)),
        *("--name", model.name, *data, "--output", str(model.bundle)),
        *(("--require-compiled",) if model.compiles and model.takes is not Input.TENSOR else ()),
    )
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise BundleFailed(f"{model.name}: {ended.stdout[-1000:]}{ended.stderr[-1000:]}")
