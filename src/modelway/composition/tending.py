"""What tends to a home while it serves: one loop a concern, each in a thread of its own.

What one of them cannot do now (the registry is away) is said once, and tried again; none stops the
others. Several hosts may tend to one store: whatever they do is decided by the store.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache

from modelway.composition.calling_back import calling_back
from modelway.composition.control import Control, now
from modelway.composition.giving_way import NOTHING, give_way
from modelway.composition.presence import SEEN_S
from modelway.composition.scheduling import timekeeper
from modelway.domain.errors import AliasNotFound, ModelwayError
from modelway.settings import Settings
from modelway.telemetry.logs import configure_logs

_BUNDLE_S = 1.0
_SEAL_S = 2.0
_SEND_S = 2.0
_KEEP_S = 600.0
_FORGET_S = 60.0
_CALL_BACK_S = 1.0
_SCHEDULE_S = 1.0
_ENDS_S = 4.0
"""So long is waited for posts and scheduled runs under way, which have a moment."""

_log = logging.getLogger("modelway.tend")


@dataclass(slots=True)
class Concern:
    """Something done every ``every_s``; ``trouble`` is what it last could not do.

    What ``is_patient`` takes no time of a core that anybody else wants. ``last`` is done once it
    is to end.
    """

    name: str
    every_s: float
    once: Callable[[], object]
    is_patient: bool = False
    last: Callable[[], object] | None = None
    trouble: str = field(default="")

    def run(self, ended: threading.Event) -> None:
        """Do it until told to end."""
        if self.is_patient:
            give_way(NOTHING)
        while not ended.wait(self.every_s):
            self.tried()
        if self.last is not None:
            Concern(f"ending {self.name}", 0, self.last).tried()

    def tried(self) -> None:
        """Do it once; what it cannot do is logged when it is something else than before."""
        try:
            self.once()
        except ModelwayError as error:
            self._say(error.message)
        except Exception as error:  # noqa: BLE001 - the other concerns go on, and so does this one
            if self.trouble != repr(error):
                _log.exception("%s failed", self.name)
            self.trouble = repr(error)
        else:
            self._say("")

    def _say(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            _log.warning("%s: %s", self.name, trouble)
        elif self.trouble and not trouble:
            _log.info("%s goes on", self.name)
        self.trouble = trouble


def tend(settings: Settings) -> int:
    """Tend to the home until SIGTERM, or until whoever started this has ended.

    While another process does so, which a worker may have started, this one calls back and waits.
    """
    configure_logs(settings.telemetry)
    ended = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: ended.set())
    threading.Thread(target=_outlive_nobody, args=(ended,), daemon=True).start()
    with Control(settings, patient=True) as control:
        # Callbacks have leases; and only some processes of a home may know how to tell them.
        calling = _begin(callbacks(control, ended), ended)
        with control.home.tended(ended):
            _begin(concerns(control), ended)
            running = _begin([schedules(control)], ended)
            ended.wait()
            _join([*calling, *running])
            if control.settings.records.url:
                # Other hosts read only what was sent, and this one may not come back.
                Concern("sending the last records", 0, lambda: send_records(control)).tried()
    return 0


def _join(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.join(_ENDS_S)


def _begin(some: Sequence[Concern], ended: threading.Event) -> list[threading.Thread]:
    threads = [
        threading.Thread(target=one.run, args=(ended,), name=one.name, daemon=True) for one in some
    ]
    for thread in threads:
        thread.start()
    return threads


def callbacks(control: Control, ended: threading.Event) -> list[Concern]:
    """What is told, where this process is to tell it; any number of them may at the same time."""
    if not control.settings.jobs.callback_urls:
        return []
    calling = calling_back(control)
    return [Concern("calling back", _CALL_BACK_S, lambda: calling.once(ended))]


def schedules(control: Control) -> Concern:
    """What is run by the clock, where this process is the one that tends to the home."""
    made = cache(lambda: timekeeper(control))
    return Concern(
        "running schedules", _SCHEDULE_S, lambda: made().once(), last=lambda: made().end()
    )


def concerns(control: Control) -> list[Concern]:
    """Everything that one process of a home tends to."""
    return [
        Concern(
            "comparing the registry with the ledger",
            control.settings.registry.poll_s,
            lambda: control.promoting.reconcile(now()),
        ),
        Concern("bundling what endpoints want", _BUNDLE_S, lambda: bundle_wanted(control)),
        Concern("saying where bundles are", SEEN_S, lambda: say_where_bundles_are(control)),
        Concern("sealing records", _SEAL_S, lambda: control.keeper.seal_once(), is_patient=True),
        Concern("sending records", _SEND_S, lambda: control.keeper.send(), is_patient=True),
        Concern("forgetting jobs", _FORGET_S, lambda: forget_jobs(control)),
        Concern("keeping records", _KEEP_S, lambda: keep_records(control), is_patient=True),
    ]


def say_where_bundles_are(control: Control) -> None:
    """Say in the store that this home is there, by what the place of its bundles says itself."""
    control.bundles.ask_place()
    control.presence.enter()


def forget_jobs(control: Control) -> None:
    """Remove jobs that ended long ago, with what was sent and answered."""
    settings, at = control.settings.jobs, now()
    keep, lasts = timedelta(seconds=settings.keep_s), timedelta(seconds=settings.callback_lasts_s)
    control.store.jobs.forget(at - keep, at - lasts)
    control.store.uploads.forget(at)


def send_records(control: Control) -> None:
    """Seal what nobody writes any more, and send it where records are kept."""
    control.keeper.seal_once()
    control.keeper.send()


def keep_records(control: Control) -> None:
    """Merge the small files of days that are over, and remove what is older than is kept."""
    settings = control.settings.records
    control.keeper.compact(now().date())
    if settings.keep_days or settings.keep_bytes:
        age = timedelta(days=settings.keep_days) if settings.keep_days else None
        control.keeper.retain(age, settings.keep_bytes or None)


def bundle_wanted(control: Control) -> None:
    """Build what an endpoint refers to and has no bundle, and have other hosts see what is here.

    What could not be built before is not tried again.
    """
    links = control.store.links
    resolver = control.resolver()
    failed: ModelwayError | None = None
    for revision in control.store.endpoints.current():
        endpoint = revision.endpoint
        if endpoint is None:
            continue
        for reference in endpoint.versions:
            try:
                model, version = resolver.number(reference)
            except AliasNotFound:
                continue
            digest = links.digest(model, version)
            try:
                if digest is not None:
                    control.bundles.share(digest)
                elif links.reason(model, version) is None:
                    _log.info("bundling %s:%s", model, version, extra={"endpoint": revision.name})
                    control.registered.bundle(model, version, _log.info)
            except ModelwayError as error:  # what others want is built all the same
                failed = failed or error
    if failed is not None:
        raise failed


def _outlive_nobody(ended: threading.Event) -> None:
    """Standard input ends with the process that started this one."""
    try:
        while os.read(sys.stdin.fileno(), 4096):
            pass
    except OSError:
        pass
    ended.set()
