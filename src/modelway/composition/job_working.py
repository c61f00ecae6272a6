"""``modelway worker``: answers the jobs of a home, or of the store that it shares.

    Worker ── leases, results ──> the store's queue
       └── answers ──> a service that listens nowhere, and follows the endpoints as those that do

Any number of them work on one queue, on any number of hosts. Each opens the bundles that answer
there, by their digests, and records what it answers in its own home; where no ``modelway up`` runs
there it has the home tended to itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from modelway.composition.administration import Extra, administer
from modelway.composition.calling_back import check_callbacks
from modelway.composition.control import Control
from modelway.composition.following import Following
from modelway.composition.home import Home
from modelway.composition.home_children import tend_child
from modelway.composition.job_dispatching import job_queue
from modelway.composition.job_metrics import AttemptMetrics
from modelway.composition.listening import place_of
from modelway.composition.plan import Place, ServePlan
from modelway.composition.recording import record_plan
from modelway.composition.remembering import begun
from modelway.composition.running import Beside, Running, kept_going
from modelway.composition.service import Service
from modelway.composition.worker import (
    Alone,
    end_now,
    have_threads,
    loop_factory,
    opened,
    stopped_by_signals,
)
from modelway.domain.errors import EndpointNotFound
from modelway.jobs.ports import JobQueue
from modelway.jobs.retrying import Retrying
from modelway.jobs.working import WorkBounds, Worker
from modelway.rest.job_answers import JobAnswers
from modelway.rest.predictions import Predictions
from modelway.settings import Settings
from modelway.supervisor.children import Children
from modelway.supervisor.sockets import bind
from modelway.telemetry.logs import configure_logs
from modelway.telemetry.slot_folder import SlotFolder

if TYPE_CHECKING:
    from modelway.backends.rabbitmq.queue import RabbitmqJobQueue
    from modelway.backends.sql.jobs.jobs import SqlJobs

Say = Callable[[str], object]

_LOOK_S = 2.0
"""How often is looked whether ``up`` runs in the home."""

_log = logging.getLogger("modelway.jobs")


WorkerSlot = tuple[Path, int]
"""A folder of slots, and the number of the worker's own."""


def work(
    settings: Settings, say: Say, endpoints: Sequence[str], slot: WorkerSlot | None = None
) -> int:
    """Answer jobs until SIGTERM or SIGINT; gives the exit code. Of no endpoints it answers all.

    One that is given a ``slot`` is a service's, which shows what it counts. Another does so itself,
    where there is a port for it.

    Raises:
        PortInUse, BadValue: that cannot be listened on.
        BadValue: callbacks cannot be signed by what tends to the home; another host that shares the
            store has its bundles elsewhere.
        EndpointNotFound: one of the endpoints is not there.
        HomeTooNew: the home or its store cannot be opened.
        Unavailable: the store, or the place of the bundles, cannot be reached, and never was from
            this home.
    """
    configure_logs(settings.telemetry)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        # All that is held is given up before threads are waited for, some of which may never end.
        if not _worked(settings, say, endpoints, slot, runner):
            end_now()
    return 0


def _worked(
    settings: Settings,
    say: Say,
    endpoints: Sequence[str],
    slot: WorkerSlot | None,
    runner: asyncio.Runner,
) -> bool:
    """Answer jobs until told to end; gives whether no model is busy any more."""
    with (
        Control(Home(settings.bundles.home).settled(settings), patient=True) as control,
        closing(_queue(control)) as queue,
        control.presence.entered() if slot is None else nullcontext(),
        _slot(slot) as (folder, number),
        _listener(control.settings, slot) as listener,
    ):
        if slot is None:
            check_callbacks(control.settings.jobs)
        first = begun(control)
        names = [one.name for one in first.endpoints]
        unknown = [one for one in endpoints if one not in names]
        if unknown:
            raise EndpointNotFound(unknown[0], names)
        records = record_plan(control.home, control.settings.records)
        place = Place(str(folder), administration="")
        if listener is not None:
            place = place_of(control.settings, folder, listener, None)
        plan = ServePlan.of(
            control.settings, first.endpoints, "", place, insists=False, records=records
        )
        given = _Given(control, queue, plan, number, listener)
        return runner.run(_work(given, say, frozenset(endpoints) or None))


@dataclass(frozen=True, slots=True)
class _Given:
    """What a worker works with: ``number`` is its slot, ``listener`` its administration's."""

    control: Control
    queue: JobQueue
    plan: ServePlan
    number: int
    listener: socket.socket | None


def _queue(control: Control) -> SqlJobs | RabbitmqJobQueue:
    """Where jobs are leased; what a worker has before that is one batch for each of its turns."""
    jobs = control.settings.jobs
    return job_queue(control.store, jobs.broker, jobs.batch * jobs.concurrency)


@contextmanager
def _slot(given: WorkerSlot | None) -> Iterator[WorkerSlot]:
    if given is not None:
        yield given
        return
    with SlotFolder.make(1) as slots:
        yield slots.path, 0


def _listener(
    settings: Settings, slot: WorkerSlot | None
) -> AbstractContextManager[socket.socket | None]:
    """The socket of the worker's own administration, where it has one."""
    port = settings.jobs.metrics_port
    if slot is not None or not port:
        return nullcontext()
    return bind(settings.admin.host, port, "--metrics-port")


async def _work(given: _Given, say: Say, wanted: frozenset[str] | None) -> bool:
    stopped = stopped_by_signals()
    have_threads()
    control, plan = given.control, given.plan
    service = Service(plan, given.number)
    await service.start(())
    if not await opened(service, stopped):
        return False
    alone = Alone(service, plan)
    administration = None
    if given.listener is not None:
        administration = await administer(alone, given.listener, plan, Extra(follows=True))
        say(f"Administration and metrics at {plan.administration}")
    following: Beside = _following(control, plan).follow
    beside = [
        asyncio.create_task(kept_going(one, alone))
        for one in (following, partial(_tended, control))
    ]
    worker = _worker(given, service, wanted)
    names = ", ".join(sorted(wanted or service.plane.router.endpoints()))
    say(f"Working on jobs of {names or 'no endpoint yet'}")
    try:
        await worker.run(stopped)
    finally:
        await service.drain()
        if administration is not None:
            await administration.drain(0)
        closed = service.close()
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
    return closed


async def _tended(control: Control, _: Running) -> None:
    """Have the home tended to while no ``up`` runs there, which does it as it was started itself.

    Nobody else would seal there what is recorded, and send it where it is read.
    """
    while True:
        while control.home.running() is not None:
            await asyncio.sleep(_LOOK_S)
        tend = Children([tend_child(control.home, control.settings)])
        tending = asyncio.create_task(tend.run())
        try:
            while control.home.running() is None:
                await asyncio.sleep(_LOOK_S)
        finally:
            tending.cancel()
            await asyncio.gather(tending, return_exceptions=True)


def _following(control: Control, plan: ServePlan) -> Following:
    poll_s = control.settings.store.poll_s
    return Following(control.store.generation, control.look, poll_s, plan.endpoints)


def _worker(given: _Given, service: Service, wanted: frozenset[str] | None) -> Worker:
    words = {one.name: one.output_name for one in given.plan.endpoints if one.output_name}
    predictions = Predictions(service.plane, given.plan.rest, words)
    jobs = given.control.settings.jobs
    return Worker(
        given.queue,
        JobAnswers(service.plane, predictions, wanted),
        AttemptMetrics(service.metrics),
        f"{socket.gethostname()}-{os.getpid()}",
        WorkBounds(jobs=jobs.batch, lease_s=jobs.lease_s, turns=jobs.concurrency),
        Retrying(jobs.attempts, jobs.retry_s, jobs.longest_retry_s),
    )
