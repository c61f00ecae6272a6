"""Git repositories of one test, which nothing of the machine's own settings changes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from support.live import absent


class Repository:
    """A new repository in a folder, with one commit of whatever is there."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("git") is None:
            absent("git is not installed")
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch", "main")

    def git(self, *words: str) -> str:
        """What a git command prints."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        author = {
            f"GIT_{who}_{what}": said
            for who in ("AUTHOR", "COMMITTER")
            for what, said in (("NAME", "ann"), ("EMAIL", "ann@example.org"))
        }
        done = subprocess.run(
            ["git", "-C", str(self.folder), *words],
            env={**kept, **author, "GIT_CONFIG_GLOBAL": os.devnull},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, why: str = "a change") -> str:
        """Commit everything; gives the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", why)
        return self.git("rev-parse", "HEAD")
