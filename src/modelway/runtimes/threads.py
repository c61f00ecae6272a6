"""One thread for a model, in the libraries that would take every core for a row.

The cores go to processes, one model answering in each. With several threads the sums of a library
change their order, and with it the answer; and waking them for one row costs a gradient boosting
more than the row does.
"""

from __future__ import annotations

import threading

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # it has no stubs


class OneThread:
    """Holds OpenMP and BLAS, as far as they are loaded by now, to one thread.

    OpenMP keeps its number for each thread that calls it, BLAS for the whole process. So every
    thread that calls is limited, once, and stays so: giving the number back after each call would
    race with the calls of others.
    """

    def __init__(self) -> None:
        self._pools = ThreadpoolController()
        self._limited = threading.local()

    def limit(self) -> None:
        """Limit the calling thread, if it is not limited yet."""
        if not hasattr(self._limited, "done"):
            self._pools.limit(limits=1)
            self._limited.done = True
