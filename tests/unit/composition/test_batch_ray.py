from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from modelway import __version__
from modelway.batch.folder import PartsFolder
from modelway.batch.manifest import Manifest, Options, fingerprint
from modelway.bundles.store import open_bundle
from modelway.composition.batch_order import Order
from modelway.composition.batch_ray import check_reached
from modelway.domain.errors import InvalidInput
from modelway.settings import load_settings
from support.served import FLOWER, compiled_bundle, flower_graph


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Order:
    """What a worker on another node is told."""
    monkeypatch.chdir(tmp_path)
    bundle = open_bundle(compiled_bundle(tmp_path / "flower", flower_graph(), FLOWER))
    Path("rows.csv").write_text("sepal_length,petal width\n")
    options = Options("csv", None, None, 100, strict=False)
    inputs = (fingerprint(Path("rows.csv")),)
    manifest = Manifest(__version__, bundle.digest, options, inputs)
    parts = PartsFolder(Path("scored.csv"))
    with parts.held():
        parts.begin(manifest)
    inference = load_settings({}, folder=tmp_path, environment={}).inference
    return Order(
        *("flower", ("rows.csv",), "scored.csv", "scored.csv", manifest, None),
        *(0, inference, False, "run"),
    )


def test_a_node_that_sees_all_of_it_takes_part(order: Order, tmp_path: Path) -> None:
    check_reached(order, str(tmp_path))


@pytest.mark.parametrize("gone", ["rows.csv", "flower/manifest.json", "scored.csv.parts"])
def test_a_node_that_does_not_see_a_file_is_refused(
    order: Order, tmp_path: Path, gone: str
) -> None:
    (tmp_path / gone).rename(tmp_path / "elsewhere")
    with pytest.raises(InvalidInput, match="cannot do its part") as refused:
        check_reached(order, str(tmp_path))
    assert "under the same paths" in (refused.value.hint or "")


def test_a_node_of_another_folder_bundle_or_version_is_refused(
    order: Order, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        check_reached(order, str(tmp_path / "not-mounted"))
    for changed, said in (({"model": "sha256:00"}, "another bundle"), ({"made_by": "0"}, "folder")):
        other = msgspec.structs.replace(order.manifest, **changed)
        with pytest.raises(InvalidInput, match=said):
            check_reached(msgspec.structs.replace(order, manifest=other), str(tmp_path))
