"""The ``modelway`` command."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading

from modelway.cli.main import run


def main() -> None:
    """Run the command line and end the process with its exit code.

    A thread that nobody waits for may be within a library (a query of DuckDB, a model). If it comes
    back while the interpreter ends, the interpreter ends it in a way that aborts the process, so
    where there is one the process ends at once.
    """
    code = run(sys.argv[1:])
    if any(thread.daemon for thread in threading.enumerate()):
        logging.shutdown()
        with contextlib.suppress(OSError):  # whoever read it may have gone
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
