"""A service: sources become bundles, bundles become endpoints, one or several processes answer.

The socket is bound before anything slow is done, so a port in use is said at once. What is built is
built in a child process; this process never reads a model that is not a bundle.
"""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from modelway.composition.bundling import BuildRequest, cached
from modelway.composition.worker import PlannedEndpoint, ServePlan, answer
from modelway.domain.errors import InvalidSource, UnknownSetting
from modelway.domain.names import alias_of, check_name
from modelway.settings import Settings, child_environment
from modelway.supervisor.sockets import bind
from modelway.supervisor.workers import Supervisor, WorkerCommand
from modelway.telemetry.logs import configure_logs

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
    with bind(settings.serve.host, settings.serve.port) as listener:
        plan = plan_of(request, settings, say)
        url = _address(settings, listener)

        def ready() -> None:
            names = ", ".join(one.name for one in plan.endpoints)
            say(f"{SERVING}{names} at {url}  (page: /  API: /docs)")
            if when_ready is not None:
                when_ready(url)

        if settings.serve.workers == 1:
            answer(plan, listener, ready)
            return 0
        return _supervise(plan, listener, ready)


def plan_of(request: ServeRequest, settings: Settings, say: Say) -> ServePlan:
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
            str(_folder(source, name, request, settings, say).absolute()),
            routes.get(name),
            words.get(name),
        )
        for name, source in named.items()
    )
    default = settings.serve.default or endpoints[0].name
    if default not in named:
        raise UnknownSetting(
            f"serve.default names {default!r}, which is not served",
            hint=f"there is: {', '.join(named)}",
        )
    return ServePlan(
        endpoints=endpoints,
        default=default,
        serve=settings.serve,
        rest=settings.rest,
        inference=settings.inference,
        telemetry=settings.telemetry,
        allow_pickle=settings.bundles.allow_pickle,
    )


def endpoint_names(sources: Sequence[str]) -> dict[str, str]:
    """Source by endpoint name, in order; a source without a name is called after itself.

    ``rules.py:is_in_heat`` is ``is_in_heat``, a bundle is what its record says, a file or folder is
    its own name up to the first dot.

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
    """The source's folder if it is a bundle, else that of the bundle made of it."""
    if is_bundle(source):
        return Path(source)
    wanted = BuildRequest(
        source=source,
        name=name,
        data=request.data,
        target=request.target,
        code=request.code,
        labels=request.labels,
        python=request.python,
    )
    return cached(wanted, settings, say)


def is_bundle(source: str) -> bool:
    """Whether the source is the folder of a bundle."""
    return (Path(source) / "manifest.json").is_file()


def _own_name(source: str) -> str:
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


def _address(settings: Settings, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if listener.family == socket.AF_INET6 else host
    if settings.serve.host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not listened on
        shown = "127.0.0.1"
    return f"http://{shown}:{port}{settings.rest.prefix}"


def _supervise(plan: ServePlan, listener: socket.socket, ready: Callable[[], None]) -> int:
    descriptor = listener.fileno()
    command = WorkerCommand(
        arguments=lambda slot: (
            *(sys.executable, "-P", "-m", "modelway", "answer"),
            *("--descriptor", str(descriptor), "--slot", str(slot)),
        ),
        fds=(descriptor,),
        plan=msgspec.json.encode(plan),
        environment=child_environment(),
    )
    return Supervisor(command, plan.serve.workers, plan.serve.drain_s, ready).run()
