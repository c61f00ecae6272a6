"""Versions of a real registry as the source of what is served, built and asked."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_iris
from xgboost import XGBClassifier

from modelway.backends.mlflow_rest import MlflowRegistry
from modelway.bundles.store import open_bundle
from modelway.composition.bundling import BuildRequest
from modelway.composition.control import Control
from modelway.composition.referring import referred
from modelway.composition.serving import ServeRequest, serve
from modelway.domain.errors import (
    AliasNotFound,
    Conflict,
    InvalidInput,
    RegistryUnavailable,
    UnsafeFormat,
    UntrustedRegistry,
    VersionNotFound,
)
from modelway.settings import Settings, load_settings
from support.live import Serve, ask, modelway
from support.mlflow_servers import MlflowServer, pickled_version
from support.severed import Relay

pytestmark = pytest.mark.services


@dataclass(frozen=True)
class Trees:
    """A model of two versions, which answer differently: 1 is staging, 2 the champion."""

    registry: MlflowRegistry
    name: str
    run: str
    path: str


@pytest.fixture(scope="session")
def trees(server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Trees:
    """Boosters' own files, so that nobody has to be trusted."""
    registry, name = MlflowRegistry(server.url), f"trees-{secrets.token_hex(4)}"
    rows, labels = load_iris(return_X_y=True, as_frame=True)
    run = path = ""
    for depth in (1, 3):
        folder = tmp_path_factory.mktemp("trees")
        model = XGBClassifier(n_estimators=depth, max_depth=depth).fit(rows, labels)
        model.save_model(folder / "model.ubj")
        made = registry.register(name, folder, None, {})
        run, path = made.run_id or "", made.source.rpartition("/")[2]
    stage = {"name": name, "version": "1", "stage": "Staging"}
    api = f"{server.url}/api/2.0/mlflow/model-versions/transition-stage"
    assert ask(api, payload=stage).status == 200
    registry.set_alias(name, "champion", "2")
    return Trees(registry, name, run, path)


@pytest.fixture
def pickled(server: MlflowServer, tmp_path: Path) -> str:
    """A version that is a pickle."""
    return f"{pickled_version(server.url, tmp_path / 'pickled')}:1"


def settings_of(home: Path, url: str, **others: Any) -> Settings:
    """Settings of a home beside the registry at ``url``."""
    return load_settings({"bundles.home": home, "registry.url": url, **others}, environment={})


def digest(source: str, settings: Settings) -> str:
    """The digest of the bundle of what a source refers to."""
    return open_bundle(referred(BuildRequest(source), settings, print)).digest


def test_every_form_is_bundled_as_the_version_that_it_means(
    trees: Trees, server: MlflowServer, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path / "home", server.url)
    first, second = (digest(f"{trees.name}:{one}", settings) for one in ("1", "2"))
    assert first != second
    for form, expected in {
        "models:/{name}/1": first,
        "models:/{name}/Staging": first,
        "models:/{name}/latest": second,
        "models:/{name}@champion": second,
        "{name}@champion": second,
        "runs:/{run}/{path}": second,
    }.items():
        source = form.format(name=trees.name, run=trees.run, path=trees.path)
        assert digest(source, settings) == expected, form
    assert not any((tmp_path / "home" / "fetched").iterdir())


def test_versions_of_a_registry_are_served_under_the_name_of_their_model(
    trees: Trees, server: MlflowServer, serve: Serve
) -> None:
    old = f"old=models:/{trees.name}/Staging"
    service = serve(f"models:/{trees.name}@champion", old, "--registry", server.url)
    name = trees.name.replace("-", "_")
    listed: Any = service.ask("/models").json
    assert (listed["default"], [one["name"] for one in listed["models"]]) == (name, [name, "old"])
    described: Any = service.ask(f"/models/{name}").json
    row = [[6.3, 3.3, 6.0, 2.5]]
    names = [one["name"] for one in described["signature"]["columns"]]
    answers: list[Any] = [
        service.ask(f"/models/{one}/predict", json=dict(zip(names, row[0], strict=True))).json
        for one in (name, "old")
    ]
    assert [one["prediction"] for one in answers] == [2, 2]
    assert answers[0]["probabilities"] != answers[1]["probabilities"]


def test_a_version_is_built_and_asked_by_command(
    trees: Trees, server: MlflowServer, tmp_path: Path
) -> None:
    made = modelway(
        *("bundle", "build", f"models:/{trees.name}/2", "--registry", server.url),
        *("--name", "iris", "-o", "made", "--json"),
        folder=tmp_path,
    )
    said = json.loads(made.stdout)
    settings = settings_of(tmp_path / ".modelway", server.url)
    assert (said["record"]["name"], said["digest"]) == ("iris", digest(f"{trees.name}:2", settings))
    columns = open_bundle(tmp_path / "made").signature.columns
    rows = ",".join(one.name for one in columns) + "\n6.3,3.3,6.0,2.5\n"
    (tmp_path / "rows.csv").write_text(rows)
    asked = [
        modelway("predict", model, "--input", "rows.csv", *registry, folder=tmp_path).stdout
        for model, registry in (
            ("made", ()),
            (f"{trees.name}@champion", ("--registry", server.url)),
        )
    ]
    assert asked[0] == asked[1]
    assert ",2," in asked[0]


def test_a_pickle_is_built_only_of_a_registry_that_is_trusted(
    pickled: str, server: MlflowServer, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    trusted = settings_of(home, server.url, **{"registry.trusted": server.url})
    assert digest(pickled, trusted)
    with pytest.raises(UntrustedRegistry, match=f"{pickled} is a pickle.*{server.url} is not"):
        digest(pickled, settings_of(home, server.url))
    with pytest.raises(UnsafeFormat, match="holds a pickle"):
        digest(pickled, trusted.without_pickles())


def test_a_version_that_is_here_answers_while_its_registry_is_away(
    trees: Trees, server: MlflowServer, tmp_path: Path
) -> None:
    with Relay(server.url) as relay:
        settings = settings_of(tmp_path / "home", relay.url)
        found = digest(f"{trees.name}:2", settings)
        relay.sever()
        said: list[object] = []
        folder = referred(BuildRequest(f"models:/{trees.name}/2"), settings, said.append)
        assert open_bundle(folder).digest == found
        assert f"{trees.name}:2 is bundled here already" in str(said)
        for one in (f"{trees.name}:1", f"{trees.name}@champion", f"models:/{trees.name}/latest"):
            with pytest.raises(RegistryUnavailable):
                referred(BuildRequest(one), settings, print)


def test_a_version_of_another_registry_is_another_version(
    trees: Trees, server: MlflowServer, tmp_path: Path, free_port: int
) -> None:
    home = tmp_path / "home"
    digest(f"{trees.name}:2", settings_of(home, server.url))
    with pytest.raises(RegistryUnavailable):
        digest(f"{trees.name}:2", settings_of(home, f"http://127.0.0.1:{free_port}"))


def test_what_the_home_has_promoted_needs_no_registry(
    trees: Trees, server: MlflowServer, tmp_path: Path
) -> None:
    with Relay(server.url) as relay:
        settings = settings_of(tmp_path / "home", relay.url)
        with Control(settings) as control:
            control.home.remember(settings)
            control.promoting.promote(trees.name, "1", "tried", "ann", "first")
        found = digest(f"{trees.name}@tried", settings)
        relay.sever()
        assert digest(f"{trees.name}:1", settings) == found


def test_what_cannot_be_had_is_told(
    trees: Trees, server: MlflowServer, tmp_path: Path, free_port: int
) -> None:
    settings = settings_of(tmp_path / "home", server.url)
    with pytest.raises(VersionNotFound, match=f"{trees.name} has no version '9'; there is: 1, 2"):
        digest(f"models:/{trees.name}/9", settings)
    with pytest.raises(AliasNotFound, match="no alias 'nobody'"):
        digest(f"{trees.name}@nobody", settings)
    bare = settings_of(tmp_path / "bare", "")
    with pytest.raises(InvalidInput, match=r"models:/loan@champion.*in a registry, and none is"):
        digest("models:/loan@champion", bare)
    with pytest.raises(RegistryUnavailable):
        digest("loan:7", settings_of(tmp_path / "away", f"http://127.0.0.1:{free_port}"))
    with pytest.raises(InvalidInput, match="--watch looks at files, and loan:7 is looked for"):
        serve_alone = replace(settings, serve=replace(settings.serve, port=0))
        serve_alone = replace(serve_alone, admin=replace(serve_alone.admin, port=0))
        serve(ServeRequest(("loan:7",), watch=True), serve_alone, say=print)


def test_an_archived_version_is_not_served(server: MlflowServer, tmp_path: Path) -> None:
    folder, registry = tmp_path / "files", MlflowRegistry(server.url)
    folder.mkdir()
    rows, labels = load_iris(return_X_y=True, as_frame=True)
    XGBClassifier(n_estimators=1, max_depth=1).fit(rows, labels).save_model(folder / "model.ubj")
    name, settings = f"old-{secrets.token_hex(4)}", settings_of(tmp_path / "home", server.url)
    registry.register(name, folder, None, {})
    digest(f"{name}:1", settings)
    registry.set_tags(name, "1", {"modelway.archived_by": "ann"})
    with pytest.raises(Conflict, match="ann has archived it"):
        digest(f"{name}:1", settings)


def test_what_is_here_is_a_path_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trees: Trees, server: MlflowServer
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = settings_of(tmp_path / "home", server.url)
    found = open_bundle(referred(BuildRequest(f"{trees.name}:2"), settings, print))
    (tmp_path / "loan:7").symlink_to(found.folder)
    shown = modelway("predict", "loan:7", "--input", "none.csv", folder=tmp_path, exit_code=3)
    assert "none.csv" in shown.stderr
