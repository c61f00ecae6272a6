"""Remotes: services of others that see the requests of an endpoint, and answer nobody.

Each has a line of its own, so that one which is slow keeps nobody else waiting. A few requests are
asked at a time, each on a thread; the newest find no room where too many wait. One that fails again
and again is left alone for a second, and what would have been asked meanwhile is shed, so a service
that is away costs nothing but a try a second.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from modelway.bundles.ports import Runtime
from modelway.domain.errors import ModelwayError, PredictFailed
from modelway.domain.inference import InferenceRequest
from modelway.domain.tables import Table
from modelway.endpoints.planned import PlannedRemote
from modelway.endpoints.ports import ShadowMeter
from modelway.inference.batching import Answer
from modelway.inference.ports import Answered

_AT_ONCE = 4
_MOST_WAITING = 256
_MOST_ROWS = 20_000
_FAILURES = 5
_PAUSE_S = 1.0
_IDLE_S = 10.0
_SAID_AGAIN_S = 3600.0

_log = logging.getLogger(__name__)

OpenRemote = Callable[[PlannedRemote], Runtime]
"""Gives what asks a remote, over a connection of its own; connects when it is first asked."""

Asked = tuple[InferenceRequest, str, str]
"""A request, the id under which it was answered, and the version that did."""

Tell = Callable[[Asked, Answer, float, str], None]
"""Is told what became of a request after so many seconds, and the version that was asked."""


class Remotes:
    """The lines of all remotes that a process has asked; used by one event loop."""

    def __init__(self, open_remote: OpenRemote, tell: Tell, meter: ShadowMeter) -> None:
        self._open = open_remote
        self._tell = tell
        self._meter = meter
        self._lines: dict[PlannedRemote, _Line] = {}

    def offer(self, remote: PlannedRemote, answered: Sequence[Answered]) -> None:
        """Have a remote asked what was answered, as far as there is room."""
        line = self._lines.get(remote)
        if line is None:
            line = self._lines[remote] = _Line(remote, self._open, self._tell, self._meter)
        for request, response, _ in answered:
            line.offer((request, response.prediction_id, response.version))

    async def close(self) -> None:
        """Ask no more; what waits is dropped. Twice does no harm."""
        await asyncio.gather(*(line.close() for line in self._lines.values()))


class _Line:
    """What waits for one remote, and the few tasks that ask it; they end where nothing comes."""

    def __init__(
        self, remote: PlannedRemote, open_remote: OpenRemote, tell: Tell, meter: ShadowMeter
    ) -> None:
        self._remote = remote
        self._open = open_remote
        self._tell = tell
        self._meter = meter
        self._waiting: asyncio.Queue[Asked] = asyncio.Queue()
        self._rows = self._idle = self._failures = 0
        self._paused_until_s = 0.0
        self._said_s: dict[str, float] = {}
        self._threads: ThreadPoolExecutor | None = None
        self._askers: set[asyncio.Task[None]] = set()

    def offer(self, asked: Asked) -> None:
        request, n_rows = asked[0], asked[0].table.n_rows
        if (
            self._waiting.qsize() >= _MOST_WAITING
            or self._rows + n_rows > _MOST_ROWS
            or time.monotonic() < self._paused_until_s
        ):
            self._meter.shadow_shed(request.endpoint, 1)
            return
        self._rows += n_rows
        self._waiting.put_nowait(asked)
        if self._waiting.qsize() > self._idle and len(self._askers) < _AT_ONCE:
            asker = asyncio.get_running_loop().create_task(self._ask_all())
            self._askers.add(asker)
            asker.add_done_callback(self._ended)

    async def close(self) -> None:
        self._take_all()
        for asker in self._askers:
            asker.cancel()
        await asyncio.gather(*self._askers, return_exceptions=True)

    def _ended(self, asker: asyncio.Task[None]) -> None:
        self._askers.discard(asker)
        if self._askers:
            return
        self._shed_all()  # of what came in its last moment nobody is left to ask
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None

    async def _ask_all(self) -> None:
        """Ask what waits, until nothing has come for a while; over one connection."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="remote")
        loop, threads = asyncio.get_running_loop(), self._threads
        runtime: Runtime | None = None
        try:
            opened = await loop.run_in_executor(threads, _opened, self._open, self._remote)
            if isinstance(opened, ModelwayError):
                self._failed(opened)
                return
            runtime = opened
            while (asked := await self._next()) is not None:
                started_s = time.monotonic()
                answer = await loop.run_in_executor(threads, _answer, runtime, asked[0].table)
                self._asked(asked, answer, time.monotonic() - started_s)
        except Exception:  # noqa: BLE001 - whatever it is, another asker comes with the next request
            _log.exception("%s could not be asked", self._remote.reference)
        finally:
            if runtime is not None:
                runtime.close()

    async def _next(self) -> Asked | None:
        self._idle += 1
        try:
            async with asyncio.timeout(_IDLE_S):
                asked = await self._waiting.get()
        except TimeoutError:
            if self._waiting.empty():
                return None
            asked = self._waiting.get_nowait()  # it came in the same moment
        finally:
            self._idle -= 1
        self._rows -= asked[0].table.n_rows
        return asked

    def _asked(self, asked: Asked, answer: Answer, seconds: float) -> None:
        self._meter.shadowed(asked[0].endpoint, 1)
        if isinstance(answer, ModelwayError):
            self._failed(answer)
        else:
            self._failures = 0
        self._tell(asked, answer, seconds, self._remote.reference)

    def _failed(self, error: ModelwayError) -> None:
        """Say why, once, and leave it alone where it has failed again and again."""
        now_s = time.monotonic()
        self._failures += 1
        if now_s - self._said_s.get(error.code, -_SAID_AGAIN_S) >= _SAID_AGAIN_S:
            self._said_s[error.code] = now_s
            _log.warning("%s fails as a shadow: %s", self._remote.reference, error.message)
        if self._failures >= _FAILURES:
            self._paused_until_s = now_s + _PAUSE_S
            self._shed_all()

    def _take_all(self) -> list[Asked]:
        """What waits, which waits no more."""
        taken = [self._waiting.get_nowait() for _ in range(self._waiting.qsize())]
        self._rows -= sum(request.table.n_rows for request, *_ in taken)
        return taken

    def _shed_all(self) -> None:
        for request, *_ in self._take_all():
            self._meter.shadow_shed(request.endpoint, 1)


def _opened(open_remote: OpenRemote, remote: PlannedRemote) -> Runtime | ModelwayError:
    try:
        return open_remote(remote)
    except ModelwayError as error:
        return error
    except Exception as error:  # noqa: BLE001 - whatever it is, it fails as an answer does
        return PredictFailed(f"it cannot be opened: {error!r}")


def _answer(runtime: Runtime, table: Table) -> Answer:
    try:
        return runtime.predict(table)
    except ModelwayError as error:
        return error
    except Exception as error:  # noqa: BLE001 - its answer may hold anything
        return PredictFailed(f"no answer: {error!r}")
