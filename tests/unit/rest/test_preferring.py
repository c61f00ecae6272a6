"""What of a ``Prefer`` header is understood."""

from __future__ import annotations

import pytest

from modelway.rest.preferring import applied, patience_s


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (b"respond-async", 0),
        (b"respond-async, wait=10", 10),
        (b"wait=10,respond-async", 10),
        (b'RESPOND-ASYNC , Wait = "7"', 7),
        (b"respond-async; fast=yes, wait=3; slow", 3),
        (b'note="a, wait=9 \\", b", respond-async', 0),
        (b"respond-async, wait=5, wait=8", 5),
        (b"respond-async, wait=soon", 0),
        (b"respond-async, wait=-1", 0),
        (b"respond-async, wait=9999999999", 0),
        (b'respond-async, note="open', 0),
        (b"return=minimal", None),
        (b"wait=10", None),
        (b'note="respond-async"', None),
        (b"respond-asynchronously", None),
        (b"", None),
        (b",,;=,", None),
        (b"respond-async, " + b"x" * 2000, None),
    ],
)
def test_what_is_understood(prefer: bytes, seconds: int | None) -> None:
    assert patience_s(prefer) == seconds


def test_what_was_done_is_a_preference_again() -> None:
    for seconds in (0, 3):
        assert patience_s(applied(seconds)) == seconds
