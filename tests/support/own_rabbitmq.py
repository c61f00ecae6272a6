"""A RabbitMQ broker of one test, which it may kill and start again."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pika
from pika.exceptions import AMQPError

from support.homes import free_port, wait_until
from support.live import absent

_PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's; what is in the path drops to a user who cannot write to the folder of a test."""

_READY_S = 120.0


class OwnRabbitmq:
    """A broker on free ports; it is not running until it is started."""

    def __init__(self, folder: Path, program: Path) -> None:
        self._folder = folder
        self._program = program
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}/%2f"
        (folder / "plugins").write_text("[].")
        (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self._port}\n")
        self._environment = {
            **os.environ,
            "HOME": str(folder),  # where Erlang keeps the secret of its nodes
            "RABBITMQ_NODENAME": f"test-{secrets.token_hex(4)}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "state"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_FLAGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / "said").open("ab") as said:
            self._process = subprocess.Popen(
                [self._program],
                env=self._environment,
                cwd=self._folder,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        wait_until(self._answers, _READY_S, (self._folder / "said").read_text)

    def kill(self) -> None:
        """Kill it, with all that it has started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "said").read_text()
        try:
            pika.BlockingConnection(pika.URLParameters(self.url)).close()
        except (AMQPError, OSError):
            return False
        return True


@contextlib.contextmanager
def own_rabbitmq() -> Iterator[OwnRabbitmq]:
    """A broker that is yet to be started; whether it runs or not in the end, nothing is left."""
    if not _PROGRAM.exists():
        absent(f"RabbitMQ's program ({_PROGRAM}) is not installed")
    folder = Path(tempfile.mkdtemp(prefix="modelway-rabbitmq-"))
    broker = OwnRabbitmq(folder, _PROGRAM)
    try:
        yield broker
    finally:
        broker.kill()
        shutil.rmtree(folder, ignore_errors=True)
