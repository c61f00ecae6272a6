"""Load on a running server: by wrk, cycling through distinct requests, and by threads that check.

wrk counts what is refused or breaks; a thread beside it sends rows whose answers are known, so that
answers given under load are held against the original too. A pass over all rows is made by many
threads at once, each with a connection of its own.
"""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from compared_models import ComparedModel
from fitted_models import Answers, Rows
from forms import Form

SCRIPT = Path(__file__).with_name("load.lua")
HOST = "127.0.0.1"
TIMEOUT_S = 60
TOLERANCE = 1e-5
"""Largest deviation of a value, relative to max(1, |value|): the one of the parity gate."""

SAMPLES_PER_S = 10
CHECKERS = 32


class LoadFailed(Exception):
    """wrk did not end as it should, or an answer is not what was expected."""


@dataclass(frozen=True)
class Load:
    """What wrk measured; ``refused`` are answers other than 2xx, ``broken`` are socket errors."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    longest_ms: float
    requests: int
    refused: int
    broken: int
    sampled: int = 0
    wrong: int = 0


@dataclass
class Checked:
    """How answers compare with the model's own; ``worst`` is the largest deviation of a value."""

    rows: int = 0
    wrong: int = 0
    worst: float = 0.0
    answer_bytes: int = 0
    first_fault: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, given: Answers, expected: Answers, body_bytes: int) -> None:
        """Count one answer."""
        wrong, worst = differences(given, expected)
        with self.lock:
            self.rows += len(expected)
            self.wrong += wrong
            self.worst = max(self.worst, worst)
            self.answer_bytes = max(self.answer_bytes, body_bytes)
            if wrong and not self.first_fault:
                self.first_fault = f"{given[:3]} instead of {expected[:3]}"


def differences(given: Answers, expected: Answers) -> tuple[int, float]:
    """How many rows are wrong, and the largest deviation of a value."""
    if given.shape != expected.shape:
        return len(expected), float("inf")
    if expected.dtype.kind != "f":
        return int(np.sum(given != expected)), 0.0
    off = np.abs(given - expected) / np.maximum(1.0, np.abs(expected))
    worst_of_row = off.reshape(len(off), -1).max(axis=1)
    return int(np.sum(~(worst_of_row <= TOLERANCE))), float(worst_of_row.max())


class Caller:
    """One kept connection to a server on this machine."""

    def __init__(self, port: int) -> None:
        """Not yet connected."""
        self._connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_S)

    def ask(self, form: Form, rows: Rows) -> tuple[Answers, int]:
        """The predictions for the rows, and the size of the answer's body.

        Raises:
            LoadFailed: the answer is not 2xx, or cannot be read.
            OSError, http.client.HTTPException: there is no answer.
        """
        headers = {"Content-Type": form.content_type, **form.headers(rows)}
        self._connection.request("POST", form.path, form.write(rows), headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status // 100 != 2:
            raise LoadFailed(f"{form.path} answered {answer.status}: {body[:500]!r}")
        found = {name.lower(): value for name, value in answer.headers.items()}
        try:
            return form.read(body, found), len(body)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise LoadFailed(f"{form.path} answered {body[:500]!r}: {error!r}") from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def check_all(port: int, form: Form, model: ComparedModel, rows_each: int, n_rows: int) -> Checked:
    """Ask the first ``n_rows`` of the model, by many connections at a time, and compare.

    Raises:
        LoadFailed: a request was refused, or its answer could not be read.
    """
    checked = Checked()
    starts = range(0, min(n_rows, len(model.rows)), rows_each)

    def part(places: Sequence[int]) -> None:
        caller = Caller(port)
        try:
            for place in places:
                cut = slice(place, place + rows_each)
                given, size = caller.ask(form, model.rows.iloc[cut])
                checked.add(given, model.expected[cut], size)
        except (OSError, http.client.HTTPException) as error:
            raise LoadFailed(f"no answer: {error!r}") from error
        finally:
            caller.close()

    with ThreadPoolExecutor(CHECKERS) as pool:
        list(pool.map(part, [starts[k::CHECKERS] for k in range(CHECKERS)]))
    return checked


def bodies(form: Form, model: ComparedModel, n_rows: int, port: int) -> Iterator[bytes]:
    """Distinct requests of ``n_rows`` rows; every row of the model is in one of them."""
    rows = model.rows
    if n_rows < len(rows):
        for start in range(0, len(rows) - n_rows + 1, n_rows):
            yield form.request(rows.iloc[start : start + n_rows], f"{HOST}:{port}")
        return
    for turn in range(2):
        turned = rows.iloc[np.roll(np.arange(len(rows)), turn * 17)]
        yield form.request(turned, f"{HOST}:{port}")


@contextmanager
def written(requests: Iterator[bytes]) -> Iterator[Path]:
    """The requests in a file as ``load.lua`` reads it."""
    with tempfile.NamedTemporaryFile("wb", suffix=".requests") as file:
        for request in requests:
            file.write(b"%d\n" % len(request) + request)
        file.flush()
        yield Path(file.name)


def pressed(port: int, requests: Path, connections: int, seconds: float) -> Load:
    """What wrk measures of the requests.

    Raises:
        LoadFailed: wrk is not there, or ends with an error.
    """
    with _wrk(port, requests, connections, seconds) as process:
        return _measured(process)


def pressed_in_turns(
    services: Sequence[tuple[int, Path]], connections: int, seconds: float, turn_s: float
) -> Sequence[Load]:
    """What wrk measures of each service, by port and requests, all of them in as many short turns.

    Each has a wrk of its own, of which one runs at a time: so whatever else takes the cores of the
    machine for longer than a turn takes them from all alike. Neither always comes first. Only
    the ratios of requests mean something; rates and times count the pauses. Raises as ``pressed``.
    """
    with ExitStack() as stack:
        pressing = []
        for port, requests in services:
            process = stack.enter_context(_wrk(port, requests, connections, seconds))
            process.send_signal(signal.SIGSTOP)
            pressing.append(process)
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            for process in (*pressing, *reversed(pressing)):
                process.send_signal(signal.SIGCONT)
                time.sleep(turn_s)
                process.send_signal(signal.SIGSTOP)
        for process in pressing:
            process.send_signal(signal.SIGCONT)
        return [_measured(process) for process in pressing]


@contextmanager
def _wrk(
    port: int, requests: Path, connections: int, seconds: float
) -> Iterator[subprocess.Popen[str]]:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise LoadFailed("wrk is not installed: apt-get install wrk")
    command = (
        *(
            wrk,
            f"-t{1 if connections < 8 else 2}",
            f"-c{connections}",
            f"-d{max(1, round(seconds))}",
        ),
        *("--timeout", f"{TIMEOUT_S}s", "-s", str(SCRIPT), f"http://{HOST}:{port}"),
        *("--", str(requests)),
    )
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _measured(process: subprocess.Popen[str]) -> Load:
    said, wrong = process.communicate()
    lines = [line for line in said.splitlines() if line.startswith("{")]
    if process.returncode or not lines:
        raise LoadFailed(f"wrk: {said[-500:]}{wrong[-500:]}")
    told = json.loads(lines[-1])
    return Load(
        requests_per_s=told["requests"] / (told["duration_us"] / 1e6),
        p50_ms=told["p50_us"] / 1e3,
        p99_ms=told["p99_us"] / 1e3,
        longest_ms=told["longest_us"] / 1e3,
        requests=told["requests"],
        refused=told["refused"],
        broken=told["broken"] + told["timeouts"],
    )


@contextmanager
def sampled(port: int, form: Form, model: ComparedModel) -> Iterator[Checked]:
    """Ask known rows a few times a second while the block runs, and compare."""
    checked, ended = Checked(), threading.Event()

    def ask() -> None:
        caller, place = Caller(port), 0
        while not ended.wait(1 / SAMPLES_PER_S):
            place = (place + 7_919) % len(model.rows)
            cut = slice(place, place + 1)
            try:
                given, size = caller.ask(form, model.rows.iloc[cut])
                checked.add(given, model.expected[cut], size)
            except (OSError, http.client.HTTPException, LoadFailed) as error:
                checked.rows, checked.wrong = checked.rows + 1, checked.wrong + 1
                checked.first_fault = checked.first_fault or repr(error)
                caller.close()
        caller.close()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield checked
    finally:
        ended.set()
        thread.join()
