"""What git says of the repository that holds a folder.

The ``git`` program is asked, for at most a few seconds. It only looks: hooks and monitors are off,
no lock is taken and nothing is fetched. What the environment says of other repositories is kept
from it. Where there is no git or no repository nothing is known, which is no error.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from modelway.lineage.origin import Commit
from modelway.settings import child_environment

LONGEST_S = 10.0
"""How long git may take for one repository."""

_ONLY_LOOKING = (
    "--no-pager",
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.quotePath=false"),
    *("-c", "protocol.allow=never"),
)
_QUIET = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "LC_ALL": "C",
}
_CODE = ("*.py", "*.ipynb")
_WITH_TOKENS = ("http", "https")
"""Where even the name of a user may be a secret; over SSH it is the account that all share."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository's working folder, and the commit it is at."""

    root: Path
    commit: Commit


def repository_of(folder: Path, longest_s: float = LONGEST_S) -> Repository | None:
    """The repository that a folder is in; None for none, one without commits, or no git."""
    program = shutil.which("git")
    if program is None or not folder.is_dir():
        return None
    git = _Git(program, folder, time.monotonic() + longest_s)
    root = git.said("rev-parse", "--show-toplevel")
    commit = git.said("rev-parse", "--verify", "HEAD")
    if not root or not commit:
        return None
    branch = git.said("symbolic-ref", "--short", "-q", "HEAD")
    top = _Git(program, Path(root), git.deadline)
    return Repository(Path(root), Commit(commit, branch or None, _dirty(top), _remote(top)))


def without_credentials(address: str) -> str:
    """The address of a remote without what lets somebody in: passwords, tokens, queries."""
    if "://" not in address:
        return address  # a path, or git@host:path
    parts = urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    kept = "" if parts.scheme in _WITH_TOKENS else user.partition(":")[0] + at
    return urlunsplit((parts.scheme, kept + host, parts.path, "", ""))


@dataclass(frozen=True, slots=True)
class _Git:
    program: str
    folder: Path
    deadline: float

    def said(self, *words: str) -> str | None:
        """What a command prints; None where it fails or takes too long."""
        left_s = self.deadline - time.monotonic()
        if left_s <= 0:
            return None
        inherited = child_environment()
        kept = {name: value for name, value in inherited.items() if not name.startswith("GIT_")}
        try:
            process = subprocess.Popen(
                [self.program, "-C", str(self.folder), *_ONLY_LOOKING, *words],
                env={**kept, **_QUIET},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            return None
        with process:
            try:
                said, _ = process.communicate(timeout=left_s)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # and what it has started itself
                return None
        return None if process.returncode else os.fsdecode(said).strip()


def _dirty(git: _Git) -> bool | None:
    """Whether tracked files have changed, or Python code lies there that no commit has.

    Other files that git does not know are no sign: the model itself is one most of the time.
    """
    changed = git.said("status", "--porcelain", "--untracked-files=no")
    unknown = git.said("ls-files", "--others", "--exclude-standard", "--", *_CODE)
    if changed is None or unknown is None:
        return None
    return bool(changed or unknown)


def _remote(git: _Git) -> str | None:
    """The address of ``origin``, or else of the first remote."""
    said = git.said("config", "--get-regexp", r"^remote\..*\.url$") or ""
    remotes = dict(reversed([line.split(" ", 1) for line in said.splitlines() if " " in line]))
    if not remotes:
        return None
    first = list(remotes)[-1]
    return without_credentials(remotes.get("remote.origin.url", remotes[first]))
