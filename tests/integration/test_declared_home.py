"""A home that runs: endpoints declared, predictions recorded, labels on both ports, its status."""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from modelway.bundles.store import open_bundle
from modelway.cli.main import run
from modelway.composition.apply_operation import APPLY
from modelway.composition.control import Control
from modelway.composition.operating import Target
from modelway.domain.errors import EndpointChanged
from modelway.settings import Settings, load_settings
from support.certificates import certificate_pair
from support.homes import HOME, Homes, Up, is_running, wait_until
from support.live import MODELWAY, Answer
from support.shell import Shell

ROW = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
DECLARED = """
[endpoints.iris]
live = "iris:1"
"""
CHANGED = """
[endpoints.iris]
live = "iris:1"
split_by = "header:customer"
automatic = true
canaries = { "iris:2" = "5%" }

[endpoints.iris.bounds]
error_ratio = 0.01

[endpoints.other]
live = "iris:2"
"""


def settings_of(home: Path) -> Settings:
    return load_settings({"bundles.home": home}, folder=home, environment={})


def made(iris_home: Path, folder: Path) -> Path:
    """A folder with a home in which a bundle is linked as two versions of a model."""
    home = folder / HOME
    (home / "bundles").mkdir(parents=True)
    (bundle,) = (iris_home / "bundles").iterdir()
    (home / "bundles" / bundle.name).symlink_to(bundle)
    with Control(settings_of(home)) as control:
        for version in ("1", "2"):
            control.store.links.link("iris", version, open_bundle(bundle).digest, None)
    (folder / "endpoints.toml").write_text(DECLARED)
    return folder


class TestApply:
    @pytest.fixture(autouse=True)
    def folder(self, iris_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Where the commands run: in a folder with ``endpoints.toml``."""
        monkeypatch.chdir(made(iris_home, tmp_path))
        return tmp_path

    @pytest.fixture
    def apply(self, capsys: pytest.CaptureFixture[str]) -> Any:
        def applied(*words: str, code: int = 0) -> str:
            ended = run(["apply", *words])
            out, said = capsys.readouterr()
            assert ended == code, out + said
            return out + said

        return applied

    def test_what_differs_is_shown_changed_and_then_nothing_is_left(
        self, apply: Any, folder: Path
    ) -> None:
        assert apply("--dry-run") == "+ iris\n    live: iris:1\n"
        assert apply("--yes", "--why", "first") == "+ iris\n    live: iris:1\n"
        assert apply() == "nothing to change\n"
        (folder / "endpoints.toml").write_text(CHANGED)
        assert apply("--yes") == (
            "~ iris\n"
            "    canaries: none -> iris:2 5%\n"
            "    split_by: none -> header:customer\n"
            "    automatic: false -> true\n"
            "    bounds.error_ratio: 0.05 -> 0.01\n"
            "+ other\n"
            "    live: iris:2\n"
        )
        assert json.loads(apply("--json")) == {"changes": [], "revisions": {}, "dry_run": True}
        with Control(settings_of(folder / HOME)) as control:
            history = control.rollouts.history("iris")
        assert [(one.number, one.why) for one in history] == [(1, "first"), (2, "")]

    def test_what_is_not_declared_stays_unless_it_is_pruned(self, apply: Any, folder: Path) -> None:
        (folder / "all.toml").write_text(CHANGED)
        apply("all.toml", "--yes")
        assert "other" not in apply("--dry-run")
        assert apply("--prune", "--yes").endswith("- other\n")
        with Control(settings_of(folder / HOME)) as control:
            assert [one.name for one in control.rollouts.all()] == ["iris"]

    def test_of_a_wrong_file_nothing_is_done(self, apply: Any, folder: Path) -> None:
        text = CHANGED + "\n[endpoints.third]\nlife = 'iris:1'\n"
        (folder / "endpoints.toml").write_text(text)
        assert "endpoints.toml: endpoints.third has a key 'life'" in apply("--yes", code=2)
        assert "known are: live" in apply("--yes", code=2)
        with Control(settings_of(folder / HOME)) as control:
            assert control.rollouts.all() == []
        assert "does not exist" in apply("none.toml", code=3)

    def test_what_changed_since_it_was_looked_at_is_left_alone(self, folder: Path) -> None:
        target = Target(settings_of(folder / HOME))
        endpoints = {"iris": {"live": "iris:1"}}
        looked = target.carry_out(APPLY, endpoints=endpoints, dry_run=True)
        assert looked["revisions"] == {}
        target.carry_out(APPLY, endpoints={"iris": {"live": "iris:2"}})
        with pytest.raises(EndpointChanged):
            target.carry_out(APPLY, endpoints=endpoints, expected=looked["revisions"])
        looked = target.carry_out(APPLY, endpoints=endpoints, dry_run=True)
        target.carry_out(APPLY, endpoints=endpoints, expected=looked["revisions"])

    @pytest.mark.parametrize(("typed", "code"), [("n", 130), ("y", 0)])
    def test_on_a_terminal_it_is_asked_first(self, folder: Path, typed: str, code: int) -> None:
        terminal, theirs = os.openpty()
        done = subprocess.Popen(
            [*MODELWAY, "apply"], stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, cwd=folder
        )
        os.close(theirs)
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(terminal, 4096)
        assert b"+ iris" in shown
        os.write(terminal, typed.encode() + b"\n")
        printed, _ = done.communicate(timeout=60)
        os.close(terminal)
        assert (done.returncode, b"+ iris" in printed) == (code, code == 0)
        with Control(settings_of(folder / HOME)) as control:
            assert len(control.rollouts.all()) == (code == 0)

    def test_the_salt_of_the_split_survives(self, apply: Any, folder: Path) -> None:
        apply("--yes")
        with Control(settings_of(folder / HOME)) as control:
            control.rollouts.change("iris", lambda one: replace(one, salt="s"), "test")
        (folder / "endpoints.toml").write_text(CHANGED)
        apply("--yes")
        with Control(settings_of(folder / HOME)) as control:
            endpoint = control.rollouts.show("iris").endpoint
        assert endpoint is not None
        assert (endpoint.salt, endpoint.automatic) == ("s", True)


def test_the_status_of_a_home_in_which_nothing_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["status", "--home", str(tmp_path)]) == 0
    assert f"nothing runs in {tmp_path}; modelway up starts it" in capsys.readouterr().out
    assert run(["status", "--home", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["addresses"], found["processes"], found["trouble"]) == (None, [], None)
    assert (found["store"], found["keys"], found["records_bytes"]) == ("sqlite", 0, 0)


@pytest.fixture(scope="module")
def homes() -> Iterator[Homes]:
    """Starts ``modelway up``; what it started ends with the module."""
    with Homes() as starting:
        yield starting


@pytest.fixture(scope="module")
def up(iris_home: Path, homes: Homes, tmp_path_factory: pytest.TempPathFactory) -> Up:
    """A home that answers, its endpoint declared while it ran."""
    folder = made(iris_home, tmp_path_factory.mktemp("declared"))
    up = homes.up(folder, "--no-mlflow")
    run(["apply", str(folder / "endpoints.toml"), "--yes", "--home", str(folder / HOME)])
    wait_until(lambda: up.ask("/predict", payload=ROW).status == 200)
    return up


@pytest.fixture(scope="module")
def keyed(iris_home: Path, homes: Homes, tmp_path_factory: pytest.TempPathFactory) -> Up:
    """The same, but that whoever asks needs a key."""
    folder = made(iris_home, tmp_path_factory.mktemp("keyed"))
    environment = {"MODELWAY__ACCESS__PREDICTIONS": "keys"}
    with Control(settings_of(folder / HOME)):
        pass
    assert run(["key", "create", "all", "--scope", "admin", "--home", str(folder / HOME)]) == 0
    return homes.up(folder, "--no-mlflow", environment=environment, workers=1)


@pytest.fixture
def shell(up: Up, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Commands in the home that answers."""
    return Shell(up.home, capsys)


def predicted(up: Up) -> str:
    """The id of a prediction, once it is recorded."""
    answer = up.ask("/predict", payload=ROW)
    id = answer.headers["modelway-prediction-id"]
    wait_until(lambda: bool(rows(up, f"select 1 from predictions where prediction_id = '{id}'")))
    return id


def rows(up: Up, sql: str) -> list[Any]:
    """What a query gives, by the administration."""
    answer = up.administer("POST", "/records/query", {"sql": sql})
    found: Any = answer.json
    assert answer.status == 200, found
    listed: list[Any] = found["rows"]
    return listed


def said(answer: Answer, status: int) -> Any:
    assert answer.status == status, answer.body
    return answer.json


def test_what_was_answered_is_asked_shown_and_labelled_over_the_administration(
    up: Up, shell: Shell
) -> None:
    id = predicted(up)
    (record,) = said(up.administer("GET", f"/records/{id}:0"), 200)
    assert (record["endpoint"], record["model"], record["version"]) == ("iris", "iris", "1")
    server = ("--server", up.said["administration"], "--key", up.admin_key)
    (label,) = shell.json("label", "decline", id, "2", *server)["labels"]
    assert (label["value"], label["source"]) == (2, "admin")
    assert rows(up, f"select label_number from labelled where prediction_id = '{id}'") == [[2.0]]
    (label,) = shell.json("label", "confirm", id, *server)["labels"]
    assert (label["value"], label["revision"]) == (0, 2)
    file = up.folder / "labels.csv"
    file.write_text(
        "prediction_id,value\n" + "".join(f"csv-{k},{k}\n" for k in range(3_000)) + "x,\n"
    )
    done = shell.json("label", "import", file, *server, code=2)
    assert (done["imported"], done["bad_rows"][0]["line"]) == (3_000, 3_002)
    assert shell.json("record", "coverage", *server)[0]["labelled"] >= 1
    shell("record", "erase", "--column", "prediction_id", "--value", id, "--yes", *server)
    assert up.administer("GET", f"/records/{id}").status == 404
    acts: Any = up.administer("GET", "/audit").json
    assert (acts[0]["act"], acts[0]["actor"]) == ("record.erase", "admin")
    assert all(id not in act["detail"] for act in acts)


def test_labels_come_in_on_the_port_that_answers(up: Up) -> None:
    id = predicted(up)
    one = said(up.ask("/labels", payload={"prediction_id": id, "value": 1}), 200)
    assert one["labels"][0]["source"] == "anonymous"
    many = [{"prediction_id": f"many-{k}", "value": "x" * 300} for k in range(5_000)]
    found = said(
        up.ask("/labels", payload={"labels": [*many, {"prediction_id": id, "value": 2}]}), 200
    )
    assert len(found["labels"]) == 5_001
    assert [one["prediction_id"] for one in found["labels"][:2]] == ["many-0", "many-1"]
    assert found["labels"][-1]["revision"] == 2
    assert rows(up, "select count(*) from labels where prediction_id like 'many-%'") == [[5_000]]


@pytest.mark.parametrize(
    ("payload", "status", "words"),
    [
        ({"prediction_id": "x", "value": None}, 400, "got null"),
        ([{"prediction_id": "x", "value": 1}] * 10_001, 413, "one request takes 10000"),
        ({"prediction_id": "x", "verdict": "confirm"}, 404, "no prediction with the id 'x'"),
        ("no", 400, "labels"),
    ],
)
def test_labels_that_cannot_be_are_refused_on_the_port_that_answers(
    up: Up, payload: Any, status: int, words: str
) -> None:
    assert words in said(up.ask("/labels", payload=payload), status)["detail"]
    assert up.ask("/labels").status == 405


def test_the_status_of_what_runs(up: Up, shell: Shell) -> None:
    found = shell.json("status")
    assert found["trouble"] is None
    assert found["addresses"]["service"] == up.url
    assert found["addresses"]["administration"] == up.said["administration"]
    kinds = [one["kind"] for one in found["processes"]]
    assert sorted(kinds) == ["tend", "up", "worker", "worker"]
    assert all(one["alive"] and is_running(one["pid"]) for one in found["processes"])
    (endpoint,) = found["endpoints"]
    assert (endpoint["name"], endpoint["trouble"]) == ("iris", None)
    assert endpoint["versions"][0]["version"] == "1"
    assert found["records_bytes"] > 0
    server = ("--server", up.said["administration"], "--key", up.admin_key)
    assert shell.json("status", *server)["processes"][0]["pid"] == up.process.pid
    text = shell("status")
    assert f"predictions     {up.url}" in text
    assert "endpoint iris" in text


def test_what_keeps_an_endpoint_from_being_followed_is_said(up: Up, shell: Shell) -> None:
    server = ("--server", up.said["administration"], "--key", up.admin_key)
    wrong = up.folder / "wrong.toml"
    wrong.write_text('[endpoints.iris]\nlive = "iris:3"\n')
    shell("apply", str(wrong), *server)
    wait_until(lambda: shell.json("status")["endpoints"][0]["trouble"] is not None)
    assert "goes on as it was: " in shell("status")
    assert up.ask("/predict", payload=ROW).status == 200
    assert (
        shell("apply", str(up.folder / "endpoints.toml"), *server)
        == "~ iris\n    live: iris:3 -> iris:1\n"
    )
    wait_until(lambda: shell.json("status")["endpoints"][0]["trouble"] is None)


def test_who_labels_is_the_key_that_came(keyed: Up, capsys: pytest.CaptureFixture[str]) -> None:
    shell = Shell(keyed.home, capsys)

    def key(scope: str, *words: str) -> tuple[dict[str, str], str]:
        made = shell.json("key", "create", scope, "--scope", scope, *words)
        headers = {"x-api-key": made["key"]}
        wait_until(lambda: keyed.ask("/models", headers=headers).status != 401)
        return headers, f"{scope}:{made['id']}"

    labels, actor = key("label")
    reads, _ = key("read")
    confined, _ = key("label", "--endpoint", "other")
    payload = {"prediction_id": "a", "value": 1}
    assert keyed.ask("/labels", payload=payload).status == 401
    assert keyed.ask("/labels", payload=payload, headers=reads).status == 403
    assert keyed.ask("/labels", payload=payload, headers=confined).status == 403
    found = said(keyed.ask("/labels", payload=payload, headers=labels), 200)
    assert found["labels"][0]["source"] == actor
    named = {**payload, "source": "somebody"}
    assert (
        "leave source out" in said(keyed.ask("/labels", payload=named, headers=labels), 400)["hint"]
    )


def test_over_tls_labels_and_the_status_are_had_too(
    iris_home: Path,
    homes: Homes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cert, key = certificate_pair().write(tmp_path)
    options = ("--no-mlflow", "--tls-cert", str(cert), "--tls-key", str(key))
    up = homes.up(made(iris_home, tmp_path), *options, workers=1)
    port = urlsplit(up.url).port
    trusting = ssl.create_default_context(cafile=cert)
    connection = http.client.HTTPSConnection("localhost", port, timeout=30, context=trusting)
    body = json.dumps({"prediction_id": "a", "value": 1})
    wait_until(lambda: _answers(connection, body), 30)
    connection.close()
    shell = Shell(up.home, capsys)
    assert shell.json("status")["trouble"] == "the service's administration does not answer"
    monkeypatch.setenv("MODELWAY__SERVE__TLS_CERT", str(cert))
    assert shell.json("status")["trouble"] is None


def _answers(connection: http.client.HTTPSConnection, body: str) -> bool:
    connection.request("POST", "/labels", body, {"content-type": "application/json"})
    response = connection.getresponse()
    return bool(json.loads(response.read()).get("labels")) and response.status == 200


def test_plain_serving_has_no_labels(serve: Any, iris_bundle: Path) -> None:
    service = serve(iris_bundle)
    assert service.ask("/labels", json={"prediction_id": "a", "value": 1}).status == 404


def test_a_service_that_hangs_or_was_killed_is_said_to(
    iris_home: Path, homes: Homes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    up = homes.up(made(iris_home, tmp_path), "--no-mlflow", workers=1)
    shell = Shell(up.home, capsys)
    os.kill(up.process.pid, signal.SIGSTOP)
    try:
        stopped = shell.json("status")
    finally:
        os.kill(up.process.pid, signal.SIGCONT)
    assert stopped["trouble"] == "the service's administration does not answer"
    assert stopped["processes"][0] == {"kind": "up", "pid": up.process.pid, "alive": True}
    up.kill()
    assert shell.json("status")["addresses"] is None
