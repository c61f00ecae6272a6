"""One process that answers: a plan and a listening socket in, an HTTP service out.

A worker that is alone accepts at once, so ``/health/live`` answers while models are loaded and
everything else gets 503 until all of them are. One of several accepts when it is ready.

What is imported here is what a serving process holds: the runtimes of its bundles and nothing that
trains, converts or tabulates.

It ends in a bounded time: requests that are open for longer than the drain are answered with 503,
and a model that runs or loads all the same ends with the process, since no thread can be stopped.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import msgspec

from modelway.composition.footprint import give_back
from modelway.domain.errors import BadValue, NotReady
from modelway.settings import InferenceSettings, RestSettings, ServeSettings, TelemetrySettings
from modelway.telemetry.logs import configure_logs

if TYPE_CHECKING:
    import uvicorn

    from modelway.inference.dataplane import DataPlane

Application = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application."""

_LAST_WORDS_S = 0.5
"""How long requests that the drain cut off get to be told so."""

_ALIVE = b'{"live":true}'
_NOT_READY = msgspec.json.encode(
    {
        "type": "about:blank",
        "title": "Not ready",
        "status": 503,
        "detail": "models are being loaded",
        "code": NotReady.code,
    }
)


class PlannedEndpoint(msgspec.Struct, frozen=True):
    """A bundle's folder and the name it answers under; ``route`` and ``output_name`` if wanted."""

    name: str
    folder: str
    route: str | None = None
    output_name: str | None = None


class ServePlan(msgspec.Struct, frozen=True):
    """All that a worker needs to know, the same for every worker of a service.

    ``default`` is the endpoint behind ``/predict``. Without ``allow_pickle`` a bundle that answers
    with a pickle is not opened.
    """

    endpoints: tuple[PlannedEndpoint, ...]
    default: str
    serve: ServeSettings
    rest: RestSettings
    inference: InferenceSettings
    telemetry: TelemetrySettings
    allow_pickle: bool


def answer(
    plan: ServePlan,
    listener: socket.socket,
    when_ready: Callable[[], None],
    orders: IO[bytes] | None = None,
) -> None:
    """Answer requests until SIGTERM or SIGINT, or until ``orders`` ends; then finish what is open.

    ``when_ready`` is called once, on the event loop, when every model is loaded and warmed up.

    Raises:
        ModelwayError: a model could not be loaded; nothing listens any more.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        if orders is None:
            runner.run(_answer_alone(plan, listener, when_ready))
        else:
            runner.run(_answer_among_others(plan, listener, when_ready, orders))


def answer_supervised(descriptor: int, orders: IO[bytes]) -> None:
    """Answer as one of several workers, on an inherited socket.

    The first line of ``orders`` is the plan; its end says that the supervisor is gone. The line
    ``ready`` on standard output tells the supervisor that this worker answers.

    Raises:
        BadValue: the first line is no plan.
        ModelwayError: a model could not be loaded.
    """
    try:
        plan = msgspec.json.decode(orders.readline(), type=ServePlan)
    except msgspec.MsgspecError as error:
        raise BadValue(f"the supervisor's plan cannot be read: {error}") from error
    configure_logs(plan.telemetry)

    def when_ready() -> None:
        sys.stdout.write("ready\n")
        sys.stdout.flush()

    answer(plan, socket.socket(fileno=descriptor), when_ready, orders)


def _data_plane(plan: ServePlan) -> DataPlane:
    """A data plane over every model of the plan, opened and warmed up."""
    from modelway.composition.frameworks import open_runtime
    from modelway.inference.dataplane import DataPlane
    from modelway.inference.implicit import ImplicitRouter
    from modelway.inference.loading import load_model

    opened = partial(open_runtime, allow_pickle=plan.allow_pickle)
    models = [
        load_model(one.name, Path(one.folder), opened, strict=plan.inference.strict)
        for one in plan.endpoints
    ]
    return DataPlane(ImplicitRouter(models, plan.default), settings=plan.inference)


def _loaded(plan: ServePlan) -> tuple[DataPlane, Application]:
    plane = _data_plane(plan)
    return plane, application(plan, plane)


def application(plan: ServePlan, plane: DataPlane) -> Application:
    """The HTTP application over a data plane, with the console's pages."""
    from modelway.console import pages
    from modelway.rest.app import create_app

    app: Application = create_app(
        plane,
        plan.rest,
        pages=pages(),
        templates={one.route: one.name for one in plan.endpoints if one.route},
        output_names={one.name: one.output_name for one in plan.endpoints if one.output_name},
        loopback=_is_loopback(plan.serve.host),
    )
    return app


async def _answer_alone(
    plan: ServePlan, listener: socket.socket, when_ready: Callable[[], None]
) -> None:
    gate = _Gate(plan.rest.prefix)
    server = _server(gate, plan)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    loading = asyncio.create_task(asyncio.to_thread(_loaded, plan))
    try:
        await asyncio.wait((serving, loading), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
            _exit()
        plane, gate.inner = loading.result()
        give_back()
        when_ready()
    except BaseException:
        server.should_exit = True
        await serving
        raise
    await serving
    await _end(server, plane)


async def _answer_among_others(
    plan: ServePlan, listener: socket.socket, when_ready: Callable[[], None], orders: IO[bytes]
) -> None:
    """Load, then answer: what this worker does not accept, the others do."""
    plane = _data_plane(plan)
    server = _server(application(plan, plane), plan)
    give_back()
    _end_with(orders, server)
    asyncio.get_running_loop().call_soon(when_ready)
    await server.serve(sockets=[listener])
    await _end(server, plane)


async def _end(server: uvicorn.Server, plane: DataPlane) -> None:
    """Have the last requests answered, whose tasks the server has cancelled, and close."""
    left = list(server.server_state.tasks)
    for task in left:  # after a second Ctrl-C it has not
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=_LAST_WORDS_S)
    if not plane.close():
        _exit()


def _exit() -> NoReturn:
    """End the process whatever its threads do; Python itself would wait for them."""
    logging.getLogger(__name__).warning("ended while a model was busy")
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


def _server(app: Application, plan: ServePlan) -> uvicorn.Server:
    """The server, with signals left to it: it puts back what it found when it ends."""
    import uvicorn

    from modelway.rest.protocol import Connection

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, _ignore)
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, round(plan.serve.drain_s)),
    )
    return uvicorn.Server(config)


def _end_with(orders: IO[bytes], server: uvicorn.Server) -> None:
    """Let the server end when its orders do."""

    def heard() -> None:
        if not orders.read1(1024):  # type: ignore[attr-defined] # standard input is buffered
            loop.remove_reader(orders)
            server.should_exit = True

    loop = asyncio.get_running_loop()
    loop.add_reader(orders, heard)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _ignore(_signum: int, _frame: object) -> None:
    """Do nothing: the server's own handlers take this one's place, and it stays for the rest."""


class _Gate:
    """The application while models are loaded: alive, not ready; then whatever is put inside."""

    def __init__(self, prefix: str) -> None:
        self.inner: Application | None = None
        self._live = f"{prefix}/health/live"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if self.inner is not None:
            await self.inner(scope, receive, send)
            return
        live = scope["path"] == self._live
        status, kind, body = (
            (200, b"application/json", _ALIVE)
            if live
            else (503, b"application/problem+json", _NOT_READY)
        )
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        if not live:
            headers.append((b"retry-after", b"1"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
