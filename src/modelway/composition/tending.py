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
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from modelway.composition.control import Control, now
from modelway.domain.errors import AliasNotFound, ModelwayError
from modelway.settings import Settings
from modelway.telemetry.logs import configure_logs

_BUNDLE_S = 1.0
_SEAL_S = 2.0
_KEEP_S = 600.0
_LEAST_PRIORITY = 19

_log = logging.getLogger("modelway.tend")


@dataclass(slots=True)
class Concern:
    """Something done every ``every_s``; ``trouble`` is what it last could not do.

    What ``is_patient`` takes no time of a core that anybody else wants.
    """

    name: str
    every_s: float
    once: Callable[[], object]
    is_patient: bool = False
    trouble: str = field(default="")

    def run(self, ended: threading.Event) -> None:
        """Do it until told to end."""
        if self.is_patient and sys.platform == "linux":  # elsewhere it would be the whole process
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LEAST_PRIORITY)
        while not ended.wait(self.every_s):
            self.tried()

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
    """Tend to the home until SIGTERM, or until whoever started this has ended."""
    configure_logs(settings.telemetry)
    ended = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: ended.set())
    threading.Thread(target=_outlive_nobody, args=(ended,), daemon=True).start()
    with Control(settings) as control:
        threads = [
            threading.Thread(target=one.run, args=(ended,), name=one.name, daemon=True)
            for one in concerns(control)
        ]
        for thread in threads:
            thread.start()
        ended.wait()
    return 0


def concerns(control: Control) -> list[Concern]:
    """Everything that is tended to."""
    return [
        Concern(
            "comparing the registry with the ledger",
            control.settings.registry.poll_s,
            lambda: control.promoting.reconcile(now()),
        ),
        Concern("bundling what endpoints want", _BUNDLE_S, lambda: bundle_wanted(control)),
        Concern("sealing records", _SEAL_S, lambda: control.keeper.seal_once(), is_patient=True),
        Concern("keeping records", _KEEP_S, lambda: keep_records(control), is_patient=True),
    ]


def keep_records(control: Control) -> None:
    """Merge the small files of days that are over, and remove what is older than is kept."""
    settings = control.settings.records
    control.keeper.compact(now().date())
    if settings.keep_days or settings.keep_bytes:
        age = timedelta(days=settings.keep_days) if settings.keep_days else None
        control.keeper.retain(age, settings.keep_bytes or None)


def bundle_wanted(control: Control) -> None:
    """Build what an endpoint refers to and has no bundle; what failed before is not tried again."""
    links = control.store.links
    resolver = control.resolver()
    failed: ModelwayError | None = None
    for revision in control.store.endpoints.current():
        endpoint = revision.endpoint
        if endpoint is None:
            continue
        canaries = [one.reference for one in endpoint.canaries]
        for reference in (endpoint.live, *canaries, *endpoint.shadows):
            try:
                model, version = resolver.number(reference)
            except AliasNotFound:
                continue
            if links.digest(model, version) is None and links.reason(model, version) is None:
                _log.info("bundling %s:%s", model, version, extra={"endpoint": revision.name})
                try:
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
