"""Real servers as child processes, ended with what started them."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from support.live import MODELWAY, READY_S, Serve, Service, wait_until_ready

ALONE = {"MODELWAY__ADMIN__PORT": "0", "MODELWAY__SERVE__WORKERS": "1"}
"""Servers beside one another take free ports, and are one process unless a test wants more."""


@contextlib.contextmanager
def servers(own: Path) -> Iterator[Serve]:
    """Start real servers as child processes, ready to be asked; all are ended on the way out.

    ``serve("bundle", "--strict", environment={...})`` gives a Service on a port of its own.
    ``command`` may stand for ``modelway serve``, ``folder`` is where it runs, by default ``own``;
    ``home`` is what its home holds at first; ``prefix`` stands in front of every route, in ``url``
    too. Logs and homes lie in ``own``.
    """
    running: list[subprocess.Popen[str]] = []

    def start(
        *arguments: str | Path,
        environment: Mapping[str, str] | None = None,
        command: tuple[str | Path, ...] = (*MODELWAY, "serve"),
        folder: Path = own,
        home: Path | None = None,
        ready_s: float = READY_S,
        prefix: str = "",
    ) -> Service:
        log = own / f"serve-{len(running)}.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if home is not None:
            shutil.copytree(home, own / "home", dirs_exist_ok=True)
        words = [*command, *arguments, "--port", str(port), "--home", own / "home"]
        words += ["--prefix", prefix] if prefix else []
        with log.open("w") as stream:
            process = subprocess.Popen(
                [str(word) for word in words],
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **ALONE, **(environment or {})},
                cwd=folder,
                text=True,
            )
        running.append(process)
        service = Service(f"http://127.0.0.1:{port}{prefix}", process, log)
        wait_until_ready(service, ready_s)
        return service

    try:
        yield start
    finally:
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
