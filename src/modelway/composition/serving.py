"""A service: sources become bundles, bundles become endpoints, one or several processes answer.

The socket is bound before anything slow is done, so a port in use is said at once. What is built is
built in a child process; this process never reads a model that is not a bundle.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from modelway.access.ports import AuditTrail
from modelway.composition.administration import Extra, admin_listener
from modelway.composition.fleet import Fleet
from modelway.composition.keyring import Keyring, check_some
from modelway.composition.listening import address_of, grpc_port, listening, place_of
from modelway.composition.plan import Place, ServePlan
from modelway.composition.referring import name_of, reference_in, referred
from modelway.composition.running import Beside
from modelway.composition.securing import needs_keys
from modelway.composition.watching import Watching
from modelway.domain.errors import InvalidInput, InvalidSource, UnknownSetting
from modelway.domain.names import alias_of, check_name
from modelway.endpoints.planned import PlannedEndpoint, PlannedVersion
from modelway.settings import Settings, child_environment
from modelway.telemetry.logs import configure_logs
from modelway.telemetry.slot_folder import SlotFolder

Say = Callable[[str], object]

SERVING = "Serving "
"""How the line begins that says where a service that is ready answers."""

_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,127})=(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ServeRequest:
    """What to serve, as the command line says it.

    ``routes`` and ``output_names`` are by endpoint; under None what was given without a name. The
    options of building hold for every source that is no bundle yet.
    """

    sources: Sequence[str]
    routes: Mapping[str | None, str] = field(default_factory=dict)
    output_names: Mapping[str | None, str] = field(default_factory=dict)
    data: Path | None = None
    target: str | None = None
    code: Path | None = None
    labels: str | None = None
    python: Path | None = None
    watch: bool = False


def serve(
    request: ServeRequest,
    settings: Settings,
    *,
    say: Say,
    when_ready: Callable[[str], object] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; gives the exit code.

    ``when_ready`` is called with the service's address once it answers.

    Raises:
        PortInUse, BadValue: the address cannot be listened on.
        InvalidSource: two sources have one name, or an option names none of them.
        ModelwayError: a source cannot be built, or a bundle cannot be loaded.
    """
    configure_logs(settings.telemetry)
    with (
        SlotFolder.make(settings.serve.workers + 1) as slots,
        listening(settings.serve) as listener,
        admin_listener(settings) as admin,
        grpc_port(settings) as grpc,
    ):
        # What changes from here on is noticed.
        watching = _watching(request, settings, say) if request.watch else None
        plan = plan_of(request, settings, say, place_of(settings, slots.path, admin, grpc))
        beside: list[Beside] = [] if watching is None else [watching.follow]
        extra = Extra()
        if needs_keys(settings):
            keyring, trail = _kept(settings)
            plan = msgspec.structs.replace(plan, keys=tuple(keyring.keys))
            beside.append(keyring.follow)
            extra = Extra(keyring.administration, trail=trail)
        ready = _announcing(plan, address_of(settings, listener), say, when_ready)
        if settings.serve.workers == 1:
            # A supervisor never needs what answering needs.
            from modelway.composition.worker import answer_alone

            answer_alone(plan, [listener], admin, ready, beside, extra)
            return 0
        return asyncio.run(supervise(plan, listener, admin, ready, beside, extra))


def _kept(settings: Settings) -> tuple[Keyring, AuditTrail]:
    """What the home's store keeps of who may, and of who did what.

    Raises:
        BadValue: there is no key to ask with.
    """
    from modelway.composition.control import Control

    store = Control(settings).store
    keyring = Keyring(store.keys, store.keys.all())
    check_some(keyring.keys)
    return keyring, store.audit


def _announcing(
    plan: ServePlan, url: str, say: Say, when_ready: Callable[[str], object] | None
) -> Callable[[], None]:
    """What says where a service answers, once it does."""

    def ready() -> None:
        names = ", ".join(one.name for one in plan.endpoints)
        say(f"{SERVING}{names} at {url}  (page: /  API: /docs)")
        say(f"Administration and metrics at {plan.administration}")
        if plan.grpc_address:
            say(f"gRPC at {plan.grpc_address}")
        if when_ready is not None:
            when_ready(url)

    return ready


def _watching(request: ServeRequest, settings: Settings, say: Say) -> Watching:
    """What watches the request's sources. Raises InvalidInput where one has no files here."""
    named = endpoint_names(request.sources)
    for source in named.values():
        if reference_in(source) is not None:
            raise InvalidInput(
                f"--watch looks at files, and {source} is looked for in a registry",
                hint="modelway up follows aliases",
            )
    return Watching(
        named,
        lambda name, source: _folder(source, name, request, settings, say),
    )


def plan_of(request: ServeRequest, settings: Settings, say: Say, place: Place) -> ServePlan:
    """The plan for the workers: every source a bundle by now, every option on its endpoint.

    Raises:
        InvalidSource: two sources have one name, or an option names none of them.
        ModelwayError: a source cannot be built.
    """
    named = endpoint_names(request.sources)
    routes = _by_endpoint(request.routes, list(named), "--route")
    words = _by_endpoint(request.output_names, list(named), "--output-name")
    endpoints = tuple(
        PlannedEndpoint(
            name,
            PlannedVersion(str(_folder(source, name, request, settings, say))),
            routes.get(name),
            words.get(name),
        )
        for name, source in named.items()
    )
    default = settings.serve.default or next(iter(named), "")
    if default not in named and named:
        raise UnknownSetting(
            f"serve.default names {default!r}, which is not served",
            hint=f"there is: {', '.join(named)}",
        )
    return ServePlan.of(settings, endpoints, default, place)


def endpoint_names(sources: Sequence[str]) -> dict[str, str]:
    """Source by endpoint name, in order; a source without a name is called after itself.

    ``rules.py:is_in_heat`` is ``is_in_heat``, a bundle is what its record says, a file or folder is
    its own name up to the first dot, a version of a registry is its model.

    Raises:
        InvalidSource: two sources have one name.
        InvalidName: a name may not name an endpoint.
    """
    found: dict[str, str] = {}
    for text in sources:
        named = _NAMED.fullmatch(text)
        if named and not Path(text).exists():
            name, source = named[1], named[2]
        else:
            name, source = _own_name(text), text
        if name in found:
            raise InvalidSource(
                f"{found[name]} and {source} would both be called {name!r}",
                hint="name them: a=SOURCE b=SOURCE",
            )
        found[check_name(name)] = source
    return found


def _folder(source: str, name: str, request: ServeRequest, settings: Settings, say: Say) -> Path:
    """The source's folder if it is a bundle, else that of the bundle made of it.

    Without links in its path: one that is pointed elsewhere later would part the workers.
    """
    if is_bundle(source):
        return Path(source).resolve()
    # What builds bundles is large, and a service of bundles starts without it.
    from modelway.composition.bundling import BuildRequest, cached

    wanted = BuildRequest(
        source=source,
        name=name,
        data=request.data,
        target=request.target,
        code=request.code,
        labels=request.labels,
        python=request.python,
    )
    if reference_in(source) is not None:
        return referred(wanted, settings, say).resolve()
    return cached(wanted, settings, say).resolve()


def is_bundle(source: str) -> bool:
    """Whether the source is the folder of a bundle."""
    return (Path(source) / "manifest.json").is_file()


def _own_name(source: str) -> str:
    reference = reference_in(source)
    if reference is not None:
        return name_of(reference)
    entry = source.rpartition(":")
    if entry[0].endswith(".py"):
        return entry[2]
    if is_bundle(source):
        try:
            record = json.loads((Path(source) / "record.json").read_bytes())
            return str(record["name"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # opening the bundle says what is wrong with it
    return alias_of(Path(source).absolute().name.partition(".")[0], 0)


def _by_endpoint(
    given: Mapping[str | None, str], names: Sequence[str], option: str
) -> Mapping[str, str]:
    """The option's values by endpoint; one without a name belongs to the only endpoint."""
    found = {}
    for name, value in given.items():
        if name is None and len(names) > 1:
            raise InvalidSource(
                f"{option} {value}: several models are served",
                hint=f"say which: {option} {names[0]}={value}",
            )
        endpoint = names[0] if name is None else name
        if endpoint not in names or endpoint in found:
            raise InvalidSource(
                f"{option} {endpoint}={value}: "
                + ("given twice" if endpoint in found else f"nothing is called {endpoint!r}"),
                hint=f"there is: {', '.join(names)}",
            )
        found[endpoint] = value
    return found


async def supervise(
    plan: ServePlan,
    listener: socket.socket,
    admin: socket.socket,
    ready: Callable[[], None],
    beside: Sequence[Beside],
    extra: Extra,
) -> int:
    """Serve by workers until SIGTERM or SIGINT; gives the exit code."""
    descriptor = listener.fileno()

    def arguments(slot: int) -> Sequence[str]:
        return (
            *(sys.executable, "-P", "-m", "modelway", "answer"),
            *("--descriptor", str(descriptor), "--slot", str(slot)),
        )

    fleet = Fleet(plan, arguments, (descriptor,), child_environment(), ready)
    return await fleet.run(admin, beside, extra)
