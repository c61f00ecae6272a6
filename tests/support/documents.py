"""The documents as a reader follows them: the commands and the answers that they show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from support.live import ROOT

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def documents() -> list[Path]:
    """What stands at the top, everything under docs, and the examples' own words."""
    folders = (ROOT / "docs").rglob("*.md"), (ROOT / "examples").glob("*/*.md")
    return [*sorted(ROOT.glob("*.md")), *(path for found in folders for path in sorted(found))]


def blocks(path: Path) -> Iterator[tuple[str, str]]:
    """Language ("" for what is typed into a shell) and text of each fenced block, in order."""
    yield from ((found[1], found[2]) for found in _FENCE.finditer(path.read_text()))


def commands(text: str) -> list[str]:
    """The commands of a shell block; a line that ends in a backslash, or leaves a quote open, goes
    on in the next one.
    """
    found: list[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        if found and found[-1].count("'") % 2:
            found[-1] += "\n" + line
        elif line.strip():
            found.append(line.split("  # ")[0].strip())
    return found
