"""The way back of an alias, whatever happened to it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from modelway.registry.path_back import path_back
from modelway.registry.promotions import Kind, Promotion

AT = datetime(2026, 1, 1, tzinfo=UTC)


def moves(*to: str, first: str | None = None) -> list[Promotion]:
    """Moves: ``3`` is a promotion to version 3, ``<3`` a roll-back, ``~3`` and ``~`` noticed."""
    made: list[Promotion] = []
    present = first
    for number, word in enumerate(to, 1):
        kind = {"<": Kind.ROLLED_BACK, "~": Kind.NOTICED}.get(word[0], Kind.PROMOTED)
        version = word.lstrip("<~") or None
        made.append(Promotion("loan", "champion", number, present, version, kind, "a", "b", AT))
        present = version
    return made


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([], []),
        (["1"], []),
        (["1", "2"], ["1"]),
        (["1", "2", "3"], ["2", "1"]),
        (["1", "2", "3", "<2"], ["1"]),
        (["1", "2", "3", "<2", "<1"], []),
        (["1", "2", "3", "<2", "4"], ["2", "1"]),
        (["1", "2", "3", "<2", "3"], ["2", "1"]),
        (["1", "2", "1"], ["2"]),
        (["1", "2", "1", "<2"], ["1"]),
        (["1", "2", "2"], ["1"]),
        (["1", "2", "~"], ["2", "1"]),
        (["1", "2", "~", "<2"], ["1"]),
        (["1", "~", "2"], ["1"]),
        (["1", "~2", "3"], ["2", "1"]),
        (["1", "2", "~1"], ["2"]),
        (["1", "2", "<9"], ["2", "1"]),
    ],
)
def test_the_way_back_has_no_detours(history: list[str], expected: list[str]) -> None:
    assert list(path_back(moves(*history))) == expected


def test_what_was_there_before_the_first_move_is_on_the_way() -> None:
    assert list(path_back(moves("2", first="1"))) == ["1"]
