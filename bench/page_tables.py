"""Figures and tables as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence

Line = Sequence[str]


def spread(values: list[float]) -> str:
    """The median, and the lowest and highest where there are several."""
    if not values:
        return ""
    middle = statistics.median(values)
    if len(values) == 1:
        return f"{short(middle)}"
    return f"{short(middle)} ({short(min(values))}-{short(max(values))})"


def short(value: float) -> str:
    """A figure as short as it is still told apart from another."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(heads: Sequence[str], lines: Iterable[Line]) -> Iterator[str]:
    """A table, numbers to the right."""
    yield "| " + " | ".join(heads) + " |"
    yield "|---|" + "--:|" * (len(heads) - 1)
    for line in lines:
        yield "| " + " | ".join(line) + " |"
    yield ""
