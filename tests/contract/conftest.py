"""What several files of this folder share: control stores on every database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelway.backends.sql.store import Store, open_store
from modelway.backends.sql.tables import METADATA
from support.stores import KINDS, empty_database, rows_of


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which database it is on."""
    return str(request.param)


@pytest.fixture(scope="module")
def module_url(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with tables, for the tests of one module."""
    with empty_database(kind, tmp_path_factory.mktemp("store")) as url:
        open_store(url).close()
        yield url


@pytest.fixture(scope="module")
def module_store(module_url: str) -> Iterator[Store]:
    """The store in it; whatever a test has left may be there."""
    with open_store(module_url) as opened:
        yield opened


@pytest.fixture
def url(module_url: str) -> str:
    """The URL of a store in which nothing is."""
    kept = [one.name for one in METADATA.sorted_tables if one.name != "modelway_counters"]
    rows_of(module_url, *(f"DELETE FROM {name}" for name in kept))
    return module_url


@pytest.fixture
def store(url: str, module_store: Store) -> Store:
    """The store at this URL."""
    return module_store


@pytest.fixture
def empty(kind: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables."""
    with empty_database(kind, tmp_path) as url:
        yield url
