"""Commands run in this process on one home, as a terminal's user does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelway.cli.main import run


class Shell:
    """Runs ``modelway`` with ``--home``; ``said`` is what the last one wrote to standard error."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._home = home
        self._capsys = capsys
        self.said = ""

    def __call__(self, *words: str | Path, code: int = 0) -> str:
        """What a command prints; fails the test where it ends otherwise than expected."""
        ended = run([*map(str, words), "--home", str(self._home)])
        out, self.said = self._capsys.readouterr()
        assert ended == code, (words, out, self.said)
        return out

    def json(self, *words: str | Path, code: int = 0) -> Any:
        """The value that a command prints."""
        return json.loads(self(*words, "--json", code=code))
