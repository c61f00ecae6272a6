"""What tests of several folders share: real data and its twin, bundles, a real server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support.live import (
    MODELWAY,
    READY_S,
    TWINS,
    Serve,
    Service,
    modelway,
    real_data,
    wait_until_ready,
)


@pytest.fixture(params=["twin", pytest.param("real", marks=pytest.mark.data)])
def data_folder(request: pytest.FixtureRequest) -> Path:
    """The folder of the data sets: once the synthetic twins, once the real ones."""
    if request.param == "twin":
        return TWINS
    return real_data()


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def iris_training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo's ``model.pickle`` and ``training.csv``."""
    folder = tmp_path_factory.mktemp("iris")
    module = "modelway.composition.demo_training"
    subprocess.run([sys.executable, "-m", module, str(folder)], check=True, timeout=120)
    return folder


@pytest.fixture(scope="session")
def iris_bundle(iris_training: Path) -> Path:
    """The compiled bundle of the demo's model; nobody may change it."""
    folder = iris_training / "bundle"
    modelway(
        *("bundle", "build", iris_training / "model.pickle", "--name", "iris"),
        *("--data", iris_training / "training.csv", "--target", "species"),
        *("--labels", "setosa,versicolor,virginica", "-o", folder),
    )
    return folder


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start real servers as child processes, ready to be asked; all are ended with the test.

    ``serve("bundle", "--strict", environment={...})`` gives a Service on a port of its own.
    ``command`` may stand for ``modelway serve``, ``folder`` is where it runs, ``prefix`` stands
    in front of every route, in ``url`` too.
    """
    running: list[subprocess.Popen[str]] = []

    def start(
        *arguments: str | Path,
        environment: Mapping[str, str] | None = None,
        command: tuple[str | Path, ...] = (*MODELWAY, "serve"),
        folder: Path = tmp_path,
        ready_s: float = READY_S,
        prefix: str = "",
    ) -> Service:
        log = tmp_path / f"serve-{len(running)}.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        words = [*command, *arguments, "--port", str(port), "--home", tmp_path / "home"]
        words += ["--prefix", prefix] if prefix else []
        with log.open("w") as stream:
            process = subprocess.Popen(
                [str(word) for word in words],
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=folder,
                text=True,
            )
        running.append(process)
        service = Service(f"http://127.0.0.1:{port}{prefix}", process, log)
        wait_until_ready(service, ready_s)
        return service

    yield start
    for process in running:
        process.terminate()
    for process in running:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
