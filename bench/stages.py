"""Where the time of one request goes: each stage of the usual request, in one process.

``python bench/stages.py BUNDLE_FOLDER ROWS_PICKLE`` opens the bundle as a worker does and gives
its connections whole requests, with a transport that keeps nothing: one in a turn of the event
loop, and several. Stages are timed alone, and the rest is what the whole takes beyond them. Times
are the thread's own, around a hundred turns: a profiler would cost more than what it measures, and
the wall's clock counts what else the machine does. The medians are written to
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
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from forms import json_form, records
from http_stack import free_port

from modelway.composition.service import Service
from modelway.composition.serving import ServeRequest, plan_of
from modelway.composition.worker import loop_factory
from modelway.domain.identifiers import new_prediction_id
from modelway.domain.inference import InferenceRequest
from modelway.domain.tables import Table
from modelway.rest.connection import Connection
from modelway.rest.encoding import AnswerEncoder
from modelway.rest.http import Response
from modelway.rest.together import Asked
from modelway.settings import load_settings
from modelway.telemetry.slot_folder import SlotFolder

RESULTS = Path(__file__).parent / "results" / "stages.json"
CALLS = 20_000
TOGETHER = 16
AT_ONCE = 100
TITLES = {
    "http": "read the HTTP request, write the response, metrics of HTTP",
    "decode": "decode the body into a typed row",
    "run": "ONNX Runtime, checks of what it gives, merging and cutting",
    "encode": "encode the answer",
    "rest": "calls, ids, the router, observers and metrics of the data plane",
}


class Sink(asyncio.Transport):
    """A transport that keeps nothing of what is written."""

    def write(self, data: Any) -> None:
        """Nothing."""

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0


async def measured(bundle: Path, rows: pd.DataFrame, together: int) -> dict[str, float]:
    """Microseconds a request of each stage, and of the whole, with so many in a turn."""
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
        connections = [Connection(service.server) for _ in range(together)]
        for one in connections:
            one.connection_made(Sink())

        def turn(start: int) -> None:
            for k, one in enumerate(connections, start):
                one.data_received(requests[k % len(requests)])

        def given_nothing(asked: Sequence[Asked]) -> None:
            for asker, _, body in asked:
                asker.give("x" * 36, _ANSWER, len(body))

        starts = range(0, len(requests) - together, together)
        encode = AnswerEncoder(model.bundle).each
        table = model.decoder.decode(contents[0]).table
        asked = [InferenceRequest("model", table, new_prediction_id())] * together
        (named, *_) = service.plane.infer_together(asked[:1], model)

        def decoded(start: int) -> list[Table]:
            part = contents[start : start + together]
            return [model.decoder.decode(content).table for content in part]

        def run(start: int) -> Sequence[Any]:
            return model.execution.together(decoded(start))

        def encoded(start: int) -> None:
            encode([replace(named, outputs=outputs) for outputs in run(start)])

        # Each is measured with those before it: what one makes anew the next would find made.
        so_far = [await microseconds(call, starts, together) for call in (decoded, run, encoded)]
        copied = await microseconds(lambda _: [replace(named) for _ in asked], starts, together)
        so_far[2] -= copied
        steps = zip(("decode", "run", "encode"), so_far, [0.0, *so_far], strict=False)
        found = {name: until - before for name, until, before in steps}
        whole = await microseconds(turn, starts, together, turns=True)
        for head in service.server.known_heads.by_bytes.values():
            head.notes.together = given_nothing
        found["http"] = await microseconds(turn, starts, together, turns=True)
    return {**found, "rest": whole - sum(found.values()), "whole": whole}


_ANSWER = Response(b"x" * 265)


async def microseconds(
    call: Callable[[Any], object], given: Sequence[Any], each: int = 1, *, turns: bool = False
) -> float:
    """The median processor time of a call by what is given in turn, for each of so many requests.

    Where ``turns``, each call has a turn of the event loop, of which the loop's own part is left
    out.
    """
    took = await _median_s(call, given, turns=turns, calls=CALLS // each)
    if turns:
        took -= await _median_s(lambda _: None, given, turns=True, calls=CALLS // each)
    return took / each * 1e6


async def _median_s(
    call: Callable[[Any], object], given: Sequence[Any], *, turns: bool, calls: int
) -> float:
    times = []
    for start in range(0, max(calls, 10 * AT_ONCE), AT_ONCE):
        part = [given[(start + k) % len(given)] for k in range(AT_ONCE)]
        started = time.thread_time()
        for one in part:
            call(one)
            if turns:
                await asyncio.sleep(0)
        times.append(time.thread_time() - started)
    return statistics.median(times) / AT_ONCE


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
    found: dict[str, object] = {}
    for name, together in (("alone", 1), ("together", TOGETHER)):
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            stages = runner.run(measured(bundle, rows, together))
        found[name] = {stage: round(value, 2) for stage, value in stages.items()}
    found["served"] = round(over_the_wire(bundle, rows), 2)
    results.write_text(json.dumps(found, indent=1) + "\n")


def stage_lines(results: Path) -> Iterator[str]:
    """The section of the performance page; nothing where it was not measured."""
    if not results.exists():
        return
    found = json.loads(results.read_text())
    alone, together = found["alone"], found["together"]
    yield from ("## Where the time of one request goes", "")
    yield "Microseconds of processor time a request: iris, one row, in one process, no socket;"
    yield f"alone in a turn of the event loop, and with {TOGETHER} in one turn."
    yield from ("", f"|  | alone | of {TOGETHER} |", "|---|--:|--:|")
    for name, title in TITLES.items():
        yield f"| {title} | {alone[name]:.1f} | {together[name]:.1f} |"
    yield f"| the whole | {alone['whole']:.1f} | {together['whole']:.1f} |"
    yield ""
    yield f"Over a real socket, with 32 connections and one worker, it is {found['served']:.0f} µs:"
    yield from ("event loop and kernel are in it, and caches that others use too.", "")


if __name__ == "__main__":
    measure(Path(sys.argv[1]), pd.read_pickle(sys.argv[2]))
