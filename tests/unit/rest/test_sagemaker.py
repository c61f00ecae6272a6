"""Where a bundle lies that SageMaker names, and how batch transform may ask."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from modelway.domain.errors import InvalidInput
from modelway.rest.http import Request
from modelway.rest.sagemaker import bundle_folder, routes
from modelway.settings import MEBIBYTE, RestSettings


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with bundles ``a`` and ``deep/b/inner``; beside it a bundle that is not in it."""
    for name in ("models/a", "models/deep/b/inner", "outside", "models/two/x", "models/two/y"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
    (tmp_path / "models" / "file").write_text("x")
    (tmp_path / "models" / "way_out").symlink_to(tmp_path / "outside")
    (tmp_path / "models" / "back").symlink_to(tmp_path / "models" / "a")
    (tmp_path / "models" / "hidden").mkdir()
    (tmp_path / "models" / "hidden" / "way_out").symlink_to(tmp_path / "outside")
    return tmp_path / "models"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("a", "a"),
        ("./a/", "a"),
        ("deep/../a", "a"),
        ("back", "a"),
        ("deep/b/inner", "deep/b/inner"),
        ("deep/b", "deep/b/inner"),
    ],
)
def test_a_bundle_is_found_inside(models: Path, url: str, found: str) -> None:
    assert bundle_folder(models, url) == (models / found).resolve()
    assert bundle_folder(models, str(models / url)) == (models / found).resolve()


def test_the_folder_itself_may_be_a_link(models: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(models)
    assert bundle_folder(link, str(link / "a")) == (models / "a").resolve()


@pytest.mark.parametrize(
    "url",
    [
        "../outside",
        "way_out",
        "hidden",
        "hidden/way_out",
        "/etc",
        "/",
        "..",
        "",
        ".",
        "file",
        "nothing",
        "deep",
        "two",
        "a/manifest.json",
        "a\0",
        "x" * 5000,
        "~",
        "file:///etc",
        "s3://bucket/model.tar.gz",
        "http://127.0.0.1/model",
    ],
)
def test_nothing_else_is(models: Path, url: str) -> None:
    with pytest.raises(InvalidInput):
        bundle_folder(models, url)


@pytest.mark.parametrize(("body_bytes", "payload"), [(64 * MEBIBYTE, 6), (MEBIBYTE, 1), (1024, 1)])
def test_batch_transform_is_told_what_is_taken(body_bytes: int, payload: int) -> None:
    ((path, route),) = routes(RestSettings(max_body_bytes=body_bytes))
    request = Request("r", "GET", path, headers={})
    said = json.loads(asyncio.run(_asked(route, request)))
    assert path == "/execution-parameters"
    assert said == {
        "MaxConcurrentTransforms": 8,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": payload,
    }
    # The platform's own bound on their product.
    assert said["MaxConcurrentTransforms"] * said["MaxPayloadInMB"] <= 100


async def _asked(route: object, request: Request) -> bytes:
    answer = route.answers["GET"]  # type: ignore[attr-defined] # a Route
    return (await answer(request)).body  # type: ignore[no-any-return]
