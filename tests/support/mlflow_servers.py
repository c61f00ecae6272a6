"""One real MLflow server for all tests of a run, and models that plain MLflow code logged there.

Who uses it holds a lock that is shared; whoever lets go and finds nobody else ends the server.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import os
import pickle
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from modelway.backends.mlflow_rest import MlflowRegistry
from modelway.composition.mlflow_server import READY_S, is_up, server_command
from support.live import absent

LOGGING = """
import json, sys
import mlflow, mlflow.sklearn, mlflow.xgboost
import numpy as np, pandas as pd, xgboost
from sklearn.linear_model import LogisticRegression

url, folder = sys.argv[1:]
mlflow.set_tracking_uri(url)
generator = np.random.default_rng(7)
rows = pd.DataFrame(generator.normal(size=(80, 3)), columns=["income", "age", "debt"])
granted = (rows.income - rows.debt > 0).astype("int64")
linear = LogisticRegression().fit(rows, granted)
trees = xgboost.XGBClassifier(n_estimators=3, max_depth=2).fit(rows, granted)
said = {}
with mlflow.start_run(run_name="by hand") as run:
    mlflow.log_param("C", 1.0)
    mlflow.log_metric("accuracy", 0.5)
    mlflow.log_metric("accuracy", 0.9, step=1)
    mlflow.log_metric("lost", float("nan"))
    mlflow.sklearn.log_model(
        linear, name="model", registered_model_name="logged-linear", input_example=rows[:3],
        pip_requirements=["scikit-learn"],
    )
    said["linear_run"] = run.info.run_id
with mlflow.start_run():
    mlflow.xgboost.log_model(
        trees, name="model", registered_model_name="logged-trees", input_example=rows[:3],
        pip_requirements=["xgboost"],
    )
client = mlflow.MlflowClient()
client.copy_model_version("models:/logged-linear/1", "copied-linear")

# A team whose server keeps files on a disk of its own, in run folders and as logged models.
client.create_experiment("on-disk", artifact_location=folder)
mlflow.set_experiment("on-disk")
with mlflow.start_run() as run:
    mlflow.sklearn.save_model(linear, "saved", pip_requirements=["scikit-learn"])
    mlflow.log_artifacts("saved", "model")
    said["disk_run"] = run.info.run_id
    client.create_registered_model("disk-run")
    uri = run.info.artifact_uri + "/model"
    client.create_model_version("disk-run", uri, run_id=run.info.run_id)
    mlflow.sklearn.log_model(
        linear, name="fresh", registered_model_name="disk-logged", pip_requirements=["scikit-learn"]
    )
    mlflow.log_text("only a file", "rule.txt")
    client.create_registered_model("disk-file")
    client.create_model_version(
        "disk-file", run.info.artifact_uri + "/rule.txt", run_id=run.info.run_id
    )
client.transition_model_version_stage("logged-linear", "1", "Staging")
json.dump(said, open("said.json", "w"))
"""


@dataclass(frozen=True)
class MlflowServer:
    """A running server: its address, and the folder of its state and log."""

    url: str
    folder: Path

    def logged(self) -> dict[str, str]:
        """The runs that plain MLflow code has made; it is run once for a server."""
        said = self.folder / "said.json"
        with _locked(self.folder / "logged.lock"):
            if not said.exists():
                _log_models(self)
        found: dict[str, str] = json.loads(said.read_text())
        return found


@contextlib.contextmanager
def mlflow_server(factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """The server of the run, started by whoever needs it first."""
    if importlib.util.find_spec("mlflow") is None:
        absent("MLflow is not installed")
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / "mlflow-server"
    folder.mkdir(exist_ok=True)
    with (folder / "users.lock").open("w") as users:
        with _locked(folder / "start.lock"):
            fcntl.flock(users, fcntl.LOCK_SH)
            running = folder / "running.json"
            if not running.exists():
                running.write_text(json.dumps(_start(folder)))
            pid, port = json.loads(running.read_text())
        yield MlflowServer(f"http://127.0.0.1:{port}", folder)
        with _locked(folder / "start.lock"), contextlib.suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_UN)
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            running.unlink()
            os.killpg(pid, signal.SIGKILL)


def _start(folder: Path) -> tuple[int, int]:
    """The process group and the port of a server that answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = server_command(folder, port)
    log = folder / "log.txt"
    with log.open("w") as stream:
        process = subprocess.Popen(
            list(command.arguments),
            env=dict(command.environment),
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    process.returncode = 0  # others may end it: nobody here waits for it
    deadline = time.monotonic() + READY_S
    try:
        while not is_up(port):
            if time.monotonic() > deadline or not Path(f"/proc/{process.pid}").exists():
                pytest.fail(f"MLflow's server did not come up:\n{log.read_text()}")
            time.sleep(0.1)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.pid, port


def _log_models(server: MlflowServer) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    disk = server.folder / "disk"
    disk.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOGGING, server.url, str(disk)],
        env={**environment, "MLFLOW_DISABLE_TELEMETRY": "true"},
        cwd=server.folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    if done.returncode:
        pytest.fail(f"MLflow could not log the models:\n{done.stdout}{done.stderr}")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def pickled_version(url: str, folder: Path) -> str:
    """A model of one version, which is a pickle, registered from a new folder; gives its name."""
    folder.mkdir()
    rows, labels = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=1000).fit(rows, labels)
    (folder / "model.pickle").write_bytes(pickle.dumps(model))
    name = f"pickled-{secrets.token_hex(4)}"
    MlflowRegistry(url).register(name, folder, None, {})
    return name
