"""What tests of several folders share: real data and its twin, bundles, a real server."""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key

from modelway.composition.bundling import BuildRequest, cached
from modelway.composition.demo_training import LABELS, TARGET
from modelway.settings import load_settings
from support.live import TWINS, Serve, real_data
from support.objects import ObjectStore, object_store
from support.once import Once, once_a_run
from support.servers import servers

_TORN_DOWN_S = 330

# Threads of OpenMP that wait in a loop take the processor from the other processes of the run.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# What a shell starts in the background ignores Ctrl-C, and so would all that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """A test that fails takes pytest's watches with it; what is torn down may hang as well."""
    stderr = item.config.stash[fault_handler_stderr_fd_key]
    faulthandler.dump_traceback_later(_TORN_DOWN_S, exit=True, file=stderr)


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
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Make a folder once for all processes of the run."""
    return once_a_run(tmp_path_factory)


@pytest.fixture(scope="session")
def iris_home(once: Once) -> Path:
    """A home in which the demo's model was trained and built; servers get copies of it."""

    def make(home: Path) -> None:
        (home / "demo").mkdir()
        module = "modelway.composition.demo_training"
        subprocess.run([sys.executable, "-m", module, str(home / "demo")], check=True, timeout=120)
        request = BuildRequest(
            str(home / "demo" / "model.pickle"),
            name="iris",
            data=home / "demo" / "training.csv",
            target=TARGET,
            labels=",".join(LABELS),
        )
        settings = load_settings({"bundles.home": home}, folder=home, environment={})
        cached(request, settings, print)

    return once("iris", make)


@pytest.fixture(scope="session")
def iris_training(iris_home: Path) -> Path:
    """A folder with the demo's ``model.pickle`` and ``training.csv``; nobody may change it."""
    return iris_home / "demo"


@pytest.fixture(scope="session")
def iris_bundle(iris_home: Path) -> Path:
    """The compiled bundle of the demo's model; nobody may change it."""
    (bundle,) = (iris_home / "bundles").iterdir()
    return bundle


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start real servers as child processes, ready to be asked; all are ended with the test."""
    with servers(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def serve_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """The same for servers that several tests of a module only ask; they end with the module."""
    with servers(tmp_path_factory.mktemp("servers")) as start:
        yield start


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """An S3 server, the same for all tests of this process."""
    with object_store(tmp_path_factory.mktemp("objects")) as server:
        yield server


@pytest.fixture
def place_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty place: of this disk where it is parametrised so, else of the S3 server,
    for which the environment is set.
    """
    if getattr(request, "param", "s3") == "file":
        return f"file://{tmp_path}/elsewhere"
    server: ObjectStore = request.getfixturevalue("objects")
    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server.bucket()
