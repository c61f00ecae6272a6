"""The locks: pinned, hashed, with no address or path, and licences that allow what we do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

LOCKS = Path(__file__).parents[2] / "locks"
PINNED = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*)(\[[a-z,-]+\])?==(?P<version>[\w.+!]+)( ; [^\\]+)? \\"
)
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
# Distributions that run as programs beside ours in development, and are imported by nothing here.
FORBIDDEN = re.compile(r"\b(A?GPL|GNU (Affero )?General Public)", re.IGNORECASE)


@pytest.mark.parametrize("lock", ["core", "sklearn", "dev", "tools"])
def test_every_line_is_a_pin_or_a_hash(lock: str) -> None:
    lines = (LOCKS / f"{lock}.txt").read_text().splitlines()
    assert lines
    for line in lines:
        assert PINNED.fullmatch(line) or HASH.fullmatch(line), line


@pytest.mark.parametrize("lock", ["core", "sklearn", "tools"])
def test_a_version_is_the_same_in_every_lock(lock: str) -> None:
    only_there = {"uv"}
    assert {pin for pin in pins(lock) if pin[0] not in only_there} <= set(pins("dev"))


def test_what_we_import_has_a_licence_that_allows_it() -> None:
    refused = {}
    for name, _ in set(pins("dev")):
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # of another platform
        metadata = found.metadata.json
        classifiers = [one for one in metadata.get("classifier", []) if one.startswith("License")]
        said = str(
            metadata.get("license_expression")
            or " | ".join(classifiers)
            or metadata.get("license", "")[:100]
        )
        if FORBIDDEN.search(said) and not re.search("LGPL|Lesser", said):
            refused[name] = said
    assert refused == {}


def pins(lock: str) -> Iterator[tuple[str, str]]:
    for line in (LOCKS / f"{lock}.txt").read_text().splitlines():
        if found := PINNED.fullmatch(line):
            yield found["name"], found["version"]
