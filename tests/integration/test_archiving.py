"""Versions archived and deleted, by command, against a real MLflow server and a home."""

from __future__ import annotations

import pickle
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from modelway.backends.mlflow_rest import MlflowRegistry
from modelway.composition.control import Control
from modelway.composition.model_operations import ARCHIVE, DELETE, PROMOTE
from modelway.composition.operating import Target
from modelway.composition.operations import Operation
from modelway.domain.errors import Conflict, ModelwayError, NotFound
from modelway.registry.models import ARCHIVED_BY
from modelway.settings import load_settings
from support.homes import HOME
from support.mlflow_servers import MlflowServer
from support.shell import Shell

pytestmark = pytest.mark.services


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of a test."""
    return tmp_path / HOME


@pytest.fixture
def shell(
    server: MlflowServer,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Shell:
    """Commands on the home, which trusts the registry."""
    monkeypatch.setenv("MODELWAY__REGISTRY__URL", server.url)
    monkeypatch.setenv("MODELWAY__REGISTRY__TRUSTED", server.url)
    return Shell(home, capsys)


@pytest.fixture
def model(server: MlflowServer, shell: Shell, tmp_path: Path) -> str:
    """A model of three versions that are one bundle; the first is the champion."""
    rule = tmp_path / "rule"
    rule.mkdir()
    (rule / "rule.py").write_text("def rich(income: float) -> bool:\n    return income > 1\n")
    name = f"rule-{secrets.token_hex(6)}"
    for _ in range(3):
        shell("model", "register", f"{rule / 'rule.py'}:rich", "--name", name)
    shell("model", "promote", f"{name}:1", "--why", "the first")
    return name


def test_an_archived_version_is_neither_promoted_nor_named_until_that_is_undone(
    shell: Shell, model: str, server: MlflowServer
) -> None:
    user = shell.json("model", "archive", f"{model}:3")["archived_by"]
    assert f"archived by {user}" in shell("model", "show", model)
    assert f"archived by {user}" in shell("model", "show", f"{model}:3")
    (listed,) = [one for one in shell.json("model", "list") if one["name"] == model]
    assert listed["archived"] == ["3"]
    for words in (
        ("model", "promote", f"{model}:3", "--why", "why"),
        ("model", "bundle", f"{model}:3"),
    ):
        shell(*words, code=4)
        assert f"{model}:3 may not answer: {user} has archived it" in shell.said
        assert f"modelway model archive {model}:3 --undo" in shell.said
    shell("endpoint", "create", "rule", "--live", model)
    for naming in (
        ("create", "other", "--live", f"{model}:3"),
        ("set", "rule", "--live", f"models:/{model}/3"),
        ("canary", "rule", f"{model}:3", "--weight", "5%"),
        ("shadow", "rule", f"{model}:3"),
    ):
        shell("endpoint", *naming, code=4)
        assert f"{model}:3 cannot answer: {user} has archived it" in shell.said
    assert [one["reference"] for one in shell.json("endpoint", "show", "rule")["versions"]] == [
        f"{model}:2"
    ]
    shown = shell.json("model", "archive", f"{model}:3", "--undo")
    assert (shown["archived_by"], shown["no_bundle"]) == (None, None)
    assert shown["digest"] is not None
    assert ARCHIVED_BY not in MlflowRegistry(server.url).version(model, "3").tags
    assert shell.json("model", "promote", f"{model}:3", "--why", "why")["to_version"] == "3"


def test_an_archived_version_is_not_named_while_the_registry_is_away(
    shell: Shell, model: str, monkeypatch: pytest.MonkeyPatch, free_port: int, tmp_path: Path
) -> None:
    shell("model", "promote", f"{model}:2", "--why", "the second")
    shell("model", "promote", f"{model}:3", "--why", "the third")
    shell("model", "archive", f"{model}:2")
    monkeypatch.setenv("MODELWAY__REGISTRY__URL", f"http://127.0.0.1:{free_port}")
    shell("endpoint", "create", "rule", "--live", f"{model}:2", code=4)
    assert "has archived it" in shell.said
    file = tmp_path / "endpoints.toml"
    file.write_text(f'[endpoints.first]\nlive = "{model}:1"\n[endpoints.rule]\nlive="{model}:2"')
    shell("apply", file, "--yes", code=4)
    assert shell.json("endpoint", "list") == []
    back = shell.json("model", "rollback", model, "--why", "worse")
    assert back["to_version"] == "1"


@pytest.mark.parametrize("operation", [ARCHIVE, DELETE])
def test_of_one_that_withdraws_a_version_and_one_that_promotes_it_exactly_one_succeeds(
    shell: Shell, model: str, home: Path, server: MlflowServer, operation: Operation[Any]
) -> None:
    target = Target(load_settings({"bundles.home": home}))

    def did(operation: Operation[Any], **given: str) -> bool:
        try:
            target.carry_out(operation, name=model, **given)
        except (Conflict, NotFound):
            return False
        return True

    with ThreadPoolExecutor(2) as people:
        for version in ("2", "3"):
            begun = {"version": version, "alias": f"for-{version}", "why": "why"}
            promoting = people.submit(did, PROMOTE, **begun)
            withdrawing = people.submit(did, operation, version=version)
            assert promoting.result(60) != withdrawing.result(60)
            aliases = MlflowRegistry(server.url).model(model).aliases
            assert (aliases.get(f"for-{version}") == version) == promoting.result()
            moved = [one["to_version"] for one in shell.json("model", "history", model)]
            assert (version in moved) == promoting.result()


def test_a_version_that_is_being_archived_is_not_promoted(
    shell: Shell, model: str, home: Path
) -> None:
    with Control(load_settings({"bundles.home": home})) as control:
        control.store.links.withdraw(model, "3", "bob has archived it")
        # The registry is told next; until then it does not know.
        for words in (("promote", f"{model}:3", "--why", "why"), ("bundle", f"{model}:3")):
            shell("model", *words, code=4)
            assert f"{model}:3 may not answer: bob has archived it" in shell.said
    assert len(shell.json("model", "history", model)) == 1
    shell("model", "archive", f"{model}:3", "--undo")
    shell("model", "promote", f"{model}:3", "--why", "why")


def test_a_rollback_passes_over_an_archived_version(shell: Shell, model: str) -> None:
    shell("model", "promote", f"{model}:2", "--why", "the second")
    shell("model", "promote", f"{model}:3", "--why", "the third")
    shell("model", "archive", f"{model}:2")
    assert shell.json("model", "rollback", model, "--why", "worse")["to_version"] == "1"


@pytest.mark.parametrize("verb", ["archive", "delete"])
def test_what_something_refers_to_is_neither_archived_nor_deleted(
    shell: Shell, model: str, server: MlflowServer, verb: str
) -> None:
    shell("model", verb, f"{model}:1", code=4)
    assert f"{model}:1 is in use: by {model}@champion" in shell.said
    shell("model", verb, f"{model}@champion", code=4)
    shell("endpoint", "create", "followed", "--live", f"{model}@champion")
    shell("model", verb, f"{model}:1", code=4)
    assert f"by {model}@champion, the endpoint followed" in shell.said
    shell("endpoint", "create", "fixed", "--live", f"{model}:1")
    shell("endpoint", "canary", "fixed", f"{model}:2", "--weight", "5%")
    shell("endpoint", "shadow", "followed", f"{model}:2")
    shell("model", verb, f"models:/{model}/2", code=4)
    assert f"{model}:2 is in use: by the endpoint fixed, the endpoint followed" in shell.said
    MlflowRegistry(server.url).set_alias(model, "by-hand", "3")
    shell("model", verb, f"{model}:3", code=4)
    assert f"by {model}@by-hand" in shell.said
    assert len(shell.json("model", "show", model)["versions"]) == 3
    shell("endpoint", "canary", "fixed", f"{model}:2", "--end")
    shell("endpoint", "shadow", "followed", f"{model}:2", "--end")
    shell("model", verb, f"{model}:2")


def test_a_number_with_zeros_is_the_version_that_is_in_use(
    shell: Shell, model: str, home: Path
) -> None:
    shell("model", "delete", f"{model}:001", code=4)
    assert "is in use" in shell.said


def test_a_deleted_version_is_not_named(shell: Shell, model: str) -> None:
    assert shell("model", "delete", f"{model}:2") == f"{model}:2 is deleted\n"
    shell("endpoint", "create", "rule", "--live", f"{model}:2", code=4)
    assert f"{model}:2 cannot answer" in shell.said
    assert "has deleted it" in shell.said


def test_what_could_not_be_bundled_is_named_no_more_but_stays_where_it_was(
    shell: Shell,
    server: MlflowServer,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, name = tmp_path / "files", f"pickle-{secrets.token_hex(6)}"
    folder.mkdir()
    (folder / "model.pickle").write_bytes(pickle.dumps({"no": "model"}))
    MlflowRegistry(server.url).register(name, folder, None, {})
    file = tmp_path / "endpoints.toml"
    file.write_text(f'[endpoints.rule]\nlive = "{name}:1"\n')
    shell("apply", file, "--yes")
    monkeypatch.setenv("MODELWAY__REGISTRY__TRUSTED", "")
    settings = load_settings({"bundles.home": home})
    with Control(settings) as control, pytest.raises(ModelwayError):
        control.registered.bundle(name, "1", lambda _: None)
    assert shell("apply", file, "--yes") == "nothing to change\n"
    shell("endpoint", "create", "other", "--live", f"{name}:1", code=4)
    assert f"{name}:1 cannot answer: {name}:1 is a pickle" in shell.said
