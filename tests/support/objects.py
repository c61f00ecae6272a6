"""A real S3 server (moto's, in an environment of its own) for the tests of a process.

It is reached by a way that a test can sever, and by the environment that S3's drivers read.
"""

from __future__ import annotations

import contextlib
import http.client
import secrets
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.clients import client_python
from support.homes import free_port
from support.live import READY_S
from support.severed import Relay

KINDS = ("file", pytest.param("s3", marks=pytest.mark.services))
"""What a fixture of places is parametrised over."""


@dataclass(frozen=True)
class ObjectStore:
    """A running server, behind a way that can be severed."""

    way: Relay

    @property
    def environment(self) -> dict[str, str]:
        """What drivers of S3 read."""
        return {
            "AWS_ENDPOINT_URL": self.way.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
        }

    def bucket(self) -> str:
        """The URL of a folder in a new bucket."""
        name = f"modelway-{secrets.token_hex(6)}"
        request = urllib.request.Request(f"{self.way.url}/{name}", method="PUT")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == http.client.OK
        return f"s3://{name}/kept"


@contextlib.contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """A server with no bucket, and its log in the folder."""
    port = free_port()
    command = [str(client_python("moto")), "-W", "ignore", "-m", "moto.server", "-p", str(port)]
    log = folder / "objects.log"
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
    try:
        deadline = time.monotonic() + READY_S
        while not _answers(port):
            if time.monotonic() > deadline or process.poll() is not None:
                pytest.fail(f"the S3 server did not come up:\n{log.read_text()}")
            time.sleep(0.1)
        with Relay(f"http://127.0.0.1:{port}") as way:
            yield ObjectStore(way)
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5).close()
        return True
    return False
