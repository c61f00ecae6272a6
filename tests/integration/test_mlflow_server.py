"""MLflow's own server as it is started: what it keeps out, and what is told if it cannot start."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from modelway.composition.mlflow_server import is_up, server_command
from modelway.domain.errors import BadValue, InvalidInput
from support.mlflow_servers import MlflowServer

pytestmark = pytest.mark.services


def status(url: str, **headers: str) -> int:
    """The status of a GET."""
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_it_is_up_and_answers_those_who_call_it_by_its_name(
    server: MlflowServer, free_port: int
) -> None:
    port = urlsplit(server.url).port
    assert port is not None
    search = f"{server.url}/api/2.0/mlflow/registered-models/search"
    assert is_up(port)
    assert not is_up(free_port)
    assert status(search) == 200
    assert status(search, Host=f"localhost:{port}") == 200
    assert status(search, Host="rebound.example") == 403


def test_it_keeps_everything_in_the_home(server: MlflowServer) -> None:
    assert (server.folder / "mlflow" / "mlflow.db").is_file()
    assert (server.folder / "mlflow" / "artifacts").is_dir()


def test_what_the_environment_says_of_other_servers_is_kept_from_it(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://team.example")
    monkeypatch.setenv("MLFLOW_REGISTRY_STORE_URI", "http://team.example")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    command = server_command(tmp_path, free_port)
    assert {k: v for k, v in command.environment.items() if "MLFLOW" in k} == {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ENABLE_AI_GATEWAY": "false",
    }
    assert "PATH" in command.environment
    assert command.url == f"http://127.0.0.1:{free_port}"


def test_a_home_that_cannot_hold_it_is_told(tmp_path: Path, free_port: int) -> None:
    with pytest.raises(BadValue, match="in its path"):
        server_command(tmp_path / "what?", free_port)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="cannot be made: Not a directory"):
        server_command(tmp_path / "file", free_port)
