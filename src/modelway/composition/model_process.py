"""The process of a model: it opens one bundle and answers tables over a socket, one at a time.

``python -m modelway.composition.model_process DESCRIPTOR PARENT`` inherits its end of a socket pair
as the file descriptor; PARENT is the id of the process that started it. It ends when the other end
is closed, and at once when its parent dies. What the model prints goes where standard output and
error go, never to the socket.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from pathlib import Path

from modelway.bundles.manifest import read_manifest, read_signature
from modelway.bundles.ports import Runtime
from modelway.composition.frameworks import open_runtime
from modelway.composition.model_wire import (
    Failed,
    Heard,
    Opened,
    Opening,
    Question,
    Said,
    answer_of,
    clipped,
    heard,
    send,
    table_of,
)
from modelway.composition.process_groups import end_with
from modelway.domain.errors import InputRefused, ModelwayError, OutputInvalid
from modelway.domain.signature import Signature


def main() -> None:
    """Answer until the other end is closed."""
    end_with(int(sys.argv[2]))
    # A terminal's Ctrl-C is for the worker, which lets its requests finish.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        answering = _Answering()
        while (message := heard(connection)) is not None:
            send(connection, answering.answer(message))
    sys.stdout.flush()
    sys.stderr.flush()
    # What a model has started (threads, exit functions) must not keep the process.
    os._exit(0)


class _Answering:
    """The bundle of this process, once it is open."""

    def __init__(self) -> None:
        self._opened: tuple[Runtime, Signature] | None = None

    def answer(self, message: Heard) -> Said:
        """The answer to a message; whatever happens, there is one."""
        try:
            if isinstance(message, Opening):
                return self._open(message)
            return self._ask(message)
        except ModelwayError as error:
            return Failed(error.code, clipped(error.message), error.hint)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a model may raise anything at all
            traceback.print_exc()
            return Failed(None, clipped(repr(error)))

    def _open(self, message: Opening) -> Said:
        folder = Path(message.folder)
        manifest, signature = read_manifest(folder), read_signature(folder)
        runtime = open_runtime(folder, signature, manifest, allow_pickle=message.allow_pickle)
        self._opened = runtime, signature
        return Opened()

    def _ask(self, question: Question) -> Said:
        if self._opened is None:
            raise InputRefused("nothing is open")
        runtime, signature = self._opened
        outputs = runtime.predict(table_of(question, signature))
        try:
            return answer_of(outputs)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise OutputInvalid(f"an output cannot be written: {error}") from error


if __name__ == "__main__":
    main()
