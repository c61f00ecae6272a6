"""The virtual environments of the peers, outside the repository.

An environment carries a stamp of what was installed into it; one whose requirements have not
changed is left as it is, and one whose installation broke off is made anew.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from fitted_models import ROOT
from peers.description import Environment

TOOLS = ROOT / "locks" / "tools.txt"


class InstallFailed(Exception):
    """pip or uv did not install an environment; the message is the end of what it said."""


def install(environment: Environment, folder: Path) -> bool:
    """Make the environment in the folder unless it is there; says whether it was made.

    Raises:
        InstallFailed: it failed; the whole output is in ``install.log`` in the folder.
    """
    place = folder / environment.name
    stamp, wanted = place / "installed", _stamp(environment)
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    log = place / "install.log"
    python = str(place / "bin" / "python")
    _run(log, (sys.executable, "-m", "venv", str(place)))
    pip = (python, "-m", "pip", "install")
    uv = (str(Path(sys.executable).with_name("uv")), "pip", "install", "--python", python)
    tool = pip if environment.by_pip else uv
    for requirements in environment.requirements:
        _run(log, (*tool, "-r", str(requirements)))
    if environment.project:
        # The project itself is built offline, with the build backend of the lock.
        _run(log, (*tool, "-r", str(TOOLS)))
        _run(log, (*tool, "--no-deps", "--no-build-isolation", "-e", str(ROOT)))
    stamp.write_text(wanted)
    return True


def installed_version(environment: Environment, folder: Path, package: str) -> str:
    """The version of a package in an environment, as pip knows it."""
    python = folder / environment.name / "bin" / "python"
    code = f"from importlib.metadata import version; print(version({package!r}))"
    told = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    return told.stdout.strip()


def _stamp(environment: Environment) -> str:
    files: Iterable[Path] = environment.requirements
    if environment.project:
        files = (*files, TOOLS, ROOT / "pyproject.toml")
    content = b"".join(file.read_bytes() for file in files)
    return hashlib.sha256(content + sys.version.encode()).hexdigest()


def _run(log: Path, command: tuple[str, ...]) -> None:
    with log.open("ab") as output:
        output.write((" ".join(command) + "\n").encode())
        output.flush()
        ended = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False)
    if ended.returncode:
        said = log.read_text(errors="replace")[-1_500:]
        raise InstallFailed(f"{log}:\n{said}")
