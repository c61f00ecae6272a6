"""``modelway up``: everything that a home has, started on one machine and kept running.

    up                 sockets, slots, administration; follows the endpoints of the store
    +- answer          a worker for each slot
    +- tend            reconciles the registry, bundles what is wanted, seals records
    `- mlflow server   the home's own registry, where no other is named

Serving waits for none of the others: what is bundled answers as soon as the workers are up, also
while MLflow takes its time, or is away.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from modelway.composition.administration import Extra, admin_listener
from modelway.composition.control import Control, now
from modelway.composition.following import Following
from modelway.composition.home import Home, Running
from modelway.composition.judging import Judging
from modelway.composition.keyring import Keyring, check_some
from modelway.composition.listening import address_of, grpc_port, listening, place_of
from modelway.composition.mlflow_server import server_command
from modelway.composition.operation_routes import operation_routes
from modelway.composition.operation_table import OPERATIONS
from modelway.composition.plan import Place, ServePlan
from modelway.composition.recording import record_plan
from modelway.composition.running import Beside
from modelway.composition.securing import needs_keys
from modelway.composition.serving import supervise
from modelway.composition.status import status_operation
from modelway.domain.errors import ModelwayError, PortInUse
from modelway.settings import Settings, child_environment
from modelway.supervisor.attached import attached
from modelway.supervisor.children import ChildCommand, Children
from modelway.supervisor.sockets import bind
from modelway.telemetry.logs import configure_logs
from modelway.telemetry.slot_folder import SlotFolder

Say = Callable[[str], object]


def up(settings: Settings, say: Say, *, mlflow: bool) -> int:
    """Run everything until SIGTERM or SIGINT; gives the exit code.

    ``mlflow`` is whether the home's own MLflow server is started, where no other is named.

    Raises:
        PortInUse, BadValue: an address cannot be listened on.
        HomeTooNew, StoreUnavailable: the home or its store cannot be opened.
        Conflict: another ``up`` runs in this home.
    """
    configure_logs(settings.telemetry)
    home = Home(settings.bundles.home)
    own = mlflow and not settings.registry.url
    registry_port = _free_port(settings) if own else 0
    registry = f"http://127.0.0.1:{registry_port}" if own else settings.registry.url
    with (
        home.taken(),
        Control(settings, registry or None) as control,
        SlotFolder.make(settings.serve.workers + 1) as slots,
        listening(settings.serve) as listener,
        admin_listener(settings) as admin,
        grpc_port(settings) as grpc,
    ):
        keyring = Keyring(control.store.keys)
        place = place_of(settings, slots.path, admin, grpc)
        plan = _plan(control, keyring, place)
        generation, poll_s = control.store.generation, settings.store.poll_s
        following = Following(generation, control.look, poll_s, plan.names)
        children = Children(_children(home, settings, registry_port if own else None))
        operations = (*OPERATIONS, status_operation(lambda: following.troubles))
        extra = Extra(keyring.administration, operation_routes(control, operations))
        address = address_of(settings, listener)
        shown = control.registry.url if registry else ""  # without a password in it
        running = Running(
            os.getpid(), now(), address, place.administration, shown, place.grpc_address
        )
        judging = Judging(control)
        beside: list[Beside] = [following.follow, keyring.follow, judging.follow]
        beside.append(lambda _: children.run())
        home.announce(running)
        try:
            ready = partial(_say_ready, say, running, plan.names)
            return asyncio.run(supervise(plan, listener, admin, ready, beside, extra))
        finally:
            home.leave()


def _plan(control: Control, keyring: Keyring, place: Place) -> ServePlan:
    """What the workers begin with. Raises BadValue where keys are needed and there are none."""
    settings = control.settings
    keyed = needs_keys(settings)
    if keyed:
        check_some(keyring.keys)
    endpoints = [one for one in control.look().values() if not isinstance(one, ModelwayError)]
    names = [one.name for one in endpoints]
    default = settings.serve.default or _oldest(control, names)
    return ServePlan.of(
        settings,
        endpoints,
        default if default in names else "",
        place,
        insists=False,
        keys=keyring.keys if keyed else None,
        records=record_plan(control.home, settings.records),
    )


def _oldest(control: Control, names: Iterable[str]) -> str:
    """The endpoint that was there first: it stays the default one whatever comes beside it."""
    history = control.store.endpoints.history
    return min(names, key=lambda name: history(name)[0].at, default="")


def _children(home: Home, settings: Settings, own_port: int | None) -> list[ChildCommand]:
    """What runs beside the workers."""
    arguments = [sys.executable, "-P", "-m", "modelway", "tend", "--home", str(home.path)]
    environment = child_environment(
        MODELWAY__STORE__URL=settings.store.url, MODELWAY__REGISTRY__URL=settings.registry.url
    )
    found = [ChildCommand("tend", arguments, home.log("tend"), environment)]
    if own_port is not None:
        command = server_command(home.path, own_port)
        log = home.log("mlflow")
        arguments = attached(command.arguments)
        found.append(ChildCommand("mlflow", arguments, log, command.environment))
    return found


def _free_port(settings: Settings) -> int:
    """The port of the home's own registry; where it was not named and is in use, a free one."""
    port = settings.registry.port
    try:
        with bind("127.0.0.1", port, "registry.port") as listener:
            return int(listener.getsockname()[1])
    except PortInUse:
        if settings.origins.get("registry.port", "default") != "default":
            raise
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            return int(listener.getsockname()[1])


def _say_ready(say: Say, running: Running, names: Sequence[str]) -> None:
    served = ", ".join(names) or "no endpoint yet"
    say(f"Serving {served} at {running.address}  (page: /  API: /docs)")
    say(f"Administration and metrics at {running.administration}")
    if running.grpc:
        say(f"gRPC at {running.grpc}")
    if running.registry:
        say(f"MLflow at {running.registry}")
