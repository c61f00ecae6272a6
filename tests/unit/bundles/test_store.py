"""Opening a bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from modelway.bundles.store import open_bundle
from modelway.domain.errors import DigestMismatch, LoadFailed

GOLDEN = Path(__file__).parents[2] / "golden" / "format-1-rule"


def test_a_newer_format_is_said_before_its_digest_is_compared(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(GOLDEN, folder)
    manifest = folder / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(text.replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(LoadFailed, match="has bundle format 2"):
        open_bundle(folder)
    manifest.write_text("{")
    with pytest.raises(DigestMismatch):
        open_bundle(folder)
