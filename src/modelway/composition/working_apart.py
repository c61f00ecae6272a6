"""Work that blocks, for an event loop: so much at a time, and nothing waits for its end.

It has threads of its own, so nothing else that needs a thread waits for it, and a process that ends
leaves them.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from modelway.composition.giving_way import LITTLE, give_way
from modelway.composition.leaving import work_until
from modelway.domain.errors import Overloaded

Result = TypeVar("Result")

_LAST_S = 0.3


class Desk:
    """Does ``at_once`` things at a time while ``waiting`` more may wait; used by one event loop.

    What ``gives_way`` leaves the cores to whoever else wants them.
    """

    def __init__(self, what: str, at_once: int, waiting: int, *, gives_way: bool = False) -> None:
        self._what = what
        self._gives_way = gives_way
        self._room = asyncio.Semaphore(at_once)
        self._most = at_once + waiting
        self._asked = 0

    async def ask(self, work: Callable[[], Result]) -> Result:
        """What the work gives. Cancelled, it tells the work that its asker has left (``left``).

        Work that does not end by that goes on, and keeps its place until it has ended.

        Raises:
            Overloaded: so much waits already.
        """
        if self._asked >= self._most:
            raise Overloaded(f"too many {self._what} wait already", hint="try again in a moment")
        self._asked += 1
        try:
            await self._room.acquire()
        except BaseException:
            self._asked -= 1
            raise
        left = threading.Event()
        done = self._begun(work, left)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            left.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([done], timeout=_LAST_S)
            raise

    def _begun(self, work: Callable[[], Result], left: threading.Event) -> asyncio.Future[Result]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Result] = loop.create_future()
        done.add_done_callback(self._ended)

        def run() -> None:
            settle: Callable[[Any], None] = done.set_result
            try:
                work_until(left)
                if self._gives_way:
                    give_way(LITTLE)
                found: Any = work()
            except BaseException as error:  # noqa: BLE001 - it is raised where the work was asked for
                settle, found = done.set_exception, error
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_settled, done, settle, found)

        threading.Thread(target=run, name=self._what, daemon=True).start()
        return done

    def _ended(self, done: asyncio.Future[Any]) -> None:
        self._asked -= 1
        self._room.release()
        if not done.cancelled():
            done.exception()  # nobody may be there any more to see it


def _settled(done: asyncio.Future[Any], settle: Callable[[Any], None], found: Any) -> None:
    if not done.done():
        settle(found)
