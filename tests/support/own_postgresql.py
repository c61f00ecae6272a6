"""A PostgreSQL server of one test, which it may stop and start again."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.homes import free_port
from support.live import absent

_INSTALLED = Path("/usr/lib/postgresql")
_USER = "postgres"
"""Who runs the server where the tests are root's, which it refuses to be."""


class OwnPostgresql:
    """A server on a free port, with one database; it is not running until it is started."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder = folder
        self._programs = programs
        self._port = free_port()
        is_root = os.geteuid() == 0
        self._as: dict[str, Any] = {"user": _USER, "group": _USER} if is_root else {}
        self.url = f"postgresql://{_USER}@127.0.0.1:{self._port}/{_USER}"
        words = ("-D", str(folder / "state"), "-U", _USER, "-A", "trust", "--no-sync")
        self._run("initdb", *words)

    def start(self, fsync: str = "off") -> None:
        """Start it, and wait until it answers; ``fsync`` is whether it waits for the disk."""
        address = f"-p {self._port} -c listen_addresses=127.0.0.1 -k {self._folder}"
        options = f"{address} -c fsync={fsync}"
        self._control("start", "-l", str(self._folder / "log"), "-o", options)

    def stop(self) -> None:
        """Stop it, cutting whoever is connected."""
        self._control("stop", "-m", "immediate")

    def _control(self, *words: str) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "state"), "-w", *words)

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(
            [self._programs / program, *words],
            check=True,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=60,
            **self._as,
        )


@contextlib.contextmanager
def own_postgresql() -> Iterator[OwnPostgresql]:
    """A server that runs; whether it does or not in the end, nothing is left of it."""
    found = shutil.which("initdb")
    programs = [Path(found).parent] if found else sorted(_INSTALLED.glob("*/bin"))
    if not programs:
        absent("PostgreSQL's programs (initdb, pg_ctl) are not installed")
    # Not below the folder of a test, which is for nobody else than whoever runs the tests.
    folder = Path(tempfile.mkdtemp(prefix="modelway-postgresql-"))
    try:
        if os.geteuid() == 0:
            user = pwd.getpwnam(_USER)
            os.chown(folder, user.pw_uid, user.pw_gid)
        server = OwnPostgresql(folder, programs[-1])
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):
                server.stop()
    finally:
        shutil.rmtree(folder)
