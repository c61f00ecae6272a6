"""Processes beside the workers, each kept running: what it says goes to a file, it is never waited
for, and when it dies it is started again, with growing delay if it had not lived for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

_LIVED_S = 60.0
_LONGEST_DELAY_S = 60.0
_FIRST_DELAY_S = 0.5
_GRACE_S = 5.0
_LONGEST_LOG_BYTES = 16 * 1024 * 1024

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChildCommand:
    """How a child called ``name`` is started; ``log`` is the file that takes what it says.

    ``grace_s`` is how long it has to end once it is told to; then it is killed. Its standard input
    is a pipe that ends with this process, so that it can end too. One that ``ends_by_input`` is
    told so by that, and by no signal: it hears it also if it has only just been started.
    """

    name: str
    arguments: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    grace_s: float = _GRACE_S
    ends_by_input: bool = False


class Children:
    """Keeps children running until cancelled; ``restarted`` is told the name of one that died."""

    def __init__(
        self, commands: Sequence[ChildCommand], restarted: Callable[[str], None] | None = None
    ) -> None:
        self._commands = commands
        self._restarted = restarted
        self._running: dict[str, asyncio.subprocess.Process] = {}

    async def run(self) -> None:
        """Keep them running; when this is cancelled they are ended, by force if need be."""
        try:
            await asyncio.gather(*(self._keep(one) for one in self._commands))
        finally:
            ending = (
                _end(self._running[one.name], one)
                for one in self._commands
                if one.name in self._running
            )
            await asyncio.shield(asyncio.gather(*ending))

    async def _keep(self, command: ChildCommand) -> None:
        deaths = 0
        while True:
            started_s = time.monotonic()
            try:
                code = await self._lived(command)
            except OSError as error:
                _log.error("%s cannot be started: %s", command.name, error)
            else:
                _log.error("%s died; see %s", command.name, command.log, extra={"exit_code": code})
            deaths = 0 if time.monotonic() - started_s > _LIVED_S else deaths + 1
            if self._restarted is not None:
                self._restarted(command.name)
            await asyncio.sleep(min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2**deaths))

    async def _lived(self, command: ChildCommand) -> int:
        with opened_log(command.log) as said:
            process = await asyncio.create_subprocess_exec(
                *command.arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=said,
                stderr=said,
                env=dict(command.environment),
                start_new_session=True,
            )
        self._running[command.name] = process
        code = await process.wait()
        kill_group(process.pid)
        return code


def opened_log(log: Path) -> BinaryIO:
    """The log, which is begun anew once it is long; the one before stays beside it."""
    if log.exists() and log.stat().st_size > _LONGEST_LOG_BYTES:
        log.replace(log.with_suffix(".old.log"))
    return log.open("ab")


async def _end(process: asyncio.subprocess.Process, command: ChildCommand) -> None:
    if process.returncode is not None:
        return
    if command.ends_by_input and process.stdin is not None:
        process.stdin.close()
    else:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), command.grace_s)
    except TimeoutError:
        process.kill()
        await process.wait()
    kill_group(process.pid)


def kill_group(pid: int) -> None:
    """Kill what a child that has ended has left behind: it was the first of its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
