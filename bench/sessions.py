"""One server's turn: started, its answers checked, loaded, weighed, ended.

Whatever goes wrong is a sample too, with the end of the server's own log; nothing is dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from compared_models import MANY, ComparedModel
from forms import Form
from http_stack import free_port
from load import Caller, LoadFailed, bodies, check_all, differences, pressed, sampled, written
from peers.description import Kind, Peer, Site
from samples import Samples
from servers import Running, StartFailed, running
from turns import Phase, Plan, Turn, round_to

ROW_CONNECTIONS = 4
LONGEST_S = 30.0
CALLS_EACH = 16
"""New connections with a request to each of a hundred models, so that every worker has them all."""


def turn(plan: Plan, samples: Samples, peer: Peer, model: ComparedModel, round: int) -> None:
    """One server's turn with one model."""
    size = samples.latest("check", "answer_bytes", peer="modelway", model=model.name, form="json")
    site = Site(
        environments=plan.cache / "environments",
        folder=plan.cache / "sites" / peer.name,
        models={model.name: model},
        port=free_port(),
        workers=plan.workers,
        answer_bytes=size or 256,
    )
    this = Turn(plan, samples, peer, model, round, site)
    try:
        with running(peer.launch(site), site.folder, answers(this)) as server:
            this.add("start", start_s=round_to(server.start_s))
            usable = _checked(this, server)
            if Phase.REQUESTS in plan.phases and "json" in usable:
                _requests(this, server)
            this.add(
                "memory", models=1, pss_mb=round_to(server.pss_mb()), processes=server.processes()
            )
            if Phase.ROWS in plan.phases and this.is_checked and peer.kind is not Kind.BARE:
                _rows(this, server, usable)
    except StartFailed as error:
        this.add("failed", stage="start", reason=error.reason, log=error.log)


def answers(this: Turn) -> Callable[[], bool]:
    """Whether the server gives the right answer to the first row."""
    form = this.forms["json"]

    def right() -> bool:
        caller = Caller(this.site.port)
        try:
            given, _ = caller.ask(form, this.model.rows.head(1))
        except LoadFailed:
            return False
        finally:
            caller.close()
        return not this.is_checked or not differences(given, this.model.expected[:1])[0]

    return right


def _checked(this: Turn, server: Running) -> list[str]:
    """The forms that can be measured; in the first round after every row was asked in each."""
    names = list(this.forms)
    if not this.is_checked or Phase.CHECK not in this.plan.phases or this.round:
        return _known_good(this, names)
    good = []
    for name in names:
        begun = time.perf_counter()
        try:
            # One row a request where requests are measured; the other forms are for larger bodies.
            rows_each = 1 if name == "json" else 100
            found = check_all(
                this.site.port, this.forms[name], this.model, rows_each, this.plan.check_rows
            )
        except LoadFailed as error:
            this.add("failed", form=name, stage="check", reason=str(error), log=server.said())
            continue
        this.add(
            "check",
            form=name,
            checked_rows=found.rows,
            wrong=found.wrong,
            worst=found.worst,
            answer_bytes=found.answer_bytes,
            fault=found.first_fault,
            check_s=round_to(time.perf_counter() - begun),
        )
        if not found.wrong:
            good.append(name)
    return good


def _known_good(this: Turn, names: list[str]) -> list[str]:
    """The forms that no check of this run found at fault."""
    if not this.is_checked:
        return names
    key = {"peer": this.peer.name, "model": this.model.name}
    bad = {
        one["form"]
        for one in this.samples
        if one["run"] == this.samples.run
        and all(one.get(name) == value for name, value in key.items())
        and (one.get("stage") == "check" or (one["what"] == "check" and one["wrong"]))
    }
    return [name for name in names if name not in bad]


def _requests(this: Turn, server: Running) -> None:
    """Requests of one row, by connections."""
    form, port = this.forms["json"], this.site.port
    with written(bodies(form, this.model, 1, port)) as requests:
        pressed(port, requests, 8, min(2.0, this.plan.seconds))
        for connections in this.plan.connections:
            _measure(this, server, form, requests, "requests", connections, {})


def _rows(this: Turn, server: Running, usable: list[str]) -> None:
    """Rows by the size of the body and its form."""
    for name in usable:
        for n_rows in this.plan.body_rows:
            if n_rows > this.model.largest_body_rows:
                continue
            form, case = this.forms[name], {"form": name, "rows": n_rows}
            with written(bodies(form, this.model, n_rows, this.site.port)) as requests:
                _measure(this, server, form, requests, "rows", ROW_CONNECTIONS, case)


def _measure(
    this: Turn,
    server: Running,
    form: Form,
    requests: Path,
    what: str,
    connections: int,
    case: Mapping[str, object],
) -> None:
    """One wrk run, with known rows asked beside it where that does not change what is measured."""
    named: dict[str, object] = {**case, **({} if case else {"connections": connections})}
    port, seconds = this.site.port, this.plan.seconds
    try:
        if this.is_checked and connections >= 8:
            with sampled(port, form, this.model) as known:
                load = pressed(port, requests, connections, seconds)
            load = replace(load, sampled=known.rows, wrong=known.wrong)
        else:
            load = pressed(port, requests, connections, seconds)
        if not load.requests:
            # Not one answer in the time there was: give it as long as it may need.
            load = pressed(port, requests, connections, LONGEST_S)
    except LoadFailed as error:
        this.add("failed", **named, stage=what, reason=str(error), log=server.said())
        return
    n_rows = case.get("rows", 1)
    assert isinstance(n_rows, int)
    rounded = {
        name: round_to(value) if isinstance(value, float) else value
        for name, value in asdict(load).items()
    }
    this.add(what, **named, **rounded, rows_per_s=round_to(load.requests_per_s * n_rows))


def many(plan: Plan, samples: Samples, peer: Peer, models: Mapping[str, ComparedModel]) -> None:
    """Memory and start with a hundred models, every one of which every worker has answered with."""
    site = Site(
        environments=plan.cache / "environments",
        folder=plan.cache / "sites" / f"{peer.name}-many",
        models=models,
        port=free_port(),
        workers=plan.workers,
        answer_bytes=256,
    )
    first = next(iter(models.values()))
    this = Turn(plan, samples, peer, first, 0, site)
    try:
        with running(peer.launch(site), site.folder, answers(this)) as server:
            wrong = sum(_asked(this.peer, one, site.port) for one in models.values())
            samples.add(
                "memory",
                peer=peer.name,
                model="iris",
                models=MANY,
                pss_mb=round_to(server.pss_mb()),
                processes=server.processes(),
                start_s=round_to(server.start_s),
                wrong=wrong,
            )
    except (StartFailed, LoadFailed, OSError) as error:
        reason = {"stage": "many", "reason": str(error)}
        samples.add("failed", peer=peer.name, model="iris", models=MANY, **reason)


def _asked(peer: Peer, model: ComparedModel, port: int) -> int:
    """How many of some first rows, each asked over a connection of its own, are answered wrong."""
    form, wrong = peer.forms(model.name, model)["json"], 0
    for place in range(CALLS_EACH):
        caller = Caller(port)
        try:
            given, _ = caller.ask(form, model.rows.iloc[place : place + 1])
        finally:
            caller.close()
        wrong += differences(given, model.expected[place : place + 1])[0]
    return wrong
