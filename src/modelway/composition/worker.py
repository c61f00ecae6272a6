"""The processes that answer: one alone, or a worker among others under a supervisor.

One that is alone accepts at once, so ``/health/live`` answers while models are opened and
everything else gets 503 until all of them are; it administers itself. One of several accepts when
it is ready, for what it does not accept the others do, and follows its supervisor's orders.

Each ends in a bounded time: requests that are open for longer than the drain are answered with 503,
and a model that runs or loads all the same ends with the process, since no thread can be stopped.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import NoReturn
from weakref import WeakValueDictionary

import msgspec

from modelway.access.keys import Key
from modelway.composition import orders
from modelway.composition.administration import Extra, administer
from modelway.composition.footprint import give_back, set_aside
from modelway.composition.plan import ServePlan
from modelway.composition.running import Beside, kept_going
from modelway.composition.service import Service
from modelway.domain.errors import BadValue, LoadFailed, ModelwayError
from modelway.endpoints.planned import PlannedEndpoint
from modelway.inference.ports import ModelState
from modelway.supervisor.sockets import listen_no_more
from modelway.telemetry.logs import configure_logs

_log = logging.getLogger(__name__)


class Alone:
    """A service of one process, as its administration sees it."""

    def __init__(self, service: Service, plan: ServePlan) -> None:
        self._service = service
        self._plan = plan
        self.folders = {one.name: Path(one.live.folder) for one in plan.endpoints}

    async def load(self, name: str, folder: Path) -> str:
        """Have the bundle of a folder answer; gives its version."""
        return await self.change(self._plan.with_bundle(name, folder))

    async def change(self, endpoint: PlannedEndpoint) -> str:
        """Have an endpoint be so; gives its live version."""
        version = await self._service.deployments.change(endpoint)
        self._service.routed(endpoint.name)
        self._plan = self._plan.having(endpoint)
        self.folders[endpoint.name] = Path(endpoint.live.folder)
        return version

    async def unload(self, name: str) -> None:
        """Have nothing answer under a name."""
        self._service.deployments.remove(name)
        self._service.routed(name)
        self._plan = self._plan.without(name)

    async def admit(self, keys: Sequence[Key]) -> None:
        """Have these keys be the ones that are known, where any are asked for."""
        self._service.admit(keys)

    async def used(self) -> Mapping[str, datetime]:
        """When keys were used last, as far as this was not asked before."""
        return self._service.used()

    async def counted(self) -> Sequence[str]:
        """What was counted of canaries and shadows, as far as this was not asked before."""
        return [self._service.counted()]

    async def states(self) -> list[ModelState]:
        """Every version that is known."""
        return await self._service.deployments.states()

    async def states_by_slot(self) -> Mapping[int, Collection[ModelState]]:
        """The same, for the one slot."""
        return {0: await self.states()}


def answer_alone(
    plan: ServePlan,
    listeners: Sequence[socket.socket],
    admin: socket.socket,
    when_ready: Callable[[], None],
    beside: Sequence[Beside],
    extra: Extra,
) -> None:
    """Answer requests until SIGTERM or SIGINT; then finish what is open.

    ``when_ready`` is called once, on the event loop, when every model is open.

    Raises:
        ModelwayError: a model could not be opened; nothing listens any more.
    """
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_alone(plan, listeners, admin, when_ready, beside, extra))


def answer_supervised(descriptors: Sequence[int], slot: int) -> None:
    """Answer as one of several workers, on inherited sockets.

    The first line of standard input is the plan, the others are orders; its end says that the
    supervisor is gone. What this worker reports goes to standard output, and nothing else does.

    Raises:
        BadValue: the first line is no plan.
        ModelwayError: a model could not be opened.
    """
    channel = _Channel()
    listeners = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_among_others(slot, listeners, channel))


async def _alone(
    plan: ServePlan,
    listeners: Sequence[socket.socket],
    admin: socket.socket,
    when_ready: Callable[[], None],
    beside: Sequence[Beside],
    extra: Extra,
) -> None:
    service = Service(plan, slot=0)
    stopped = stopped_by_signals()
    await service.start(listeners)
    try:
        if not await opened(service, stopped):
            end_now()
    except ModelwayError:
        await service.drain()
        raise
    alone = Alone(service, plan)
    administration = await administer(alone, admin, plan, extra)
    give_back()
    set_aside()
    when_ready()
    tasks = [asyncio.create_task(kept_going(one, alone)) for one in beside]
    await stopped.wait()
    for task in tasks:
        task.cancel()
    draining = asyncio.gather(service.drain(), administration.drain(0))
    await asyncio.sleep(0)  # by then nothing here accepts any more
    for listener in listeners:
        listen_no_more(listener)
    await draining
    if not service.close():
        end_now()


class _Channel:
    """Standard input and output, kept for the supervisor's words and this process's own.

    From here on what a model reads is empty, and what it prints goes where its errors go.
    """

    def __init__(self) -> None:
        self.ordered = os.fdopen(os.dup(0), "rb", buffering=0)
        self._reported = os.fdopen(os.dup(1), "wb")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)

    def report(self, line: bytes) -> None:
        """Tell the supervisor."""
        self._reported.write(line + b"\n")
        self._reported.flush()


async def _among_others(slot: int, listeners: Sequence[socket.socket], channel: _Channel) -> None:
    """Open, then answer: what this worker does not accept, the others do."""
    lines = asyncio.StreamReader(limit=_LONGEST_LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), channel.ordered
    )
    try:
        plan = msgspec.json.decode(await lines.readline(), type=ServePlan)
    except msgspec.MsgspecError as error:
        raise BadValue(f"the supervisor's plan cannot be read: {error}") from error
    configure_logs(plan.telemetry)
    service = Service(plan, slot)
    stopped = stopped_by_signals()
    if not await opened(service, stopped):
        end_now()
    await service.start(listeners, shared=True)
    give_back()
    set_aside()
    channel.report(b"ready")
    have_threads()
    following = asyncio.create_task(_Following(service, channel).follow(lines))
    # Without orders there is nobody to answer for.
    following.add_done_callback(lambda _: stopped.set())
    await stopped.wait()
    following.cancel()
    await service.drain()
    if not service.close():
        end_now()


async def opened(service: Service, stopped: asyncio.Event) -> bool:
    """Open every model; gives False where the process is told to end meanwhile: models still load.

    Raises:
        ModelwayError: a model cannot be opened.
    """
    opening = asyncio.create_task(service.open())
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait((opening, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not opening.done():
        await service.drain()
        return False
    stopping.cancel()
    opening.result()
    return True


class _Following:
    """Carries out orders: those of an endpoint in turn, beside those of others; the rest at once.

    A bundle may take minutes to open. No key that was revoked is known so long, and nothing that
    was counted of a canary waits.
    """

    def __init__(self, service: Service, channel: _Channel) -> None:
        self._service = service
        self._channel = channel
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._under_way: set[asyncio.Task[None]] = set()

    async def follow(self, ordered: asyncio.StreamReader) -> None:
        """Carry out orders until they end."""
        while line := await ordered.readline():
            number, _, text = line.partition(b" ")
            order: orders.Order = msgspec.json.decode(text, type=orders.Order)
            endpoint = orders.endpoint_of(order)
            if endpoint is None:
                await self._carry_out(number, order)
                continue
            turn = self._turns.setdefault(endpoint, asyncio.Lock())
            task = asyncio.create_task(self._in_turn(turn, number, order))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _in_turn(self, turn: asyncio.Lock, number: bytes, order: orders.Order) -> None:
        async with turn:
            await self._carry_out(number, order)

    async def _carry_out(self, number: bytes, order: orders.Order) -> None:
        report = msgspec.json.encode(await _carried_out(self._service, order))
        self._channel.report(number + b" " + report)


async def _carried_out(service: Service, order: orders.Order) -> orders.Report:
    """What came of an order."""
    deployments = service.deployments
    try:
        match order:
            case orders.Prepare(endpoint):
                return orders.Report(version=await deployments.prepare(endpoint))
            case orders.Commit(endpoint):
                await deployments.commit(endpoint)
                service.routed(endpoint.name)
            case orders.Discard(endpoint):
                deployments.discard(endpoint)
            case orders.Remove(name):
                deployments.remove(name)
                service.routed(name)
            case orders.Admit(keys):
                service.admit(keys)
            case orders.Tell():
                return orders.Report(used=dict(service.used()))
            case orders.Count():
                return orders.Report(tallies=service.counted())
            case orders.Describe():
                return orders.Report(states=tuple(await deployments.states()))
    except ModelwayError as error:
        return orders.failed(error)
    except Exception as error:  # noqa: BLE001 - an order that is never reported is waited for
        _log.exception("an order could not be carried out")
        return orders.failed(LoadFailed(f"{type(error).__name__}: {error}"))
    return orders.Report()


def stopped_by_signals() -> asyncio.Event:
    """Set when the process is told to end."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(signum, stopped.set)
        except NotImplementedError:  # Windows has none for an event loop
            signal.signal(signum, lambda *_: loop.call_soon_threadsafe(stopped.set))
    return stopped


def have_threads() -> None:
    """Have threads for what the loop waits for, beside those that bundles take while they load."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))


def end_now() -> NoReturn:
    """End the process whatever its threads do; Python itself would wait for them."""
    _log.warning("ended while a model was busy")
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop where it is installed, else None for asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


_LONGEST_LINE_BYTES = 64 * 1024 * 1024

_THREADS = 32
"""More than endpoints are followed at a time: bundles that hang leave threads for others."""
