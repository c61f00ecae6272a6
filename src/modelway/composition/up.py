"""``modelway up``: everything that a home has, started on one machine and kept running.

    up                 sockets, slots, administration; follows the endpoints of the store
    +- answer          a worker for each slot
    +- worker          answers jobs, once there is one
    +- tend            reconciles the registry, bundles what is wanted, seals records
    `- mlflow server   the home's own registry, where no other is named

Serving waits for none of the others: what is bundled answers as soon as the workers are up, also
while MLflow takes its time, or is away. Where the store is away, what answered last does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from modelway.composition.administration import Extra, admin_listener
from modelway.composition.calling_back import check_callbacks
from modelway.composition.control import Control, now
from modelway.composition.following import Following
from modelway.composition.home import Home, Running
from modelway.composition.home_children import tend_child, worker_child
from modelway.composition.job_dispatching import check_broker
from modelway.composition.job_metrics import DepthMetrics
from modelway.composition.keyring import Keyring, check_some
from modelway.composition.listening import address_of, grpc_port, listening, place_of
from modelway.composition.mlflow_server import HOST, server_command
from modelway.composition.operation_routes import operation_routes
from modelway.composition.operation_table import OPERATIONS
from modelway.composition.plan import JobPlan, Place, ServePlan
from modelway.composition.recording import record_plan
from modelway.composition.remembering import Memory, Remembered, begun
from modelway.composition.running import Beside, kept_going
from modelway.composition.running import Running as Service
from modelway.composition.schedule_metrics import ScheduleMetrics
from modelway.composition.securing import needs_keys
from modelway.composition.serving import supervise
from modelway.composition.status import status_operation
from modelway.domain.errors import PortInUse, Unavailable
from modelway.domain.jobs import JobState
from modelway.settings import Settings
from modelway.supervisor.attached import attached
from modelway.supervisor.children import ChildCommand, Children
from modelway.supervisor.sockets import bind
from modelway.telemetry.instruments import Metrics
from modelway.telemetry.logs import configure_logs
from modelway.telemetry.slot_folder import SlotFolder
from modelway.telemetry.slots import Slot

Say = Callable[[str], object]

_LOOK_S = 0.5
"""How often is looked whether there is a job, as long as there was none."""

_OTHER_SLOTS = 3
"""Those of the supervisor, of the worker that answers jobs, and of what the store has."""

_GONE_S = 10.0
"""So long is waited for an MLflow whose starter was killed; it is given 5 s to end by itself."""


def up(settings: Settings, say: Say, *, mlflow: bool) -> int:
    """Run everything until SIGTERM or SIGINT; gives the exit code.

    ``mlflow`` is whether the home's own MLflow server is started, where no other is named.

    Raises:
        PortInUse, BadValue: an address cannot be listened on.
        BadValue: another host that shares the store has its bundles elsewhere; callbacks cannot be
            signed.
        HomeTooNew: the home or its store cannot be opened.
        StoreUnavailable: the store cannot be reached, and never was from this home.
        Conflict: another ``up`` runs in this home.
    """
    configure_logs(settings.telemetry)
    home = Home(settings.bundles.home)
    with home.taken():
        return _run(home, home.settled(settings), say, mlflow=mlflow)


def _run(home: Home, settings: Settings, say: Say, *, mlflow: bool) -> int:
    own = mlflow and not settings.registry.url
    registry_port = _registry_port(home, settings) if own else None
    registry = settings.registry.url if registry_port is None else f"http://{HOST}:{registry_port}"
    with (
        Control(settings, registry or None, patient=True) as control,
        control.presence.entered(),
        SlotFolder.make(settings.serve.workers + _OTHER_SLOTS) as slots,
        listening(settings.serve) as listener,
        admin_listener(settings) as admin,
        grpc_port(settings) as grpc,
    ):
        control.check_records()
        check_broker(control.store, settings.jobs.broker)
        check_callbacks(control.settings.jobs)
        first = begun(control)
        home.remember(settings)
        memory = Memory(home, first)
        keyring = Keyring(control.store.keys, first.keys, memory.admitting)
        place = place_of(settings, slots.path, admin, grpc)
        plan = _plan(control, first, place)
        following = _following(control, plan, memory)
        operations = (*OPERATIONS, status_operation(lambda: following.troubles))
        routes = operation_routes(control, operations)
        extra = Extra(keyring.administration, routes, follows=True, trail=control.store.audit)
        shown = control.registry.url if registry else ""  # without a password in it
        running = _running(address_of(settings, listener), place, shown)
        beside: list[Beside] = [following.follow, keyring.follow, partial(_judged, control)]
        beside.append(_children(home, control, slots.path, registry_port))
        beside.extend(_counted(control, Metrics(Slot.open(slots.path, "store"))))
        home.announce(running)
        try:
            ready = partial(_say_ready, say, running, plan.names)
            return asyncio.run(supervise(plan, listener, admin, ready, beside, extra))
        finally:
            home.leave()


def _counted(control: Control, metrics: Metrics) -> Sequence[Beside]:
    """What says how much there is in the store."""
    depths, runs = DepthMetrics(metrics), ScheduleMetrics(metrics)
    return (
        lambda _: depths.follow(control.store.jobs),
        lambda _: runs.follow(control.store.schedules, control.home.id),
    )


def _following(control: Control, plan: ServePlan, memory: Memory) -> Following:
    """What keeps the endpoints of a plan as the store has them."""
    poll_s = control.settings.store.poll_s
    generation = control.store.generation
    return Following(generation, control.look, poll_s, plan.endpoints, memory.answering)


async def _judged(control: Control, service: Service) -> None:
    """What is on trial, judged until cancelled."""
    # Statistics take a while to import, and nothing waits for them.
    from modelway.composition.judging import Judging

    await Judging(control).follow(service)


def _running(address: str, place: Place, registry: str) -> Running:
    """What runs, as the home says it to whoever asks."""
    administration, grpc = place.administration, place.grpc_address
    return Running(os.getpid(), now(), address, administration, registry, grpc)


def _plan(control: Control, first: Remembered, place: Place) -> ServePlan:
    """What the workers begin with. Raises BadValue where keys are needed and there are none."""
    settings = control.settings
    keyed = needs_keys(settings)
    if keyed:
        check_some(first.keys)
    default = settings.serve.default or first.default
    return ServePlan.of(
        settings,
        first.endpoints,
        default if default in [one.name for one in first.endpoints] else "",
        place,
        insists=False,
        keys=first.keys if keyed else None,
        records=record_plan(control.home, settings.records),
        jobs=JobPlan(
            settings.store.url or control.home.store_url,
            settings.jobs.lasts_s,
            settings.jobs.longest_wait_s,
            settings.jobs.uploads_bytes,
            tuple(settings.jobs.callback_urls),
            settings.jobs.durable,
            settings.jobs.broker,
        ),
    )


def _children(home: Home, control: Control, slots: Path, registry_port: int | None) -> Beside:
    """What keeps the processes beside the workers running; that which tends ends last."""
    settings = control.settings
    tend = Children([tend_child(home, settings)])
    worker = Children([worker_child(home, settings, slots)])
    others: list[Beside] = [partial(_jobs_worked_on, control, worker)]
    if registry_port is not None:
        command = server_command(home.path, registry_port)
        arguments = attached(command.arguments)
        child = ChildCommand("mlflow", arguments, home.log("mlflow"), command.environment)
        mlflow = Children([child])
        others.append(lambda _: _once_free(registry_port, mlflow))

    async def run(service: Service) -> None:
        tending = asyncio.create_task(tend.run())
        try:
            # All of them have ended before this goes on, also when it is cancelled.
            going = (kept_going(one, service) for one in others)
            await asyncio.gather(*going, return_exceptions=True)
        finally:
            # By now nobody records, and all of it can be sealed.
            tending.cancel()
            await asyncio.gather(tending, return_exceptions=True)

    return run


async def _jobs_worked_on(control: Control, worker: Children, _: Service) -> None:
    """A worker, once there is a job: until then it would take memory and a core's time to start."""

    def there_are() -> bool:
        # One that is leased may have been a worker's that is no more.
        states = (JobState.QUEUED, JobState.LEASED)
        return any(control.store.jobs.page(state, None, None, 1) for state in states)

    while True:
        with contextlib.suppress(Unavailable):
            if await asyncio.to_thread(there_are):
                break
        await asyncio.sleep(_LOOK_S)
    await worker.run()


async def _once_free(port: int, mlflow: Children) -> None:
    """Keep MLflow running, once one of a service that was killed has gone from its port."""
    until_s = time.monotonic() + _GONE_S
    while not _is_free(port) and time.monotonic() < until_s:
        await asyncio.sleep(0.1)
    await mlflow.run()


def _registry_port(home: Home, settings: Settings) -> int:
    """The port of the home's own registry; where it was not named and is in use, a free one.

    One that was started by an ``up`` that was killed ends soon, and its port is the one that those
    who train have in their settings: so that is taken all the same. Raises PortInUse.
    """
    port = settings.registry.port
    try:
        with bind(HOST, port, "registry.port") as listener:
            return int(listener.getsockname()[1])
    except PortInUse:
        killed = home.killed()
        if killed is not None and urlsplit(killed.registry).port == port:
            return port
        if settings.origins.get("registry.port", "default") != "default":
            raise
        with socket.socket() as listener:
            listener.bind((HOST, 0))
            return int(listener.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _say_ready(say: Say, running: Running, names: Sequence[str]) -> None:
    served = ", ".join(names) or "no endpoint yet"
    say(f"Serving {served} at {running.address}  (page: /  API: /docs)")
    say(f"Administration and metrics at {running.administration}")
    if running.grpc:
        say(f"gRPC at {running.grpc}")
    if running.registry:
        say(f"MLflow at {running.registry}")
