"""What the comparison must show, each goal beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from peers import ALL
from peers.description import Kind
from samples import Figures

OURS = "modelway"
RIVALS = [peer.name for peer in ALL.values() if peer.kind in (Kind.PRODUCT, Kind.BY_HAND)]
PRODUCTS = [peer.name for peer in ALL.values() if peer.kind is Kind.PRODUCT]


@dataclass(frozen=True)
class Goal:
    """One claim; ``found`` is None where something it needs was not measured."""

    claim: str
    wanted: float
    found: float | None
    at_most: bool = False
    unit: str = "×"

    @property
    def met(self) -> bool | None:
        """Whether it holds; None where that is not known."""
        if self.found is None:
            return None
        return self.found <= self.wanted if self.at_most else self.found >= self.wanted


def goals(figures: Figures) -> Iterator[Goal]:
    """All goals, in the order in which they are asked for."""
    yield from _requests(figures)
    yield from _bodies(figures)
    start = figures.median("start_s", what="start", peer=OURS, model="iris")
    yield Goal("cold start of a compiled bundle to the first answer", 1, start, True, " s")
    memory = {"what": "memory", "peer": OURS, "model": "iris", "models": 100}
    found = figures.median("pss_mb", **memory)
    yield Goal("a hundred small models, two workers, all processes", 400, found, True, " MB")


def _requests(figures: Figures) -> Iterator[Goal]:
    def rate(peer: str, model: str, connections: int = 32) -> float | None:
        return _request(figures, "requests_per_s", peer, model, connections)

    ours = rate(OURS, "iris")
    yield Goal(
        "iris, 32 connections: requests/s of MLServer", 20, ratio(ours, rate("mlserver", "iris"))
    )
    yield Goal(
        "iris, 32 connections: share of httptools + uvloop answering a constant",
        0.35,
        ratio(ours, rate("limit-httptools", "iris")),
    )
    tails = [_request(figures, "p99_ms", peer, "iris", 32) for peer in RIVALS]
    yield Goal(
        "iris, 32 connections: p99, share of the best peer's",
        1 / 8,
        ratio(_request(figures, "p99_ms", OURS, "iris", 32), _least(tails)),
        at_most=True,
    )
    middles = [_request(figures, "p50_ms", peer, "iris", 1) for peer in PRODUCTS]
    yield Goal(
        "iris, 1 connection: p50, share of the best product's",
        1 / 10,
        ratio(_request(figures, "p50_ms", OURS, "iris", 1), _least(middles)),
        at_most=True,
    )
    yield Goal(
        "the model that does not compile, 32 connections: requests/s of MLServer",
        4,
        ratio(rate(OURS, "spline"), rate("mlserver", "spline")),
    )


def _bodies(figures: Figures) -> Iterator[Goal]:
    def rate(peer: str, model: str, form: str) -> float | None:
        case = {"what": "rows", "peer": peer, "model": model, "form": form, "rows": 10_000}
        return figures.median("rows_per_s", **case)

    for model in ("iris", "linear"):
        # MLServer's JSON is that of the Open Inference Protocol: one flat array for all rows.
        yield Goal(
            f"{model}, bodies of 10,000 rows: JSON of the same protocol, rows/s of MLServer",
            3,
            ratio(rate(OURS, model, "OIP JSON"), rate("mlserver", model, "json")),
        )
        native = rate(OURS, model, "json")
        yield Goal(
            f"{model}, bodies of 10,000 rows: our JSON of objects, rows/s of MLServer's arrays",
            3,
            ratio(native, rate("mlserver", model, "json")),
        )
        yield Goal(
            f"{model}, bodies of 10,000 rows: Arrow rows/s of our JSON",
            8,
            ratio(rate(OURS, model, "Arrow"), native),
        )


def _request(figures: Figures, field: str, peer: str, model: str, connections: int) -> float | None:
    keys: dict[str, Any] = {"peer": peer, "model": model, "connections": connections}
    return figures.median(field, what="requests", **keys)


def _least(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return min(known, default=None)


def ratio(above: float | None, below: float | None) -> float | None:
    """The quotient of two figures, where there are both."""
    return above / below if above is not None and below else None
