"""Bundles that are linked and not on disk any more: promoted and gone back to in a real home."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from xgboost import XGBClassifier

from modelway.backends.mlflow_rest import MlflowRegistry
from modelway.composition.control import Control
from modelway.domain.errors import Conflict, RegistryUnavailable
from modelway.registry.promotions import Promotion
from modelway.settings import load_settings
from support.mlflow_servers import MlflowServer

pytestmark = pytest.mark.services


@pytest.fixture
def control(server: MlflowServer, tmp_path: Path) -> Iterator[Control]:
    """A home beside a team's registry."""
    settings = load_settings({"bundles.home": tmp_path / "home", "registry.url": server.url})
    with Control(settings) as opened:
        yield opened


@pytest.fixture
def model(control: Control, server: MlflowServer, tmp_path: Path) -> str:
    """A model of two versions, of which the second is the champion and the first was."""
    name, registry = f"gone-{secrets.token_hex(6)}", MlflowRegistry(server.url)
    rows, labels = load_iris(return_X_y=True, as_frame=True)
    for n_trees in (2, 3):
        folder = tmp_path / f"{n_trees}-trees"
        folder.mkdir()
        trees = XGBClassifier(n_estimators=n_trees, max_depth=2).fit(rows, labels)
        trees.save_model(folder / "model.ubj")
        registry.register(name, folder, None, {})
    for version in ("1", "2"):
        made = control.promoting.promote(name, version, "champion", "ann", "better")
        assert isinstance(made, Promotion)
    return name


def removed(control: Control, model: str, version: str) -> Path:
    """The folder in which the bundle of a version was."""
    folder = control.registered.folder(control.store.links.digest(model, version) or "")
    assert folder is not None
    shutil.rmtree(folder)
    return folder


def test_what_is_rolled_back_to_is_built_again(control: Control, model: str) -> None:
    folder = removed(control, model, "1")
    assert control.promoting.rollback(model, "champion", "bob", "worse").to_version == "1"
    assert (folder / "manifest.json").is_file()


def test_what_is_promoted_is_built_again(control: Control, model: str) -> None:
    folder = removed(control, model, "1")
    made = control.promoting.promote(model, "1", "challenger", "bob", "again")
    assert isinstance(made, Promotion)
    assert (folder / "manifest.json").is_file()


def test_without_the_registry_nothing_is_moved_to_what_is_not_here(
    control: Control, model: str, free_port: int
) -> None:
    removed(control, model, "1")
    settings = load_settings(
        {"bundles.home": control.home.path, "registry.url": f"http://127.0.0.1:{free_port}"}
    )
    with Control(settings) as alone:
        with pytest.raises(Conflict, match=r"cannot go back to version 1: .* cannot be reached"):
            alone.promoting.rollback(model, "champion", "bob", "worse")
        with pytest.raises(RegistryUnavailable):
            alone.promoting.promote(model, "1", "challenger", "bob", "again")
    assert [one.to_version for one in control.store.ledger.history(model)] == ["1", "2"]
