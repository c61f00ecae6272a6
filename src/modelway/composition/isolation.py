"""Models in processes of their own: a crash costs the requests in flight and nothing else.

A runtime here looks like any other and asks a child process over a private socket pair. When the
child dies it is started again: at once the first time, then after a delay that doubles as long as
it dies without having answered anything.

One thread keeps each child: it starts it, waits for its end and starts the next. Linux counts a
child as its thread's and kills it with that thread, so the thread must live as long as the child.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from modelway.bundles.manifest import Manifest
from modelway.bundles.ports import Runtime
from modelway.composition.frameworks import open_runtime
from modelway.composition.model_wire import (
    Answered,
    BadMessage,
    Failed,
    Heard,
    Opened,
    Opening,
    Question,
    Said,
    clipped,
    outputs_of,
    question_of,
    said,
    send,
)
from modelway.composition.process_groups import kill_group, reap_group
from modelway.domain.errors import (
    BadValue,
    InputRefused,
    LoadFailed,
    ModelCrashed,
    ModelwayError,
    OutputInvalid,
    PredictFailed,
    UnsafeFormat,
)
from modelway.domain.inference import Outputs
from modelway.domain.signature import Signature
from modelway.domain.tables import Table
from modelway.inference.loading import OpenRuntime
from modelway.settings import InferenceSettings, child_environment

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 30.0

_LONGEST_LINE = 8192
_ERRORS = {kind.code: kind for kind in (InputRefused, LoadFailed, OutputInvalid, UnsafeFormat)}

_log = logging.getLogger("modelway.model")


def opener(settings: InferenceSettings, *, allow_pickle: bool, apart: bool = False) -> OpenRuntime:
    """How bundles are opened under these settings: here or in processes, once for each runner.

    What is to run ``apart`` does so whatever the settings are, where there are such processes.

    What answers by ONNX Runtime runs no code of others and is opened here, once: it may be called
    by several threads at a time.

    Raises:
        BadValue: this system has no processes that inherit a socket.
    """
    is_windows = sys.platform == "win32"
    if settings.isolation == "process" and is_windows:
        raise BadValue("inference.isolation: process is not to be had on Windows")
    in_processes = settings.isolation == "process" or (apart and not is_windows)

    def opened(folder: Path, signature: Signature, manifest: Manifest) -> Runtime:
        if manifest.runtime == "onnx":
            return open_runtime(folder, signature, manifest, allow_pickle=allow_pickle)
        runtimes: list[Runtime] = []
        try:
            for _ in range(settings.runners):
                runtimes.append(
                    ProcessRuntime(folder, allow_pickle=allow_pickle)
                    if in_processes
                    else open_runtime(folder, signature, manifest, allow_pickle=allow_pickle)
                )
        except BaseException:
            for runtime in runtimes:
                runtime.close()
            raise
        return runtimes[0] if len(runtimes) == 1 else RuntimePool(runtimes)

    return opened


class RuntimePool:
    """Several runtimes over one bundle: as many calls at a time, each of another of them."""

    def __init__(self, runtimes: Sequence[Runtime]) -> None:
        self._runtimes = tuple(runtimes)
        self._idle = deque(runtimes)
        self._some_idle = threading.Condition()

    def predict(self, table: Table) -> Outputs:
        """The outputs for the table's rows, of whichever is idle. Raises what that one raises."""
        with self._some_idle:
            while not self._idle:
                self._some_idle.wait()
            runtime = self._idle.pop()
        healthy = True
        try:
            return runtime.predict(table)
        except ModelCrashed:
            healthy = False
            raise
        finally:
            with self._some_idle:
                # One that must start again is asked after all others.
                (self._idle.append if healthy else self._idle.appendleft)(runtime)
                self._some_idle.notify()

    def close(self) -> None:
        """Release all of them."""
        for runtime in self._runtimes:
            runtime.close()


class ProcessRuntime:
    """A bundle that is open in a child process.

    ``predict`` is called by one thread at a time, ``close`` by any. ``delays_s`` are the first and
    the longest time before a child that keeps dying is started again.

    Raises:
        LoadFailed, UnsafeFormat: the child cannot open the bundle, or dies of it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        allow_pickle: bool,
        delays_s: tuple[float, float] = (FIRST_DELAY_S, LONGEST_DELAY_S),
    ) -> None:
        self._name = folder.name
        self._opening = Opening(str(folder.absolute()), allow_pickle)
        self._delays_s = delays_s
        self._changed = threading.Condition()
        self._process: ModelProcess | None = None
        self._is_open = False
        self._fault: ModelwayError | None = None
        self._crashes = 0
        self._closed = False
        self._keeper = threading.Thread(target=self._keep, name=f"keep-{self._name}", daemon=True)
        self._keeper.start()
        try:
            self._ready()
        except ModelwayError:
            self.close()
            raise

    def predict(self, table: Table) -> Outputs:
        """The outputs for the table's rows.

        Raises:
            InputRefused: the model refuses the values.
            PredictFailed: it raised anything else.
            OutputInvalid: its outputs have no form that travels.
            ModelCrashed: the process died, or died before and is not to be started yet.
        """
        process = self._asked(question_of(table))
        try:
            answer = process.answer()
            if isinstance(answer, Answered):
                outputs = outputs_of(answer)
                self._crashes = 0
                return outputs
        except BadMessage as error:
            self._lost(process)
            raise ModelCrashed(f"{self._name} said what nobody understands: {error}") from error
        if answer is None:
            self._lost(process)
            raise self._died()
        self._crashes = 0
        if isinstance(answer, Failed):
            raise error_of(answer, self._name)
        raise OutputInvalid(f"the process of {self._name} gave no outputs")

    def close(self) -> None:
        """End the process, whatever it is at; twice does no harm."""
        with self._changed:
            self._closed = True
            if self._process is not None:
                self._process.kill()
            self._changed.notify_all()
        self._keeper.join()

    def _asked(self, question: Question) -> ModelProcess:
        """The process that now has the question; one that had died before costs nothing."""
        for _ in range(2):
            process = self._ready()
            if process.ask(question):
                return process
            self._lost(process)
        raise self._died()

    def _died(self) -> ModelCrashed:
        return ModelCrashed(f"the process of {self._name} died; it is started again")

    def _ready(self) -> ModelProcess:
        """The process, once it is open; one that is not to be started yet is not waited for."""
        with self._changed:
            while not self._is_open and self._fault is None and not self._closed:
                self._changed.wait()
            if self._fault is not None:
                raise self._fault
            if self._process is None or self._closed:
                raise ModelCrashed(f"the process of {self._name} is ended")
            return self._process

    def _lost(self, process: ModelProcess) -> None:
        """End a process that is of no use any more; the keeper starts another."""
        with self._changed:
            if process is self._process:
                self._is_open = False
        process.kill()

    def _keep(self) -> None:
        """Start one process after the other, until this is closed or the first cannot open."""
        is_first = True
        while True:
            fault = self._live(is_first=is_first)
            is_first = False
            with self._changed:
                self._is_open, self._process = False, None
                if self._closed or fault is not None:
                    self._fault = fault
                    self._changed.notify_all()
                    return
                self._crashes += 1
                first_s, longest_s = self._delays_s
                delay_s = min(first_s * 2.0 ** (self._crashes - 2), longest_s)
                _log.error("the process of %s died: it is started again", self._name)
                if self._crashes > 1:
                    self._fault = ModelCrashed(
                        f"the process of {self._name} died {self._crashes} times in a row; "
                        f"it is started again in {delay_s:.1f} s"
                    )
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._closed, delay_s)
                    self._fault = None

    def _live(self, *, is_first: bool) -> ModelwayError | None:
        """One process from its start to its end; gives why the first one could not open."""
        with self._changed:
            if self._closed:
                return None
            try:
                process = self._process = ModelProcess(self._name)
            except OSError as error:
                if is_first:
                    return LoadFailed(f"{self._name}: no process can be started: {error}")
                return None
        fault = process.open(self._opening)
        with self._changed:
            if fault is None:
                self._is_open = True
                self._changed.notify_all()
        if fault is not None:
            process.kill()
        process.wait()
        if fault is not None:
            _log.error("%s", fault)
        return fault if is_first else None


class ModelProcess:
    """One child process, started; what it prints goes to the log, line by line.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._connection, theirs = socket.socketpair()
        module = "modelway.composition.model_process"
        try:
            self._child = subprocess.Popen(
                (sys.executable, "-P", "-m", module, str(theirs.fileno()), str(os.getpid())),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=child_environment(),
                process_group=0,
            )
        except BaseException:
            self._connection.close()
            raise
        finally:
            theirs.close()
        assert self._child.stdout is not None  # noqa: S101 - a pipe was asked for
        threading.Thread(
            target=_log_lines, args=(name, self._child.stdout), name=f"log-{name}", daemon=True
        ).start()

    def open(self, opening: Opening) -> ModelwayError | None:
        """Have the bundle opened; gives why it cannot be."""
        try:
            answer = self.answer() if self.ask(opening) else None
        except BadMessage as error:
            return LoadFailed(f"{self._name} said what nobody understands: {error}")
        if isinstance(answer, Opened):
            return None
        if isinstance(answer, Failed):
            failed = error_of(answer, self._name)
            return LoadFailed(failed.message) if isinstance(failed, PredictFailed) else failed
        return LoadFailed(f"the process of {self._name} died while it opened the model")

    def ask(self, message: Heard) -> bool:
        """Send the message; gives whether the process has all of it, or else has died before."""
        try:
            send(self._connection, message)
        except OSError:
            return False
        return True

    def answer(self) -> Said | None:
        """What the process says; None where it died. Raises BadMessage."""
        try:
            return said(self._connection)
        except OSError:
            return None

    def kill(self) -> None:
        """End the process now, and every process that the model has forked."""
        kill_group(self._child)

    def wait(self) -> None:
        """Wait for the end of the process and of what it has forked; release what it held."""
        reap_group(self._child)
        # Whoever waits for an answer learns that there is none.
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()


def _log_lines(name: str, stream: IO[bytes]) -> None:
    with stream:
        while line := stream.readline(_LONGEST_LINE):
            text = line.decode("utf-8", "replace").rstrip()
            if text:
                _log.info("%s: %s", name, text)


def error_of(failed: Failed, name: str) -> ModelwayError:
    """The error that a process told of."""
    message = clipped(failed.message)
    kind = _ERRORS.get(failed.code or "")
    if kind is not None:
        return kind(message, hint=failed.hint)
    return PredictFailed(f"the model {name} failed: {message}")
