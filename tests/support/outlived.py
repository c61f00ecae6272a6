"""What outlived the kills of ``support.killing``: the ledger, the records, the callers' answers."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelway.backends.mlflow_rest import MlflowRegistry
from support.calling import Answered, Connection
from support.homes import Up, wait_until
from support.killing import ALIAS, MODEL, TURNS, Kill, Killing, Lived

LOST_S = 0.05
"""What a worker answered so shortly before it was killed may be lost."""

_LATE_S = 30.0
"""How long a caller waits at most for an answer that never comes."""
_SEALED_S = 30.0
_MOST_FAULTS = 20
_RECORDS = "records-of-the-soak.jsonl"


@dataclass
class Outlived:
    """What was found; ``faults`` are what must not be, a sentence each."""

    faults: list[str] = field(default_factory=list)
    answered: int = 0
    failed_in_flight: int = 0
    failed_without_up: int = 0
    refused_without_up: int = 0
    recorded: int = 0
    lost_of_the_last_50_ms: int = 0
    moves: Counter[str] = field(default_factory=Counter)


def outlived(killing: Killing, lived: Lived) -> Outlived:
    """What is there of all that happened; everything runs, and MLflow answers."""
    found = Outlived()
    _judge_ledger(found, lived, killing.history())
    shown = MlflowRegistry(killing.up.registry).model(MODEL).aliases.get(ALIAS)
    if shown != killing.history()[-1]["to_version"]:
        found.faults.append(f"MLflow's alias is {shown}, not what the ledger has")
    for connection in lived.callers.connections:
        _judge_failure(found, lived, connection)
    segments = killing.up.home / "records" / "segments"
    wait_until(lambda: len(list(segments.iterdir())) <= len(killing.up.workers()), _SEALED_S)
    _judge_records(found, lived, _recorded(killing.up))
    return found


def _judge_ledger(found: Outlived, lived: Lived, entered: list[Any]) -> None:
    if entered[: len(lived.before)] != lived.before:
        found.faults.append("the ledger's moves of before are not what they were")
    if [one["number"] for one in entered] != list(range(1, len(entered) + 1)):
        found.faults.append("the ledger's numbers have a gap")
    for one, before in zip(entered[1:], entered, strict=False):
        if one["from_version"] != before["to_version"]:
            found.faults.append(f"move {one['number']} does not begin where the one before ended")
    times = Counter(one["why"] for one in entered[len(lived.before) :])
    for move in lived.moves:
        n = times.pop(move.why, 0)
        if move.status is None:
            found.moves["nobody was told"] += 1
            is_right = n <= 1
        elif move.status == 200:
            found.moves["entered"] += 1
            is_right = n == 1
        else:
            found.moves[f"refused with {move.status}"] += 1
            is_right = n == 0
        if not is_right:
            found.faults.append(f"{move} is {n} times in the ledger")
    if times:
        found.faults.append(f"the ledger has moves that nobody asked for: {dict(times)}")


def _judge_failure(found: Outlived, lived: Lived, connection: Connection) -> None:
    """Only what was in flight on a worker that was killed may fail, and what came without up."""
    for answer in connection.answers:
        if answer.status != 200:
            if _without_up(lived, answer.at_s, answer.at_s):
                found.refused_without_up += 1
            else:
                found.faults.append(f"answered with {answer.status}: {answer.body[:200]!r}")
    if not connection.broke:
        return
    if _without_up(lived, connection.asked_s, connection.broke_s):
        found.failed_without_up += not connection.is_idle
    elif _killed_under(lived, connection):
        found.failed_in_flight += not connection.is_idle
    else:
        found.faults.append(f"a connection broke that was none of a kill: {connection.broke}")


def _without_up(lived: Lived, begun_s: float, ended_s: float) -> bool:
    return any(
        one.turn == "up" and begun_s <= one.back_s and ended_s >= one.at_s for one in lived.kills
    )


def _killed_under(lived: Lived, connection: Connection) -> Kill | None:
    """The kill of the worker at the other end of a connection."""
    for one in lived.kills:
        if connection.port in one.ports and one.at_s <= connection.broke_s < one.at_s + _LATE_S:
            return one
    return None


def _recorded(up: Up) -> Mapping[str, list[Any]]:
    """Every record by its id, as ``modelway record export`` writes them."""
    up.cli("record", "export", _RECORDS)
    recorded: dict[str, list[Any]] = {}
    with (up.folder / _RECORDS).open() as lines:
        for line in lines:
            one = json.loads(line)
            recorded.setdefault(one["prediction_id"], []).append(one)
    return recorded


def _judge_records(found: Outlived, lived: Lived, recorded: Mapping[str, list[Any]]) -> None:
    for connection, answer in _answers(lived):
        found.answered += 1
        said = json.loads(answer.body)
        id = said["prediction_id"]
        if answer.asked.id not in ("", id):
            found.faults.append(f"{answer.asked.id} was answered as {id}")
        its = recorded.get(id, [])
        if not its:
            kill = _killed_under(lived, connection) if connection.broke else None
            if kill is not None and answer.at_s > kill.at_s - LOST_S:
                found.lost_of_the_last_50_ms += 1
            else:
                found.faults.append(f"{id} is not recorded, answered at {answer.at_s:.3f}")
            continue
        found.recorded += 1
        if len(its) > 1 or not _is_same(its[0], answer, said):
            found.faults.append(f"{id} was answered with {said} and is recorded as {its}")


def _answers(lived: Lived) -> Iterator[tuple[Connection, Answered]]:
    for connection in lived.callers.connections:
        for answer in connection.answers:
            if answer.status == 200:
                yield connection, answer


def _is_same(record: Any, answer: Answered, said: Any) -> bool:
    outputs = record["outputs"]
    return (
        (record["version"], record["role"], record["status"]) == (said["version"], "live", "ok")
        and answer.header == said["version"]
        and record["inputs"] == json.loads(answer.asked.body)
        and outputs["prediction"] == said["prediction"]
        and outputs["probabilities"] == list(said["probabilities"].values())
    )


def figures(lived: Lived, found: Outlived, seed: int) -> dict[str, Any]:
    """What is kept of a run."""
    by_turn = {turn: [one for one in lived.kills if one.turn == turn] for turn in TURNS}
    return {
        "seed": seed,
        "kills": len(lived.kills),
        "recovery_s": {
            turn: {
                "kills": len(kills),
                "median": round(statistics.median(one.back_s - one.at_s for one in kills), 2),
                "max": round(max(one.back_s - one.at_s for one in kills), 2),
            }
            for turn, kills in by_turn.items()
            if kills
        },
        "most_starts_of_up": max((one.starts for one in lived.kills), default=0),
        "answered": found.answered,
        "failed_in_flight_on_a_killed_worker": found.failed_in_flight,
        "failed_while_up_was_down": found.failed_without_up,
        "refused_while_up_was_down": found.refused_without_up,
        "recorded": found.recorded,
        "lost_of_the_last_50_ms": found.lost_of_the_last_50_ms,
        "moves": dict(sorted(found.moves.items())),
        "faults": found.faults[:_MOST_FAULTS],
    }
