"""The way back: which versions an alias came from, without the detours that were rolled back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelway.registry.promotions import Kind, Promotion


def path_back(history: Sequence[Promotion]) -> Iterator[str]:
    """The versions before the present one, the nearest first.

    ``history`` is every move of one alias, the oldest first. A version that was rolled back from is
    no longer on the way, and a time without a version is passed over.
    """
    way: list[str | None] = []
    for move in history:
        if not way and move.from_version is not None:
            way.append(move.from_version)
        if move.kind is Kind.ROLLED_BACK and move.to_version in way:
            while way[-1] != move.to_version:
                way.pop()
        elif not way or way[-1] != move.to_version:
            way.append(move.to_version)
    present = way[-1] if way else None
    passed = {present}
    for version in reversed(way[:-1]):
        if version is not None and version not in passed:
            passed.add(version)
            yield version
