"""Asking a real server: what it is asked, what it answers, and what to do where it cannot run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TWINS = Path(__file__).parents[1] / "twins"
READY_S = 60.0
MODELWAY: tuple[str, ...] = (sys.executable, "-m", "modelway")

REQUIRED = os.environ.get("MODELWAY_REQUIRE_SERVICES") == "1"


def absent(reason: str) -> None:
    """Skip the test for what this machine lacks, or fail it where nothing may be lacking."""
    if REQUIRED:
        pytest.fail(f"{reason}, and MODELWAY_REQUIRE_SERVICES=1")
    pytest.skip(reason)


def real_data() -> Path:
    """The folder of the real data sets; skips or fails the test where there is none."""
    folder = Path(os.environ.get("MODELWAY_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_absolute():
        folder = ROOT / folder
    if not folder.is_dir():
        absent(f"no real data at {folder} (MODELWAY_TEST_DATA)")
    return folder


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> object:
        """The body, read as JSON."""
        return json.loads(self.body)


Ask = Callable[..., Answer]
"""``ask(path, method=None, body=None, payload=None, headers=None)``: the answer to one request."""


@dataclass(frozen=True)
class Service:
    """A running ``modelway serve`` and how to ask it."""

    url: str
    process: subprocess.Popen[str]
    log: Path

    def ask(
        self,
        path: str,
        *,
        json: object = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        method: str | None = None,
    ) -> Answer:
        """The answer to one request, whatever its status."""
        return ask(self.url + path, payload=json, body=body, headers=headers, method=method)


def ask(
    url: str,
    *,
    payload: object = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    method: str | None = None,
) -> Answer:
    """The answer to one HTTP request: POST where there is a body, else GET."""
    sent = dict(headers or {})
    if payload is not None:
        body = json.dumps(payload).encode()
        sent.setdefault("content-type", "application/json")
    request = urllib.request.Request(url, data=body, headers=sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            found = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, found, response.read())
    except urllib.error.HTTPError as error:
        with error:
            found = {name.lower(): value for name, value in error.headers.items()}
            return Answer(error.code, found, error.read())


def modelway(
    *arguments: str | Path, folder: Path | None = None, exit_code: int = 0
) -> subprocess.CompletedProcess[str]:
    """One finished ``modelway`` command; fails the test where it ends otherwise than expected."""
    done = subprocess.run(
        [*MODELWAY, *(str(word) for word in arguments)],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=240,
    )
    if done.returncode != exit_code:
        pytest.fail(
            f"modelway {arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done


Serve = Callable[..., Service]


def wait_until_ready(service: Service, ready_s: float = READY_S) -> None:
    """Wait for /health/ready; fails with the server's own words if it ends or takes too long."""
    deadline = time.monotonic() + ready_s
    while time.monotonic() < deadline:
        if service.process.poll() is not None:
            break
        try:
            if service.ask("/health/ready").status == 200:
                return
        except OSError:
            pass
        time.sleep(0.02)
    pytest.fail(f"the server did not become ready:\n{service.log.read_text()}")
