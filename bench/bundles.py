"""The compared models as our own server takes them: bundles, built once beside each model."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from compared_models import ComparedModel, Input
from fitted_models import ROOT


class BundleFailed(Exception):
    """``modelway bundle build`` failed; the message is what it said."""


def bundle_all(models: Iterable[ComparedModel]) -> None:
    """Build what is not there or was built by other code, two at a time. Raises BundleFailed."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_bundle, models))


def _bundle(model: ComparedModel) -> None:
    stamp, wanted = model.folder / "bundled", _stamp()
    if model.bundle.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(model.bundle, ignore_errors=True)
    data = () if model.takes is Input.TENSOR else ("--data", str(model.training))
    command = (
        *(sys.executable, "-m", "modelway", "bundle", "build", str(model.source)),
        *("--name", model.name, *data, "--output", str(model.bundle)),
        *(("--require-compiled",) if model.compiles and model.takes is not Input.TENSOR else ()),
    )
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise BundleFailed(f"{model.name}: {ended.stdout[-1000:]}{ended.stderr[-1000:]}")
    stamp.write_text(wanted)


@cache
def _stamp() -> str:
    """What the code that makes bundles is."""
    folders = (ROOT / "src" / "modelway" / name for name in ("bundles", "compilers", "runtimes"))
    files = sorted(file for folder in folders for file in folder.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
