from __future__ import annotations

import sys

import pytest

from modelway.composition.grpc_door import check_installed
from modelway.domain.errors import MissingExtra


def test_what_is_needed_is_installed_here() -> None:
    check_installed()


@pytest.mark.parametrize(
    ("module", "library"),
    [
        ("grpc", "grpcio"),
        ("google.protobuf", "protobuf"),
        ("grpc_health", "grpcio-health-checking"),
    ],
)
def test_a_library_that_is_missing_is_named(
    module: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=f"needs {library}, ") as missing:
        check_installed()
    assert "modelway[grpc]" in str(missing.value.hint)
