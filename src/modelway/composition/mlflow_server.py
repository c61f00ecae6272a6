"""MLflow's own tracking server as a child process: how it is started, and how it is known to be up.

It keeps everything in the home: SQLite and a folder of files. It listens on loopback, with one
worker, without telemetry, jobs or gateway. What the environment says of other servers is kept from
it.

Measured with MLflow 3.17.2 on 2 cores: 10 s to the first answer with an idle machine, of which a
new database takes 2; two processes, ``mlflow server`` and its worker, of 223 MB each.
"""

from __future__ import annotations

import http.client
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelway.domain.errors import BadValue, InvalidInput, MissingExtra
from modelway.settings import child_environment

HOST = "127.0.0.1"
READY_S = 120.0
"""How long it may take to come up; 16 s are usual while models load beside it."""

_FOREIGN = ("MLFLOW_", "_MLFLOW_")
_OFF = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ENABLE_AI_GATEWAY": "false",
}
_SIGNS = "?#%"
"""What means something else in the address of a database."""


@dataclass(frozen=True, slots=True)
class ServerCommand:
    """How a server is started: its words, its whole environment, and its address then.

    The first process only holds the worker that answers. It ends it on SIGTERM; on SIGKILL it
    cannot, so start it in a session of its own and kill that.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    url: str


def server_command(home: Path, port: int) -> ServerCommand:
    """The command for a server with its state in ``home/mlflow``, which is made.

    Raises:
        MissingExtra: MLflow is not installed.
        BadValue: the home has a path that cannot stand in the address of a database.
        InvalidInput: the folder cannot be made.
    """
    if importlib.util.find_spec("mlflow") is None:
        raise MissingExtra("mlflow", "up", "the registry")
    folder = home.absolute() / "mlflow"
    if any(sign in str(folder) for sign in _SIGNS):
        raise BadValue(f"the home {home} has one of {' '.join(_SIGNS)} in its path: name another")
    artifacts = folder / "artifacts"
    try:
        artifacts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{artifacts} cannot be made: {error.strerror}") from error
    arguments = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--serve-artifacts", "--artifacts-destination", str(artifacts)),
        *("--host", HOST, "--port", str(port), "--workers", "1"),
        *("--allowed-hosts", f"{HOST}:{port},localhost:{port}"),
    ]
    inherited = child_environment()
    kept = {name: value for name, value in inherited.items() if not name.startswith(_FOREIGN)}
    return ServerCommand(arguments, {**kept, **_OFF}, f"http://{HOST}:{port}")


def is_up(port: int, timeout_s: float = 1.0) -> bool:
    """Whether the server on this port answers that it is well; at most about ``timeout_s``."""
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout_s)
    try:
        connection.request("GET", "/health")
        response = connection.getresponse()
        return response.status == http.client.OK and response.read().strip() == b"OK"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
