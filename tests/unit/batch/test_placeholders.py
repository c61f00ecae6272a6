"""``{due}`` in the words of a command."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from modelway.batch.placeholders import filled
from modelway.domain.errors import InvalidInput

DUE = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("scored-{due:%Y-%m-%d}.csv", "scored-2026-10-25.csv"),
        ("{due:%H:%M}", "02:30"),
        ("{due:100%%}", "100%"),
        ("{due}.csv", "2026-10-25T0230+0200.csv"),
        ("{{due}}", "{due}"),
        ("a b", "a b"),
        ("", ""),
    ],
)
def test_a_placeholder_stands_for_the_time(word: str, expected: str) -> None:
    assert filled([word], DUE) == (expected,)


def test_an_hour_that_comes_twice_has_two_names() -> None:
    assert filled(["{due}"], DUE) != filled(["{due}"], DUE.replace(fold=1))


@pytest.mark.parametrize(
    "word", ["{}", "{now}", "{due.year}", "{due!r}", "{due", "due}", "{due:{x}}", "{0}"]
)
def test_another_placeholder_is_refused(word: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(repr(word))):
        filled([word], DUE)


@pytest.mark.parametrize("form", ["%Q", "%b", "%", "%-d", "%f"])
def test_a_directive_that_is_not_the_same_everywhere_is_refused(form: str) -> None:
    with pytest.raises(InvalidInput, match="is not taken"):
        filled([f"{{due:{form}}}"], DUE)
