"""One process that answers: the models of a plan, the data plane over them, and its HTTP door.

What is imported here is what a serving process holds: the runtimes of its bundles and nothing that
trains, converts or tabulates.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from modelway.access.admitting import Keys
from modelway.access.keys import Key
from modelway.access.tls import Certificate
from modelway.composition.elsewhere import ByAdministration
from modelway.composition.frameworks import open_remote
from modelway.composition.isolation import opener
from modelway.composition.job_keeping import stored_jobs
from modelway.composition.plan import ServePlan
from modelway.composition.securing import certificate_of, is_loopback
from modelway.console import pages
from modelway.domain.errors import ModelwayError
from modelway.endpoints.arms import ArmCounting
from modelway.endpoints.deployments import Deployments, called, known, routing_of
from modelway.endpoints.planned import PlannedEndpoint, PlannedVersion
from modelway.endpoints.router import EndpointRouter, Routing
from modelway.endpoints.shadowing import Shadowing
from modelway.inference.catalogue import Catalogue, Entry
from modelway.inference.counting import Counting
from modelway.inference.dataplane import DataPlane
from modelway.inference.loading import LoadedModel, load_model
from modelway.inference.metering import InferenceMetrics
from modelway.inference.own_ids import OwnIds
from modelway.inference.ports import Observer
from modelway.inference.statistics import Statistics
from modelway.rest.accepting import CENSUS, Census
from modelway.rest.app import App, create_app
from modelway.rest.cors import Cors
from modelway.rest.crossing import Crossing
from modelway.rest.encoding import PREDICTION, AnswerEncoder
from modelway.rest.metering import HttpMetrics
from modelway.rest.observed import Observed, Proxies
from modelway.rest.routes import template_of
from modelway.rest.server import Application, Server
from modelway.rest.starting import Starting
from modelway.telemetry.access import AccessLog
from modelway.telemetry.instruments import Metrics
from modelway.telemetry.machine import EVERY_S, Machine
from modelway.telemetry.metrics import CONNECTIONS
from modelway.telemetry.slots import Slot
from modelway.telemetry.spans import PassedOn, Spans

if TYPE_CHECKING:
    from modelway.composition.recording import RecordMetrics
    from modelway.grpc.door import GrpcDoor
    from modelway.records.recorder import Recorder

_log = logging.getLogger(__name__)

_OWN_IDS = "own-ids"
"""The file of the ids that callers brought: in the home of ``up``, where their records are too."""

_SPANS_S = 2.0
"""How long the last spans have to be sent."""


class Service:
    """What answers in one process; ``slot`` names its numbers.

    It is used by one event loop. ``deployments`` change what answers while it does.
    """

    def __init__(self, plan: ServePlan, slot: int) -> None:
        self._plan = plan
        self._slot = slot
        self.metrics = Metrics(Slot.open(Path(plan.metrics_folder), str(slot)))
        self._meter = InferenceMetrics(self.metrics)
        self._connections = self.metrics.gauge(CONNECTIONS)
        self._machine = Machine(self.metrics, Path(plan.home))
        self._statistics = Statistics()
        self._keys = None if plan.keys is None else Keys(plan.keys)
        self._certificate = certificate_of(plan.serve)
        self._recorder: Recorder | None = None
        self._record_metrics: RecordMetrics | None = None
        self._shadowing: Shadowing | None = None
        self._arms = ArmCounting()
        self._router: EndpointRouter
        self._catalogue = Catalogue(self._load, self._meter, plan.inference)
        http = HttpMetrics(self.metrics)
        self.server = Server(
            Starting(plan.rest).answer,
            max_body_bytes=plan.rest.max_body_bytes,
            observe=http.observe,
        )
        self.plane: DataPlane
        self.deployments: Deployments
        self._reading: asyncio.TimerHandle | None = None
        self._grpc: GrpcDoor | None = None
        self._spans: Spans = PassedOn()
        if plan.telemetry.traces:
            from modelway.composition.tracing import open_spans

            self._spans = open_spans(str(slot))

    async def start(self, listeners: Sequence[socket.socket], *, shared: bool = False) -> None:
        """Accept connections; until the models are open they are told so.

        Where the sockets are ``shared``, other processes accept on them too.
        """
        folder = Path(self._plan.metrics_folder)
        census = Census(folder / CENSUS, self._slot) if shared else None
        tls = None if self._certificate is None else self._certificate.context
        await self.server.start(listeners, census, tls)
        self._read()

    async def open(self) -> None:
        """Open every model of the plan, and answer.

        Raises:
            ModelwayError: a model cannot be opened.
            BadValue: a route or a word cannot be used.
        """
        plan = self._plan
        self._router = router = await self._described()
        for name in router.endpoints():
            self.routed(name)
        self.deployments = Deployments(self._catalogue, router, self._check, self._settle)
        own_ids = OwnIds(_shared_folder(plan) / _OWN_IDS)
        await asyncio.to_thread(own_ids.open)
        self.plane = DataPlane(
            router,
            self._catalogue,
            observers=self._observers(router),
            admission=self._keys,
            settings=plan.inference,
            own_ids=own_ids,
        )
        app = application(plan, self.plane, self._statistics, self._keys)
        for entry in self._catalogue:
            routing = router.routing(entry.name)
            wanted = routing is not None and entry in routing.active
            if wanted and (not plan.inference.lazy or entry.pinned):
                # What was opened for nothing is an entry's fault, and said in the log.
                with contextlib.suppress(*(() if plan.insists else (ModelwayError,))):
                    await self._catalogue.opened(entry)
        await self._open_grpc()
        self.server.refusal = app.refusal
        self.server.answer = self._around(app)

    async def _described(self) -> EndpointRouter:
        """The endpoints of the plan, every version known and none open."""
        plan = self._plan
        routings = []
        for one in plan.endpoints:
            await self._know(one.name, one.older)
            try:
                routings.append(await self._routing(one))
            except ModelwayError as error:
                if plan.insists:
                    raise
                _log.error("%s does not answer: %s", one.name, error)
        names = [routing.live.name for routing in routings]
        default = plan.default if plan.insists or plan.default in names else ""
        return EndpointRouter(self._catalogue, routings, default)

    def _observers(self, router: EndpointRouter) -> Sequence[Observer]:
        """Who is told of answers: those who count, the recorder, and the shadows last."""
        told: list[Observer] = [self._arms]
        if self._plan.records is not None:
            # A service that records nothing begins without it, also where there is no flock.
            from modelway.composition.recording import RecordMetrics, recorder_of

            plan, slot = self._plan.records, str(self._slot)
            self._record_metrics = RecordMetrics(self.metrics)
            self._recorder = recorder_of(plan, slot, router, self._record_metrics)
            self._recorder.start()
            told.append(self._recorder)
        self._shadowing = Shadowing(router, self._catalogue, told, self._meter, open_remote)
        return (Counting(self._meter, self._statistics), *told, self._shadowing)

    async def drain(self) -> None:
        """Finish what is under way, in the time there is for it."""
        drains = [self.server.drain(self._plan.serve.drain_s)]
        if self._grpc is not None:
            drains.append(self._grpc.stop(self._plan.serve.drain_s))
        await asyncio.gather(*drains)
        self._spans.close(_SPANS_S)
        if self._shadowing is not None:
            await self._shadowing.close()
        if self._recorder is not None:
            await self._recorder.closed()
        if self._record_metrics is not None:
            self._record_metrics.look()
        if self._reading is not None:
            self._reading.cancel()

    def admit(self, keys: Sequence[Key]) -> None:
        """Have these keys be the ones that are known, where any are asked for."""
        if self._keys is not None:
            self._keys.refresh(keys)

    def used(self) -> Mapping[str, datetime]:
        """When keys were used last, as far as this was not asked before."""
        if self._keys is None:
            return {}
        used = self._keys.used()
        self._keys.stored(used)
        return used

    def routed(self, endpoint: str) -> None:
        """Count an endpoint as it answers from now on."""
        self._arms.follow(endpoint, self._router.routing(endpoint))

    def counted(self) -> str:
        """What was counted of canaries and shadows, as far as this was not asked before; JSON."""
        return msgspec.json.encode(self._arms.taken()).decode()

    def close(self) -> bool:
        """Give up the models; gives whether none of them runs any more."""
        return self.plane.close() if hasattr(self, "plane") else True

    def _around(self, app: App) -> Application:
        """The application, with what browsers are told, spans and access log where wanted."""
        plan = self._plan
        answer: Application = app.answer
        if plan.rest.origins:
            answer = Crossing(answer, Cors(plan.rest.origins, keyed=plan.keys is not None)).answer
        access = AccessLog(plan.telemetry.access_log)
        if plan.telemetry.traces or access.on:
            proxies = Proxies(plan.serve.trusted_proxies)
            answer = Observed(answer, self._spans, access, proxies).answer
        self.server.one_by_one = answer != app.answer
        return answer

    async def _open_grpc(self) -> None:
        if self._plan.grpc_address:
            from modelway.composition.grpc_door import open_door

            self._grpc = await open_door(
                self.plane,
                self._plan.grpc,
                self._plan.grpc_address,
                self.metrics,
                AccessLog(self._plan.telemetry.access_log),
                self._spans,
                self._statistics,
                self._certificate,
                self._keys,
            )

    async def _routing(self, endpoint: PlannedEndpoint) -> Routing:
        """The versions of an endpoint, known from now on. Raises as knowing them does."""
        entries = [
            await known(self._catalogue, endpoint.name, version) for version in endpoint.active
        ]
        routing = routing_of(endpoint, entries)
        self._catalogue.called(endpoint.name, called(endpoint, entries))
        return routing

    async def _know(self, name: str, versions: Sequence[PlannedVersion]) -> None:
        """Know versions that answered before this process began; one that is gone is not known."""
        for one in versions:
            try:
                await known(self._catalogue, name, one)
            except ModelwayError as error:
                _log.warning("an older version of %s is not known any more: %s", name, error)

    def _load(self, name: str, version: str, folder: Path, apart: bool) -> LoadedModel:
        inference = self._plan.inference
        opened = opener(inference, allow_pickle=self._plan.allow_pickle, apart=apart)
        return load_model(name, folder, opened, inference, version)

    def _settle(self) -> None:
        """Have who answered be looked up for what waits to be recorded."""
        if self._recorder is not None:
            self._recorder.settle()

    def _check(self, entry: Entry) -> None:
        """Refuse a bundle that does not fit the routes and words of its endpoint."""
        for one in self._plan.endpoints:
            if one.name == entry.name:
                AnswerEncoder(entry.bundle, one.output_name or PREDICTION)
                if one.route:
                    template_of(one.route, entry.signature, ())

    def _read(self) -> None:
        self._machine.read()
        self._connections.set(len(self.server.connections))
        self._meter.look(self._catalogue)
        if self._record_metrics is not None:
            self._record_metrics.look()
        if self._certificate is not None:
            self._renew(self._certificate)
        self._reading = asyncio.get_running_loop().call_later(EVERY_S, self._read)

    def _renew(self, certificate: Certificate) -> None:
        try:
            if certificate.renew():
                _log.info("the certificate was renewed")
        except ModelwayError as error:
            _log.error("the certificate is not renewed: %s", error.message)


def _shared_folder(plan: ServePlan) -> Path:
    """Where the ids of callers lie: what is served from no home leaves nothing behind."""
    return Path(plan.metrics_folder if plan.insists else plan.home)


def application(
    plan: ServePlan, plane: DataPlane, statistics: Statistics, keys: Keys | None = None
) -> App:
    """The HTTP application over a data plane, with the console's pages."""
    elsewhere = ByAdministration(
        plan.administration, Path(plan.home), plane.router.endpoints, plan.serve.tls_cert
    )
    return create_app(
        plane,
        plan.rest,
        pages=pages(),
        templates={one.route: one.name for one in plan.endpoints if one.route},
        output_names={one.name: one.output_name for one in plan.endpoints if one.output_name},
        loopback=is_loopback(plan.serve),
        statistics=statistics,
        deployments=elsewhere,
        keys=keys,
        # A service that insists on its models has been given them: it follows no store.
        labels=None if plan.insists else elsewhere,
        jobs=None if plan.jobs is None else stored_jobs(plan.jobs),
    )
