"""A service of several processes: the supervisor's side of it, and its administration.

A change of what answers goes to every worker twice. First each opens the bundle beside the one that
answers; only if all of them could do the orders go out to answer with it, which each follows at
once. The plan is changed in between, so a worker that dies at any moment is started again with what
holds. The changes of an endpoint are made one after the other, those of several at the same time:
a bundle that takes long to open holds up its own endpoint alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import msgspec

from modelway.access.keys import Key
from modelway.composition import orders
from modelway.composition.administration import Extra, administer
from modelway.composition.plan import ServePlan
from modelway.composition.running import Beside, kept_going
from modelway.domain.errors import EndpointNotFound, Unavailable
from modelway.endpoints.planned import PlannedEndpoint
from modelway.inference.ports import ModelState
from modelway.rest.accepting import CENSUS, Census
from modelway.supervisor.workers import Late, Supervisor, WorkerCommand
from modelway.telemetry import metrics as table
from modelway.telemetry.instruments import Metrics
from modelway.telemetry.machine import EVERY_S, Machine
from modelway.telemetry.slots import Slot

Result = TypeVar("Result")

_PREPARE_S = 600.0
_COMMIT_S = 10.0
_COUNT_S = 2.0
_ALONE_S = 10.0
"""So long workers have the machine to themselves until they answer."""

_log = logging.getLogger(__name__)


class Fleet:
    """The workers of a plan, which changes as they do; ``arguments`` start the worker of a slot."""

    def __init__(
        self,
        plan: ServePlan,
        arguments: Callable[[int], Sequence[str]],
        fds: Sequence[int],
        environment: Mapping[str, str],
        when_ready: Callable[[], None],
    ) -> None:
        self._plan = plan
        self.folders = {one.name: Path(one.live.folder) for one in plan.endpoints}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._changes: set[asyncio.Task[Any]] = set()
        self._metrics = Metrics(Slot.open(Path(plan.metrics_folder), "supervisor"))
        # It accepts nothing itself, and has a place behind those of the workers.
        self._census = Census(Path(plan.metrics_folder) / CENSUS, plan.serve.workers)
        self._census.leave()
        command = WorkerCommand(
            arguments, fds, lambda: msgspec.json.encode(self._plan), environment
        )
        self._answers = asyncio.Event()
        self._when_ready = when_ready
        self._supervisor = Supervisor(
            command,
            plan.serve.workers,
            plan.serve.drain_s,
            when_ready=self._ready,
            restarted=self._restarted,
        )

    async def run(self, admin: socket.socket, beside: Sequence[Beside], extra: Extra) -> int:
        """Serve until SIGTERM or SIGINT; gives the exit code for this process.

        What goes on ``beside`` it is given this fleet, and cancelled at the end. It begins once the
        workers answer, or take too long for that.
        """
        plan = self._plan
        administration = await administer(self, admin, plan, extra)
        tasks = [asyncio.create_task(self._after(one)) for one in beside]
        tasks.append(asyncio.create_task(self._read()))
        code = await self._supervisor.run()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await administration.drain(0)
        return code

    def _ready(self) -> None:
        self._answers.set()
        self._when_ready()

    async def _after(self, beside: Beside) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._answers.wait(), _ALONE_S)
        await kept_going(beside, self)

    async def load(self, name: str, folder: Path) -> str:
        """Have the bundle of a folder answer in every worker; gives its version.

        Raises:
            ModelwayError: a worker could not open it, and says why; nothing has changed.
        """
        return await self.change(self._plan.with_bundle(name, folder))

    async def change(self, endpoint: PlannedEndpoint) -> str:
        """Have an endpoint be so in every worker; gives its live version.

        Raises:
            ModelwayError: a worker could not open a version, and says why; nothing has changed.
        """
        return await self._whole(self._change(endpoint))

    async def unload(self, name: str) -> None:
        """Have nothing answer under a name. Raises EndpointNotFound."""
        await self._whole(self._unload(name))

    async def _whole(self, change: Coroutine[Any, Any, Result]) -> Result:
        """Bring a change to its end, even where whoever asked for it has left."""
        task = asyncio.create_task(change)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)

    def _turn(self, name: str) -> asyncio.Lock:
        """What whoever changes an endpoint holds."""
        return self._turns.setdefault(name, asyncio.Lock())

    async def _change(self, endpoint: PlannedEndpoint) -> str:
        async with self._turn(endpoint.name):
            prepared = await self._ask(orders.Prepare(endpoint), _PREPARE_S)
            reports = prepared.values()
            version = next((one.version for one in reports if one.version is not None), None)
            fault = next((one for one in reports if one.code is not None), None)
            if fault is not None or version is None:
                if version is not None:
                    await self._ask(orders.Discard(endpoint), _COMMIT_S)
                if fault is not None:
                    raise orders.raised(fault)
                raise Unavailable("no worker answers now", hint="try again in a moment")
            # The version is named from now on: its folder may hold another later.
            live = msgspec.structs.replace(endpoint.live, version=version)
            self._plan = self._plan.having(msgspec.structs.replace(endpoint, live=live))
            now = self._plan.endpoint(endpoint.name)
            await self._commit(orders.Commit(now or endpoint))
            self.folders[endpoint.name] = Path(live.folder)
            return version

    async def _unload(self, name: str) -> None:
        async with self._turn(name):
            if name not in self._plan.names:
                raise EndpointNotFound(name[:128], self._plan.names)
            self._plan = self._plan.without(name)
            await self._commit(orders.Remove(name))

    async def admit(self, keys: Sequence[Key]) -> None:
        """Have these keys be the ones that are known, where any are asked for."""
        if self._plan.keys is not None:
            self._plan = msgspec.structs.replace(self._plan, keys=tuple(keys))
            await self._ask(orders.Admit(tuple(keys)), _COMMIT_S, insist=False, late=self._late)

    async def used(self) -> Mapping[str, datetime]:
        """When keys were used last in any worker, as far as this was not asked before."""
        used: dict[str, datetime] = {}
        for report in (await self._ask(orders.Tell(), _COMMIT_S, insist=False)).values():
            for id, at in report.used.items():
                used[id] = max(at, used.get(id, at))
        return used

    async def counted(self) -> Sequence[str]:
        """What was counted of canaries and shadows, by each worker, as far as not asked before."""
        reports = await self._ask(orders.Count(), _COUNT_S, insist=False)
        return [one.tallies for one in reports.values() if one.tallies]

    async def states(self) -> list[ModelState]:
        """Those of the first worker that says."""
        slots = await self.states_by_slot()
        return list(next(iter(slots.values()), ()))

    async def states_by_slot(self) -> Mapping[int, Collection[ModelState]]:
        """The states of every worker that answers."""
        reports = await self._ask(orders.Describe(), _COMMIT_S, insist=False)
        return {slot: report.states for slot, report in reports.items()}

    async def _commit(self, order: orders.Commit | orders.Remove) -> None:
        """Have every worker follow; one that does not is started again with the plan of now."""
        reports = await self._ask(order, _COMMIT_S, late=self._late)
        for slot, report in reports.items():
            self._followed(slot, report)

    def _late(self, slot: int, line: bytes | None) -> None:
        if line is not None:
            self._followed(slot, msgspec.json.decode(line, type=orders.Report))

    def _followed(self, slot: int, report: orders.Report) -> None:
        if report.code is not None:
            _log.error("worker cannot follow: %s", report.message, extra={"slot": slot})
            self._supervisor.end(slot)

    async def _ask(
        self,
        order: orders.Order,
        timeout_s: float,
        *,
        insist: bool = True,
        late: Late | None = None,
    ) -> Mapping[int, orders.Report]:
        """What came of an order, by slot, of each worker that lived to tell."""
        line = msgspec.json.encode(order)
        lines = await self._supervisor.ask(line, timeout_s, insist=insist, late=late)
        return {
            slot: msgspec.json.decode(line, type=orders.Report)
            for slot, line in lines.items()
            if line is not None
        }

    def _restarted(self, slot: int) -> None:
        self._census.clear(slot)  # nobody waits for who is gone to accept a connection
        self._metrics.counter(table.WORKER_RESTARTS, slot=str(slot)).add()

    async def _read(self) -> None:
        machine = Machine(self._metrics, Path(self._plan.home))
        while True:
            machine.read()
            await asyncio.sleep(EVERY_S)
