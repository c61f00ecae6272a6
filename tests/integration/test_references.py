"""References in every form, by command, administration and file, against a real MLflow server."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from modelway.backends.mlflow_rest import MlflowRegistry
from modelway.bundles.store import open_bundle
from modelway.composition.control import Control
from modelway.settings import load_settings
from support.homes import HOME, Homes
from support.live import ask
from support.mlflow_servers import MlflowServer
from support.shell import Shell

pytestmark = pytest.mark.services

FORMS = {
    "{model}": "3",
    "{model}:2": "2",
    "{model}:002": "2",
    "{model}@champion": "2",
    "models:/{model}@champion": "2",
    "models:/{model}/1": "1",
    "models:/{model}/Staging": "1",
    "models:/{model}/staging": "1",
    "models:/{model}/None": "3",
    "models:/{model}/latest": "3",
    "runs:/{run}/{path}": "2",
}
"""Every form that a reference has, and the version that it means of a model as ``loans`` makes."""

LOOKED_UP = [
    "{model}",
    "models:/{model}/Staging",
    "models:/{model}/staging",
    "models:/{model}/None",
    "models:/{model}/latest",
    "runs:/{run}/{path}",
]
"""Those that only the registry knows."""


@dataclass(frozen=True)
class Loans:
    """A home, and a model of three versions: 1 is staging, 2 the champion, 3 the newest."""

    folder: Path
    url: str
    parts: Mapping[str, str]

    @property
    def home(self) -> Path:
        """The home of the folder."""
        return self.folder / HOME

    def written(self, form: str) -> str:
        """A form with this model's own name in it."""
        return form.format(**self.parts)


@pytest.fixture
def loans(server: MlflowServer, iris_home: Path, tmp_path: Path) -> Loans:
    """A model whose versions are all bundled in the home."""
    model, registry = f"loan-{secrets.token_hex(6)}", MlflowRegistry(server.url)
    source = tmp_path / "model"
    source.mkdir()
    (source / "MLmodel").write_text("flavors: {}\n")
    first = registry.register(model, source, None, {})
    second = registry.register(model, source, first.run_id, {})
    registry.register(model, source, first.run_id, {})
    stage = {"name": model, "version": "1", "stage": "Staging"}
    api = f"{server.url}/api/2.0/mlflow/model-versions/transition-stage"
    assert ask(api, payload=stage).status == 200
    home = tmp_path / HOME
    (home / "bundles").mkdir(parents=True)
    (bundle,) = (iris_home / "bundles").iterdir()
    (home / "bundles" / bundle.name).symlink_to(bundle)
    with Control(load_settings({"bundles.home": home, "registry.url": server.url})) as control:
        for version in ("1", "2", "3"):
            control.store.links.link(model, version, open_bundle(bundle).digest, None)
        control.promoting.promote(model, "2", "champion", "ann", "the best")
    path = second.source.rpartition("/")[2]
    return Loans(tmp_path, server.url, {"model": model, "run": first.run_id or "", "path": path})


@pytest.fixture
def shell(
    loans: Loans, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """Commands on the home, whose registry is there."""
    monkeypatch.setenv("MODELWAY__REGISTRY__URL", loans.url)
    return Shell(loans.home, capsys)


def live(shown: Any) -> tuple[str, str, str | None]:
    """The live version that an answer shows: as it is followed, its number, and what is wrong."""
    (one,) = [one for one in shown["versions"] if one["role"] == "live"]
    return one["reference"], one["version"], one["trouble"]


def kept(form: str, model: str, version: str) -> str:
    """How an endpoint keeps what was written in a form."""
    return f"{model}@champion" if "@" in form else f"{model}:{version}"


def test_every_command_that_takes_a_version_takes_every_form(loans: Loans, shell: Shell) -> None:
    model = loans.parts["model"]
    for form, version in FORMS.items():
        reference = loans.written(form)
        if form != "{model}":  # which shows the model with all its versions
            shown = shell.json("model", "show", reference)
            assert (shown["name"], shown["version"]) == (model, version), form
        assert shell.json("model", "bundle", reference)["version"] == version
        moved = shell.json("model", "promote", reference, "--to", "tried", "--why", form)
        assert moved["to_version"] == version, form
    assert [one["version"] for one in shell.json("model", "show", model)["versions"]] == [*"123"]


def test_every_command_on_an_endpoint_takes_every_form(loans: Loans, shell: Shell) -> None:
    model = loans.parts["model"]
    for number, (form, version) in enumerate(FORMS.items()):
        reference, name = loans.written(form), f"loan-{number}"
        expected = (kept(form, model, version), version, None)
        assert live(shell.json("endpoint", "create", name, "--live", reference)) == expected
        other = f"{model}:1" if version != "1" else f"{model}:3"
        shell("endpoint", "set", name, "--live", other)
        assert live(shell.json("endpoint", "set", name, "--live", reference)) == expected
        shell("endpoint", "set", name, "--live", other)
        for role in (("canary", "--weight", "5%"), ("shadow",)):
            shown = shell.json("endpoint", role[0], name, reference, *role[1:])
            (one,) = [one for one in shown["versions"] if one["role"] == role[0]]
            assert (one["reference"], one["version"]) == expected[:2]
            ended = shell.json("endpoint", role[0], name, reference, "--end")
            assert [one["role"] for one in ended["versions"]] == ["live"]


def test_a_file_takes_every_form_and_applied_twice_changes_nothing(
    loans: Loans, shell: Shell
) -> None:
    model, file = loans.parts["model"], loans.folder / "endpoints.toml"
    other = {"1": "3", "2": "3", "3": "1"}
    tables = [
        f'[endpoints.e{number}]\nlive = "{loans.written(form)}"\n'
        f'canaries = {{ "models:/{model}/{other[version]}" = "5%" }}\n'
        for number, (form, version) in enumerate(FORMS.items())
    ]
    file.write_text("\n".join(tables))
    changes = shell.json("apply", file, "--yes")["changes"]
    assert [one["kind"] for one in changes] == ["created"] * len(FORMS)
    for number, (form, version) in enumerate(FORMS.items()):
        shown = shell.json("endpoint", "show", f"e{number}")
        assert live(shown)[0] == kept(form, model, version)
        assert shown["versions"][1]["reference"] == f"{model}:{other[version]}"
    assert shell.json("apply", file, "--yes")["changes"] == []
    assert shell("apply", file) == "nothing to change\n"


def test_a_file_follows_what_the_registry_says_when_it_is_applied(
    loans: Loans, shell: Shell
) -> None:
    model, file = loans.parts["model"], loans.folder / "endpoints.toml"
    file.write_text(f'[endpoints.loan]\nlive = "{model}"\nshadows = ["models:/{model}/Staging"]')
    shell("apply", file, "--yes")
    source = loans.folder / "model"
    MlflowRegistry(loans.url).register(model, source, loans.parts["run"], {})
    assert shell("apply", file, "--yes") == f"~ loan\n    live: {model}:3 -> {model}:4\n"


def test_one_version_written_in_two_ways_has_one_role(loans: Loans, shell: Shell) -> None:
    file = loans.folder / "endpoints.toml"
    text = '[endpoints.loan]\nlive = "{model}:1"\nshadows = ["models:/{model}/Staging"]'
    file.write_text(loans.written(text))
    shell("apply", file, "--yes", code=2)
    assert "names one reference in two roles" in shell.said
    assert shell.json("endpoint", "list") == []


def test_without_the_registry_what_it_has_to_look_up_says_so_and_the_rest_goes_on(
    loans: Loans, shell: Shell, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    monkeypatch.setenv("MODELWAY__REGISTRY__URL", f"http://127.0.0.1:{free_port}")
    model = loans.parts["model"]
    for form in LOOKED_UP:
        reference = loans.written(form)
        shell("endpoint", "create", "loan", "--live", reference, code=8)
        assert f"only the registry knows which version {reference} means" in shell.said
        assert "name a version or an alias" in shell.said
    for number, form in enumerate(FORMS):
        if form not in LOOKED_UP and form not in (
            "models:/{model}/staging",
            "models:/{model}/None",
        ):
            shown = shell.json("endpoint", "create", f"e{number}", "--live", loans.written(form))
            assert live(shown) == (kept(form, model, FORMS[form]), FORMS[form], None)
    file = loans.folder / "endpoints.toml"
    file.write_text(f'[endpoints.e1]\nlive = "models:/{model}/1"\n')
    assert f"live: {model}:2 -> {model}:1" in shell("apply", file, "--yes")


def test_what_means_nothing_is_told(loans: Loans, shell: Shell) -> None:
    model, run = loans.parts["model"], loans.parts["run"]
    shell("endpoint", "create", "loan", "--live", f"models:/{model}/Production", code=3)
    assert f"{model} has no version 'Production'; there is: 1, 2, 3" in shell.said
    shell("model", "show", f"{model}@nobody", code=3)
    assert f"{model} has no alias 'nobody'; there is: champion" in shell.said
    shell("model", "promote", f"runs:/{run}/nothing", "--why", "new", code=3)
    assert f"no version of any model was registered from runs:/{run}/nothing" in shell.said
    assert f"modelway model register runs:/{run}/nothing --name NAME" in shell.said
    shell("endpoint", "create", "loan", "--live", "runs:/nowhere/model", code=3)
    assert "has no run 'nowhere'" in shell.said


def test_a_version_is_deleted_by_its_own_name(loans: Loans, shell: Shell) -> None:
    model = loans.parts["model"]
    shell("model", "delete", model, code=2)
    assert f"the newest is {model}:3" in shell.said
    assert shell("model", "delete", f"models:/{model}/latest") == f"{model}:3 is deleted\n"


def test_the_administration_takes_every_form(loans: Loans, shell: Shell) -> None:
    model = loans.parts["model"]
    with Homes() as homes:
        up = homes.up(loans.folder, "--registry", loans.url, workers=1)
        for number, (form, version) in enumerate(FORMS.items()):
            reference = loans.written(form)
            path = f"/registry/{model}/versions/{quote(reference, safe='')}"
            answer: Any = up.administer("GET", path).json
            assert (answer["name"], answer["version"]) == (model, version), (form, answer)
            said = {"version": reference, "alias": "tried", "why": form}
            answer = up.administer("POST", f"/registry/{model}/promote", said).json
            assert answer["to_version"] == version, (form, answer)
            said = {"name": f"e{number}", "live": reference}
            answer = up.administer("POST", "/endpoints", said).json
            assert live(answer)[:2] == (kept(form, model, version), version)
        other = up.administer("GET", f"/registry/other/versions/{model}:1")
        assert (other.status, "names a version of" in other.body.decode()) == (400, True)
        run = loans.written("runs:/{run}/{path}")
        answer = up.administer("GET", f"/registry/{quote(run, safe='')}").json
        assert (answer["name"], answer["version"]) == (model, "2")
        server = ("--server", up.said["administration"], "--key", up.admin_key)
        for form, version in FORMS.items():
            reference = loans.written(form)
            moved = shell.json("model", "promote", reference, "--to", "t", "--why", "w", *server)
            assert moved["to_version"] == version
