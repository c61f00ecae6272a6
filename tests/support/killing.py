"""``modelway up`` whose processes are killed in turn, under load and while its champion moves.

A worker, the other worker, the tending process, ``up`` itself, which is started again at once as
systemd does, and one of MLflow's processes; all else has to come back by itself. Every caller keeps
what it was answered, and every move of the alias what came of it; ``support.outlived`` says
afterwards what of that is not there any more.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from modelway.composition.mlflow_server import is_up
from support.calling import Asked, Callers
from support.ending import joined
from support.homes import Homes, Up, callers_of, is_ready, is_running, wait_until

TURNS = ("worker", "other worker", "tend", "up", "mlflow")
MODEL, ALIAS = "iris", "champion"

_COLUMNS = ("sepal_length", "sepal_width", "petal_length", "petal_width")
_CALLERS = 4
_BACK_S = 60.0
_MLFLOW_S = 180.0
_AT_ONCE_S = 0.15
"""A process is killed at any moment of so long after a move began, which takes about that."""
_AGAIN_S = 0.1
"""After what time a supervisor starts again what could not be started: systemd's ``RestartSec``."""


@dataclass(frozen=True)
class Kill:
    """One kill: when, of which callers' connections, and when what was killed was back.

    ``ports`` are the callers' own ends. ``starts`` is how often ``up`` had to be started.
    """

    turn: str
    at_s: float
    back_s: float
    ports: frozenset[int] = frozenset()
    starts: int = 0


@dataclass(frozen=True)
class Move:
    """A move that was asked for, known by its reason; ``status`` is None where nobody was told."""

    why: str
    status: int | None
    said: str


@dataclass
class Lived:
    """What happened: ``before`` is the alias's history when it began."""

    callers: Callers
    before: list[Any]
    kills: list[Kill] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)


class Killing:
    """Kills what runs in a home with an endpoint ``iris`` that follows the champion of ``iris``, of
    which versions 1 and 2 are bundled.

    ``up`` is what runs there now, which changes as it is started again.
    """

    def __init__(self, homes: Homes, up: Up, seed: int) -> None:
        self.up = up
        self._homes = homes
        self._random = random.Random(seed)
        self._seed = seed
        self._asked = 0

    def run(self, kills: int) -> Lived:
        """Kill so many, one after the other; ends when all is back, MLflow too."""
        with Callers(self.up.url, self._row, _CALLERS) as callers:
            lived = Lived(callers, self.history())
            wait_until(lambda: callers.count() > _CALLERS)
            for k in range(kills):
                turns_over, place = divmod(k, len(TURNS))
                if TURNS[place] == "mlflow" and turns_over % 2:
                    self._wait_for_mlflow()  # which is killed while it starts the other times
                self._move(lived.moves, "calm")
                lived.kills.append(self._killed(TURNS[place], lived.moves))
                self._wait_for_champion()
            self._wait_for_mlflow()
            self._move(lived.moves, "last")
            self._wait_for_champion()
        return lived

    def history(self) -> list[Any]:
        """The history of the alias, as the administration tells it."""
        entered: Any = self.up.administer("GET", f"/registry/{MODEL}/history").json
        return [one for one in entered if one["alias"] == ALIAS]

    def _row(self) -> Asked:
        """Another flower, every second one with an id of the caller's own."""
        self._asked += 1
        own = self._asked
        row = {name: self._random.uniform(0.1, 8.0) for name in _COLUMNS}
        return Asked(json.dumps(row).encode(), f"soak-{self._seed}-{own}" if own % 2 else "")

    def _killed(self, turn: str, moves: list[Move]) -> Kill:
        """Kill what is at turn while the alias moves, and wait until it is back."""
        words = (moves, f"beside the {turn}")
        moving = threading.Thread(target=self._move, args=words, daemon=True)
        moving.start()
        try:
            time.sleep(self._random.uniform(0, _AT_ONCE_S))
            if turn == "up":
                return self._kill_up()
            if turn == "mlflow":
                return self._kill_mlflow()
            return self._kill_child(turn)
        finally:
            joined(moving)

    def _kill_child(self, turn: str) -> Kill:
        name = "tend" if turn == "tend" else "answer"
        victim = self.up.children()[name][0]  # the one that was started first
        at_s = time.monotonic()
        # Stopped, it takes no other connection while those that it has are looked up.
        os.kill(victim, signal.SIGSTOP)
        ports = frozenset(callers_of(victim))
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: self._is_whole(but=victim), _BACK_S, self.up.log.read_text)
        return Kill(turn, at_s, time.monotonic(), ports)

    def _kill_mlflow(self) -> Kill:
        group = group_of(self.up.children()["mlflow"][0])
        victim = self._random.choice(group)
        # The last one answers; without those that hold it, it may do so for a moment.
        left = [victim] if victim == group[-1] else group
        at_s = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: not any(map(is_running, left)), _BACK_S, self.up.log.read_text)
        self._wait_for_mlflow()
        return Kill("mlflow", at_s, time.monotonic())

    def _kill_up(self) -> Kill:
        at_s, port, starts = time.monotonic(), urlsplit(self.up.url).port, 0
        self.up.kill()
        while not is_ready(self.up):
            if self.up.process.poll() is not None:
                time.sleep(_AGAIN_S if starts else 0)
                words, own = ("--port", str(port)), self.up.environment
                self.up = self._homes.up(self.up.folder, *words, environment=own, ready=False)
                starts += 1
            assert time.monotonic() - at_s < _BACK_S, self.up.log.read_text()
            time.sleep(0.02)
        row = json.loads(self._row().body)
        wait_until(lambda: self.up.ask("/predict", payload=row).status == 200, _BACK_S)
        back_s = time.monotonic()
        wait_until(lambda: self._is_whole(), _BACK_S, self.up.log.read_text)
        return Kill("up", at_s, back_s, starts=starts)

    def _is_whole(self, but: int = 0) -> bool:
        """Whether all that belongs to it runs and has begun its work, without one of before."""
        found = {name: set(pids) - {but} for name, pids in self.up.children().items()}
        if [len(found.get(name, ())) for name in ("answer", "tend", "mlflow")] != [2, 1, 1]:
            return False
        store = self.up.home / "control.db"
        return opened(next(iter(found["tend"])), store) and len(self.up.workers()) == 2

    def _wait_for_mlflow(self) -> None:
        port = urlsplit(self.up.registry).port
        assert port
        wait_until(lambda: is_up(port), _MLFLOW_S, lambda: self.up.home / "logs/mlflow.log")

    def _wait_for_champion(self) -> None:
        """Wait until every worker answers by the version that the ledger has."""

        def holds() -> bool:
            version = self.history()[-1]["to_version"]
            models = [one for worker in self.up.workers() for one in worker["models"]]
            live = [one["version"] for one in models if one["live"] and one["name"] == MODEL]
            return live == [version, version]

        wait_until(holds, _BACK_S, self.up.log.read_text)

    def _move(self, moves: list[Move], when: str) -> None:
        """Have the alias go where it is not; what it was before only needs a roll-back."""
        why = f"{when}, move {len(moves)}"
        try:
            now = self.history()[-1]["to_version"]
            if now == "2" and self._random.random() < 0.5:
                answer = self.up.administer("POST", f"/registry/{MODEL}/rollback", {"why": why})
            else:
                other = {"version": "1" if now == "2" else "2", "why": why}
                answer = self.up.administer("POST", f"/registry/{MODEL}/promote", other)
        except (OSError, http.client.HTTPException) as error:
            moves.append(Move(why, None, repr(error)))
        else:
            moves.append(Move(why, answer.status, answer.body.decode()))


def opened(pid: int, file: Path) -> bool:
    """Whether a process has a file open."""
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if link.readlink() == file:
                    return True
    return False


def group_of(pid: int) -> list[int]:
    """The processes of the session that a process is the first of, as they were started."""
    return sorted(one for one in _pids() if _session_of(one) == pid)


def running_in(folder: Path) -> list[int]:
    """The processes that work in a folder: all that was started there, however it lives on."""
    found = []
    for pid in _pids():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/cwd").readlink() == folder.resolve():
                found.append(pid)
    return found


def _pids() -> Iterator[int]:
    return (int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit())


def _session_of(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return os.getsid(pid)
    return None
