"""The tutorial of promotion, followed word for word; what it leaves behind is a trained home.

It takes a minute, so it is followed once a run: tests get a copy of the home, with two versions of
``iris`` that are bundled, ``iris@champion`` at version 1, and an endpoint ``iris`` that follows it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from modelway.composition.mlflow_server import is_up
from support.documents import blocks, commands
from support.homes import Homes, Up, wait_until
from support.live import ROOT
from support.patience import promised

TUTORIAL = ROOT / "docs" / "tutorials" / "promote-a-model.md"
TRANSCRIPT = "transcript.json"
ROW = {"sepal_length": 7.7, "sepal_width": 3.0, "petal_length": 6.1, "petal_width": 2.3}
FOLLOWED_S = promised(5.0)
"""How long a reader takes at least from one command to the next."""

_ID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def follow_tutorial(folder: Path) -> None:
    """Follow the tutorial in an empty folder, end what it started, and keep its transcript."""
    with Homes() as homes:
        reader = _Reader(folder, homes)
        for language, text in blocks(TUTORIAL):
            if language == "python":
                (folder / "train.py").write_text(reader.here(text))
            elif language == "json":
                reader.expect(json.loads(text))
            else:
                reader.paste(commands(text))
        reader.stop()
        (folder / TRANSCRIPT).write_text(json.dumps(reader.transcript))


class _Reader:
    def __init__(self, folder: Path, homes: Homes) -> None:
        self.transcript: dict[str, Any] = {"said": {}, "answers": []}
        self._folder, self._homes = folder, homes
        self._up: Up | None = None
        self._pasted: list[str] = []

    def here(self, text: str) -> str:
        """What is shown, with the addresses and the last answer's id that there are here."""
        assert self._up is not None
        if self.transcript["answers"]:
            text = _ID.sub(self.transcript["answers"][-1]["answer"]["prediction_id"], text)
        text = text.replace("http://127.0.0.1:8080", self._up.url)
        return text.replace("http://127.0.0.1:8091", self._up.registry)

    def paste(self, lines: list[str]) -> None:
        """The commands of one block."""
        for line in lines:
            self.type(line)
        self._pasted = lines

    def type(self, line: str) -> None:
        """One command."""
        if line.startswith("pip install"):
            return
        if line.startswith("modelway up"):
            begun = time.monotonic()
            self._up = self._homes.up(self._folder, *shlex.split(line)[2:])
            self.transcript["ready_s"] = time.monotonic() - begun
            port = int(self._up.registry.rpartition(":")[2])
            self.transcript["was_mlflow_up"] = is_up(port)
            self.transcript["health"] = self._up.ask("/health/ready").status
            self._up.wait_for_mlflow()
            self.transcript["mlflow_s"] = time.monotonic() - begun
            return
        self.transcript["said"][line] = self._said(line)

    def expect(self, shown: dict[str, Any]) -> None:
        """The answer of the last block. A command that stands alone is typed again until it answers
        so, as long as a reader takes to do so; what was pasted with others has its first answer.
        """
        shown.pop("...")
        line = self._pasted[-1]
        answer = json.loads(self.transcript["said"][line])

        def holds() -> bool:
            nonlocal answer
            if shown.items() <= answer.items():
                return True
            answer = json.loads(self._said(line))
            return False

        waited_s = wait_until(holds, FOLLOWED_S if len(self._pasted) == 1 else 0.0, lambda: answer)
        self.transcript["answers"].append({"waited_s": waited_s, "answer": answer})

    def stop(self) -> None:
        """End what the tutorial has started."""
        assert self._up is not None
        self.transcript["exit_code"] = self._up.stop()

    def _said(self, line: str) -> str:
        done = subprocess.run(
            ["bash", "-c", self.here(line).replace("curl ", "curl -sS ")],
            cwd=self._folder,
            env={**os.environ, "PATH": _PATH},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout
