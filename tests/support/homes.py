"""``modelway up`` as a user runs it: in a folder of its own, with its command line."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from modelway.composition.mlflow_server import READY_S as MLFLOW_S
from modelway.composition.mlflow_server import is_up, server_command
from support.live import MODELWAY, READY_S, Answer, ask

HOME = ".modelway"
_SOCKET = re.compile(r"socket:\[(\d+)\]")


@dataclass
class Up:
    """A running ``modelway up``: its process, and what it says of itself in its home."""

    process: subprocess.Popen[str]
    folder: Path
    log: Path
    environment: Mapping[str, str]

    @property
    def home(self) -> Path:
        """The home that it runs in."""
        return self.folder / HOME

    @property
    def said(self) -> Mapping[str, Any]:
        """Where it answers, as it says itself."""
        found: Mapping[str, Any] = json.loads((self.home / "up.json").read_text())
        return found

    @property
    def url(self) -> str:
        """Where it answers."""
        return str(self.said["address"])

    @property
    def registry(self) -> str:
        """Where its MLflow answers."""
        return str(self.said["registry"])

    @property
    def admin_key(self) -> str:
        """The key of its administration."""
        return (self.home / "admin.key").read_text().strip()

    def ask(self, path: str, **asked: Any) -> Answer:
        """The answer to one request, whatever its status."""
        return ask(self.url + path, **asked)

    def administer(self, method: str, path: str, payload: object = None, key: str = "") -> Answer:
        """The answer of the administration, by its own key where no other is named."""
        headers = {"authorization": f"Bearer {key or self.admin_key}"}
        url = self.said["administration"] + path
        return ask(url, payload=payload, headers=headers, method=method)

    def workers(self) -> list[Any]:
        """What each worker that answers says of its models."""
        said: Any = self.administer("GET", "/models").json
        found: list[Any] = said["workers"]
        return found

    def cli(
        self, *words: str, exit_code: int = 0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """One finished command in the folder; fails the test where it ends otherwise."""
        environment = {**self.environment, **environment}
        return cli(self.folder, *words, exit_code=exit_code, environment=environment)

    def cli_json(self, *words: str, **environment: str) -> Any:
        """What a command shows with ``--json``."""
        return json.loads(self.cli(*words, "--json", exit_code=0, **environment).stdout)

    def person(self, name: str, *scopes: str) -> tuple[str, ...]:
        """The options by which somebody works on it from elsewhere, with a key of their own."""
        allowed = [word for scope in scopes for word in ("--scope", scope)]
        made = self.cli_json("key", "create", name, *allowed)
        return "--server", self.said["administration"], "--key", made["key"]

    def children(self) -> Mapping[str, list[int]]:
        """The processes that it keeps running: ``answer`` (the workers), ``tend``, ``mlflow``."""
        found: dict[str, list[int]] = {}
        for pid in children_of(self.process.pid):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                for name in ("answer", "tend", "mlflow"):
                    if name.encode() in words:
                        found.setdefault(name, []).append(pid)
        return found

    def wait_for_mlflow(self) -> None:
        """Wait until its MLflow answers."""
        port = urlsplit(self.registry).port
        assert port
        wait_until(lambda: is_up(port), MLFLOW_S, lambda: self.home / "logs/mlflow.log")

    def stop(self) -> int:
        """End it as Ctrl-C does; gives its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)

    def kill(self) -> None:
        """Kill it, so that it can end nothing itself."""
        self.process.kill()
        self.process.wait()


def cli(
    folder: Path,
    *words: str,
    exit_code: int = 0,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """One finished ``modelway`` command in a folder; fails the test where it ends otherwise."""
    done = subprocess.run(
        [*MODELWAY, *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        timeout=240,
    )
    if done.returncode != exit_code:
        pytest.fail(f"modelway {words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


class Homes:
    """Starts ``modelway up`` in folders; all of them are ended with this."""

    def __init__(self) -> None:
        self._started: list[Up] = []

    def __enter__(self) -> Homes:
        return self

    def __exit__(self, *_: object) -> None:
        running = [one for one in self._started if one.process.poll() is None]
        for one in running:
            one.process.terminate()
        for one in running:
            try:
                one.process.wait(30)
            except subprocess.TimeoutExpired:
                one.kill()

    def up(
        self,
        folder: Path,
        *words: str,
        environment: Mapping[str, str] | None = None,
        workers: int = 2,
        ready: bool = True,
    ) -> Up:
        """``modelway up`` with its home in a folder, once it is ready to be asked."""
        own = {"MODELWAY__ADMIN__PORT": "0", "MODELWAY__REGISTRY__PORT": "0"}
        environment = {**own, **(environment or {})}
        log = folder / f"up-{len(self._started)}.log"
        command = [*MODELWAY, "up", "--workers", str(workers), *words]
        if "--port" not in words:
            command += ["--port", str(free_port())]
        with log.open("w") as stream:
            process = subprocess.Popen(
                command,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                cwd=folder,
                text=True,
            )
        up = Up(process, folder, log, environment)
        self._started.append(up)
        if ready:
            wait_until_ready(up)
        return up


@contextlib.contextmanager
def mlflow_of(folder: Path) -> Iterator[str]:
    """The MLflow of the home that lies in a folder, run without the rest of it; gives its URL."""
    port = free_port()
    command = server_command(folder / HOME, port)
    log = folder / "mlflow.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            list(command.arguments),
            env=dict(command.environment),
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        wait_until(lambda: is_up(port), MLFLOW_S, log.read_text)
        yield command.url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_ready(up: Up) -> None:
    """Wait until it takes requests; fails with its own words if it ends or takes too long."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and up.process.poll() is None:
        if is_ready(up):
            return
        time.sleep(0.02)
    pytest.fail(f"modelway up did not become ready:\n{up.log.read_text()}")


def is_ready(up: Up) -> bool:
    """Whether it has said that it takes requests, and has not ended."""
    if up.process.poll() is not None:
        return False
    # Its file may be of one that was killed before.
    with contextlib.suppress(OSError, ValueError):
        return up.said["pid"] == up.process.pid and "Serving " in up.log.read_text()
    return False


def wait_until(
    true: Callable[[], bool], most_s: float = 20.0, told: Callable[[], object] = str
) -> float:
    """Wait for something; gives the seconds it took, fails the test where it takes longer."""
    begun = time.monotonic()
    while not true():
        if time.monotonic() - begun > most_s:
            pytest.fail(f"it did not happen within {most_s} s\n{told()}")
        time.sleep(0.05)
    return time.monotonic() - begun


def copied(trained: Path, folder: Path) -> Path:
    """A folder with a copy of the home that lies in another, in which nothing runs."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(trained / HOME, folder / HOME, symlinks=True)
    return folder


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def children_of(pid: int) -> list[int]:
    """The processes that a process has started, and that have not ended."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return " Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
    except OSError:
        return False


def callers_of(pid: int) -> Iterator[int]:
    """The ports at the other end of a process's connections."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if found := _SOCKET.match(str(link.readlink())):
                inodes.add(found[1])
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[9] in inodes:
            yield int(words[2].rpartition(":")[2], 16)
