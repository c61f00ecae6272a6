"""Where the time of one request goes: each stage of the usual request, in one process.

``python bench/stages.py BUNDLE_FOLDER ROWS_PICKLE`` opens the bundle as a worker does and gives
its connection whole requests, with a transport that keeps nothing. Stages are timed alone, by the
thread's own clock around a hundred calls at a time: a profiler would cost more than what it
measures, and the wall's clock counts what else the machine does. The medians are written to
``bench/results/stages.json``. What the process spends on a request that comes over a real socket is
measured too: the rest is the event loop and the kernel.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from forms import json_form, records
from http_stack import free_port

from modelway.composition.service import Service
from modelway.composition.serving import ServeRequest, plan_of
from modelway.domain.identifiers import new_prediction_id
from modelway.domain.inference import InferenceRequest
from modelway.rest.connection import Connection
from modelway.rest.encoding import AnswerEncoder
from modelway.rest.http import Request, Response
from modelway.settings import load_settings
from modelway.telemetry.slot_folder import SlotFolder

RESULTS = Path(__file__).parent / "results" / "stages.json"
CALLS = 20_000
TOGETHER = 16
AT_ONCE = 100
TITLES = {
    "http": "read the HTTP request, write the response, metrics of HTTP",
    "decode": "decode the body into a typed table",
    "run": "ONNX Runtime",
    "encode": "encode the answer",
    "route": "route, headers, ids, deadline, metrics of the data plane",
}
WHOLE = {
    "alone": "one request alone in a turn of the event loop",
    "together": f"each of {TOGETHER} in one turn, answered by one call of the model",
    "served": "each over a real socket, 32 connections: event loop, kernel and a cold cache added",
}


_ANSWER = Response(b"x" * 265)


class Sink(asyncio.Transport):
    """A transport that keeps nothing of what is written."""

    def write(self, data: Any) -> None:
        """Nothing."""

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0


async def measured(bundle: Path, rows: pd.DataFrame) -> dict[str, float]:
    """Microseconds of each stage, and of the whole in the process."""
    form = json_form("/models/model/predict", lambda one: records(one)[0], lambda answer: answer)
    requests = [form.request(rows.iloc[k : k + 1], "127.0.0.1:8080") for k in range(2_000)]
    contents = [form.write(rows.iloc[k : k + 1]) for k in range(2_000)]
    with SlotFolder.make(2) as slots:
        source = ServeRequest(sources=(f"model={bundle}",))
        plan = plan_of(
            source,
            load_settings(environment={}),
            print,
            metrics_folder=str(slots.path),
            administration="",
        )
        service = Service(plan, slot=0)
        await service.open()
        model = await service.plane.opened("model")
        connection = Connection(service.server)
        connection.connection_made(Sink())
        tables = [model.decoder.decode(content).table for content in contents]
        inferred = [
            await service.plane.infer(InferenceRequest("model", table, new_prediction_id()), model)
            for table in tables[:AT_ONCE]
        ]
        found = {
            "decode": microseconds(model.decoder.decode, contents),
            "run": microseconds(model.execution.predict, tables),
            "encode": microseconds(AnswerEncoder(model.bundle).one, inferred),
        }
        end_of_turn = model.execution._gathering.flush
        alone = microseconds(lambda data: (connection.data_received(data), end_of_turn()), requests)
        connections = [Connection(service.server) for _ in range(TOGETHER)]
        for one in connections:
            one.connection_made(Sink())

        def turn(start: int) -> None:
            for k, one in enumerate(connections, start):
                one.data_received(requests[k % len(requests)])
            end_of_turn()

        starts = range(0, len(requests), TOGETHER)
        together = microseconds(turn, starts, CALLS // TOGETHER) / TOGETHER
        service.server.answer = _at_once
        found["http"] = microseconds(connection.data_received, requests)
    found["route"] = alone - sum(found.values())
    return {**found, "alone": alone, "together": together}


async def _at_once(_: Request) -> Response:
    """An answer that costs nothing, of the size of a prediction."""
    return _ANSWER


def microseconds(call: Callable[[Any], object], given: Sequence[Any], calls: int = CALLS) -> float:
    """The median processor time of a call, over so many calls with what is given in turn."""
    times = []
    for turn in range(calls // AT_ONCE):
        part = [given[(turn * AT_ONCE + k) % len(given)] for k in range(AT_ONCE)]
        started = time.thread_time()
        for one in part:
            call(one)
        times.append(time.thread_time() - started)
    return statistics.median(times) / AT_ONCE * 1e6


def over_the_wire(bundle: Path, rows: pd.DataFrame, seconds: float = 4) -> float:
    """Microseconds that a server spends, in it and in the kernel, on a request of 32 callers."""
    from load import pressed, written

    port = free_port()
    form = json_form("/models/model/predict", lambda one: records(one)[0], lambda answer: answer)
    command = (sys.executable, "-m", "modelway", "serve", f"model={bundle}", "--workers", "1")
    server = subprocess.Popen(
        (*command, "--port", str(port), "--admin-port", "0"), stdout=subprocess.DEVNULL
    )
    try:
        _wait_for(port)
        asked = (form.request(rows.iloc[k : k + 1], f"127.0.0.1:{port}") for k in range(2_000))
        with written(asked) as requests:
            pressed(port, requests, 32, 1)
            before = _spent_s(server.pid)
            load = pressed(port, requests, 32, seconds)
            return (_spent_s(server.pid) - before) / load.requests * 1e6
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int) -> None:
    from start import is_ready

    deadline = time.monotonic() + 30
    while not is_ready(f"http://127.0.0.1:{port}"):
        if time.monotonic() > deadline:
            raise SystemExit("the server did not become ready")
        time.sleep(0.05)


def _spent_s(pid: int) -> float:
    """Processor time of a process, of its own and of the kernel for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(bundle: Path, rows: pd.DataFrame, results: Path = RESULTS) -> None:
    """Measure all stages and write them."""
    found = asyncio.run(measured(bundle, rows))
    found["served"] = over_the_wire(bundle, rows)
    results.write_text(json.dumps({k: round(v, 2) for k, v in found.items()}, indent=1) + "\n")


def stage_lines(results: Path) -> Iterator[str]:
    """The section of the performance page; nothing where it was not measured."""
    if not results.exists():
        return
    found = json.loads(results.read_text())
    whole = found["alone"]
    yield from ("## Where the time of one request goes", "")
    yield f"iris, one row, in one process without a socket: {whole:.0f} µs of processor time:"
    yield from ("", "| | µs | share |", "|---|--:|--:|")
    for name, title in TITLES.items():
        yield f"| {title} | {found[name]:.1f} | {found[name] / whole:.0%} |"
    yield from ("", "The whole of it:", "", "| | µs |", "|---|--:|")
    for name, title in WHOLE.items():
        yield f"| {title} | {found[name]:.1f} |"
    yield ""


if __name__ == "__main__":
    measure(Path(sys.argv[1]), pd.read_pickle(sys.argv[2]))
