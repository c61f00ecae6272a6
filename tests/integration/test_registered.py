"""Registered versions made into bundles; a pickle only of a registry that is trusted."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from xgboost import XGBClassifier

from modelway.backends.mlflow_rest import MlflowRegistry
from modelway.bundles.store import open_bundle
from modelway.composition.control import Control
from modelway.composition.leaving import work_until
from modelway.composition.registered import Registered
from modelway.composition.tending import bundle_wanted
from modelway.domain.errors import Unavailable, UntrustedRegistry, VersionNotFound
from modelway.endpoints.endpoint import Endpoint
from modelway.endpoints.planned import PlannedEndpoint
from modelway.settings import Settings, load_settings
from support.mlflow_servers import MlflowServer, pickled_version

pytestmark = pytest.mark.services


@pytest.fixture
def pickled(server: MlflowServer, tmp_path: Path) -> str:
    """A model of one version, which is a pickle."""
    return pickled_version(server.url, tmp_path / "files")


@pytest.fixture
def boosted(server: MlflowServer, tmp_path: Path) -> str:
    """A model of one version, which is a booster's own file."""
    folder = tmp_path / "boosted"
    folder.mkdir()
    rows, labels = load_iris(return_X_y=True, as_frame=True)
    trees = XGBClassifier(n_estimators=3, max_depth=2).fit(rows, labels)
    trees.save_model(folder / "model.ubj")
    name = f"boosted-{secrets.token_hex(4)}"
    MlflowRegistry(server.url).register(name, folder, None, {})
    return name


@pytest.fixture
def control(server: MlflowServer, tmp_path: Path) -> Iterator[Control]:
    """A home beside a team's registry."""
    settings = load_settings({"bundles.home": tmp_path / "home", "registry.url": server.url})
    with Control(settings) as opened:
        yield opened


def registered(control: Control, url: str, settings: Settings, own: str = "") -> Registered:
    links, bundles, presence = control.store.links, control.bundles, control.presence
    return Registered(control.registry, url, links, bundles, presence, settings, own)


def test_a_pickle_of_a_registry_that_is_not_trusted_is_refused_and_the_reason_kept(
    control: Control, server: MlflowServer, pickled: str
) -> None:
    with pytest.raises(UntrustedRegistry, match="is a pickle, which runs code"):
        control.registered.bundle(pickled, "1", lambda _: None)
    assert control.store.links.digest(pickled, "1") is None
    assert "is not listed as trusted" in (control.store.links.reason(pickled, "1") or "")
    assert not list((control.home.path / "fetched").iterdir())


@pytest.mark.parametrize("by", ["listed", "own"])
def test_a_pickle_of_a_trusted_registry_is_built_linked_and_not_built_again(
    control: Control, server: MlflowServer, pickled: str, by: str
) -> None:
    settings = control.settings
    if by == "listed":
        trusted = f"http://elsewhere:1, {server.url}/"
        settings = replace(settings, registry=replace(settings.registry, trusted=trusted))
    trusting = registered(control, server.url, settings, server.url if by == "own" else "")
    digest = trusting.bundle(pickled, "1", lambda _: None)
    folder = trusting.folder(digest)
    assert folder is not None
    assert open_bundle(folder).digest == digest == control.store.links.digest(pickled, "1")
    generation = control.store.generation.now()
    assert trusting.bundle(pickled, "1", lambda _: None) == digest
    assert control.store.generation.now() == generation


def test_what_is_no_pickle_is_built_from_any_registry(control: Control, boosted: str) -> None:
    digest = control.registered.bundle(boosted, "1", lambda _: None)
    assert control.store.links.versions(digest) == [(boosted, "1")]


def test_a_version_that_is_not_there_leaves_no_link(control: Control, boosted: str) -> None:
    with pytest.raises(VersionNotFound):
        control.registered.bundle(boosted, "99", lambda _: None)
    assert control.store.links.reason(boosted, "99") is None


def test_a_build_whose_asker_has_left_is_ended_and_may_be_tried_again(
    control: Control, boosted: str
) -> None:
    def leaving() -> None:
        left = threading.Event()
        left.set()
        work_until(left)
        control.registered.bundle(boosted, "1", lambda _: None)

    with pytest.raises(Unavailable, match="nobody waits"):
        copy_context().run(leaving)
    assert control.store.links.reason(boosted, "1") is None
    control.registered.bundle(boosted, "1", lambda _: None)


def test_what_an_endpoint_wants_is_built_once_and_failures_are_not_tried_again(
    control: Control, pickled: str, boosted: str
) -> None:
    control.rollouts.create(Endpoint("trees", f"{boosted}:1"), "tester")
    control.rollouts.create(Endpoint("refused", f"{pickled}:1"), "tester")
    control.rollouts.create(Endpoint("unset", f"{boosted}@nobody"), "tester")
    with pytest.raises(UntrustedRegistry):
        bundle_wanted(control)
    bundle_wanted(control)
    looked = control.look()
    planned = looked["trees"]
    assert isinstance(planned, PlannedEndpoint)
    assert (planned.live.model, planned.live.version) == (boosted, "1")
    assert {name: type(one).__name__ for name, one in looked.items()} == {
        "trees": "PlannedEndpoint",
        "refused": "Unavailable",
        "unset": "AliasNotFound",
    }
