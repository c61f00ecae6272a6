"""How much longer than what is promised a test waits.

The documents promise seconds of a machine that has nothing else to do. Tests run two at a time on
whatever machine there is, so each promise is given several times as long and says what it took;
with ``MODELWAY_TEST_PATIENCE=1``, as ``make soak`` sets it, it is held to the seconds themselves.
"""

from __future__ import annotations

import os

PATIENCE = float(os.environ.get("MODELWAY_TEST_PATIENCE", "5"))


def promised(seconds: float) -> float:
    """The seconds that a test allows for what is promised within so many."""
    return seconds * PATIENCE
