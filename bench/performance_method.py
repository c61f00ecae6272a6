"""The end of the performance page: beside the first figures, how it was measured, faults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from page_tables import table
from peers import ALL
from peers.description import Peer
from performance_goals import ratio
from samples import Figures

FAR_UNDER = 0.75
"""A figure under this share of the first measurement's is explained."""


def first(figures: Figures) -> Iterator[str]:
    """The peers beside their first measurement."""
    yield from ("## Beside the first measurement", "")
    yield from (
        "The peers were measured once before anything of this was built. A figure more than 25 %",
        "worse than it was then is explained.",
        "",
    )
    constant, bare = (
        _now_and_then(figures, ALL[name]) for name in ("limit-httptools", "bare-httptools")
    )
    if constant and bare:
        yield from (
            "The machine is another one: a loop in C that touches little memory reaches",
            f"{constant:.2f} of what it did then, the same loop with the model in Python",
            f"{bare:.2f} (both at 32 connections). So a figure at that share is as good as it was;",
            f"the table says *machine* where one is within 25 % of {bare:.2f}.",
            "",
        )
    lines = []
    for peer in ALL.values():
        for name, then in peer.first.items():
            if name == "start":
                now = figures.median("start_s", what="start", peer=peer.name, model="iris")
                found = ratio(then, now)
            else:
                keys = {"peer": peer.name, "model": "iris", "connections": int(name)}
                now = figures.median("requests_per_s", what="requests", **keys)
                found = ratio(now, then)
            if now is None or found is None:
                continue
            case = "cold start, s" if name == "start" else f"requests/s, {name} connections"
            why = ""
            if found < FAR_UNDER:
                machine = bare is not None and found >= bare * FAR_UNDER
                why = peer.explanation or ("machine" if machine else "not yet explained")
            lines.append((peer.title, case, f"{then:,}", f"{now:,.4g}", f"{found:.2f}", why))
    yield from table(("", "", "then", "now", "as good as then", ""), lines)


def _now_and_then(figures: Figures, peer: Peer) -> float | None:
    """Requests/s at 32 connections, as a share of the first measurement's."""
    keys = {"peer": peer.name, "model": "iris", "connections": 32}
    now = figures.median("requests_per_s", what="requests", **keys)
    return ratio(now, peer.first.get("32"))


def limits(figures: Figures) -> Iterator[str]:
    """What stands in the way of more, from the figures themselves."""
    keys = {"what": "requests", "model": "iris", "connections": 32}
    ours, bare, constant = (
        figures.median("requests_per_s", peer=name, **keys)
        for name in ("modelway", "bare-httptools", "limit-httptools")
    )
    if not (ours and bare and constant):
        return
    yield from (
        "## What stands in the way of more",
        "",
        "A server by hand that checks nothing, counts nothing and serves one model reaches "
        f"{bare / constant:.2f} of the constant's requests/s with the same graph; Modelway",
        f"{ours / constant:.2f}, which is {ours / bare:.2f} of the server by hand. A constant is "
        "answered in C and touches almost",
        "nothing. What a prediction has beyond it:",
        "",
        "- *The model.* A row of iris is led through 300 trees; a walk through nodes is hard to",
        "  guess for the processor and evicts the interpreter from its first caches, as the",
        "  interpreter evicts the trees.",
        "- *Python*: reading the row, writing the answer, its ids, the observers, the metrics.",
        "",
        "Both cost less for many at once. So the usual requests that one turn of the event loop",
        "brings are answered together from bytes to bytes, and many rows of small trees take",
        "[tables of bits](../decisions/0008-leaf-tables.md) instead of nodes.",
        "",
        *_tails(figures),
    )


def _tails(figures: Figures) -> Iterator[str]:
    """The slowest answers beside those of a constant: what the scheduler has to do with them."""
    keys = {"what": "requests", "model": "iris", "connections": 32}
    ours, constant = (
        figures.median("p99_ms", peer=name, **keys) for name in ("modelway", "limit-httptools")
    )
    if ours and constant:
        yield from (
            "The load is made on the same cores. Whoever answers as fast as it is asked shares",
            "them with who asks, in slices of the scheduler's, and that is what a p99 of a few",
            f"milliseconds is: {ours:.2g} ms of Modelway, {constant:.2g} ms of the constant.",
            "",
        )


def method(content: dict[str, Any], figures: Figures) -> Iterator[str]:
    """How it was measured, and what was checked."""
    yield from (
        "## How it was measured",
        "",
        "`python bench/compare.py` installs every peer into an environment of its own, with pinned",
        "requirements (`bench/peers/*/requirements.txt`), fits the five models, starts one server",
        "at a time, and asks it all 10,000 distinct rows before anything is timed. wrk then cycles",
        "through these rows and counts what is not 2xx; while it does, rows with known answers are",
        "sent beside it. Nobody caches answers. Modelway gives labels and probabilities, the",
        "others the label only, which is less work. Bodies in other forms than JSON are ours",
        "alone; peers are asked as their own documentation asks them. Limits read our requests",
        "and look at nothing in them.",
        "",
    )
    lines = []
    for peer in ALL.values():
        checks = [
            f for key, f in figures.by_key.items() if key[0] == "check" and key[1] == peer.name
        ]
        rows = sum(sum(one["checked_rows"]) for one in checks)
        wrong = sum(sum(one["wrong"]) for one in checks)
        worst = max((max(one["worst"]) for one in checks), default=0.0)
        checked = f"{rows:,} rows, {wrong} wrong, off by {worst:.0e} at most" if checks else ""
        version = content["versions"].get(peer.name, "")
        lines.append((peer.title, version, peer.how, checked))
    yield from table(("", "version", "started as", "checked"), lines)
    runs = sorted({one["run"] for one in content["figures"]})
    if len(runs) > 1:
        yield from (f"The figures come from {len(runs)} runs: {', '.join(runs)}.", "")


def failures(content: dict[str, Any]) -> Iterator[str]:
    """What failed, so that nothing is missing silently."""
    failed = [one for one in content["figures"] if one["what"] == "failed"]
    # What was measured since did not fail.
    failed = [
        one for one in failed if not any(_is_later(other, one) for other in content["figures"])
    ]
    unclean = [
        one
        for one in content["figures"]
        if any(sum(one.get(fault, [0])) for fault in ("refused", "broken", "wrong"))
    ]
    if not failed and not unclean:
        return
    yield from ("## What failed", "")
    for one in failed:
        reason = str(one["reason"][0]).strip().replace("\n", " ")[:300]
        yield f"- {_case(one)}, {one['stage'][0]}: `{reason}`"
    for one in unclean:
        counts = ", ".join(
            f"{sum(one[fault])} {fault}"
            for fault in ("refused", "broken", "wrong")
            if sum(one.get(fault, [0]))
        )
        yield f"- {_case(one)}: {counts} of {sum(one.get('requests', [0])):,}"
    yield ""


def _is_later(other: dict[str, Any], failed: dict[str, Any]) -> bool:
    """Whether a server was measured with a model after it had failed with it."""
    keys = ("peer", "model", "form", "connections", "rows", "models")
    same = all(other.get(key) == failed.get(key) for key in keys)
    return same and other["what"] == failed["stage"][0] and other["run"] > failed["run"]


def _case(figure: dict[str, Any]) -> str:
    words = [ALL[figure["peer"]].title, figure.get("model", ""), figure["what"]]
    words += [f"{figure[key]} {key}" for key in ("connections", "rows", "models") if key in figure]
    return ", ".join(filter(None, [*words, figure.get("form", "")]))
