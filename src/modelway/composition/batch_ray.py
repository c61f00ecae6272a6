"""Bulk scoring on a Ray cluster: each worker is an actor that holds the open bundle.

A part is given to an actor as it is to a process of this machine, one at a time, so no more is in
flight than there are actors. What they read and write are the same files and tables, by the same
code; so every node must see the files under the paths that they have here, which is checked before
a part is given away. Source: Ray, "Actors".
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from modelway import __version__
from modelway.batch.folder import PartsFolder
from modelway.batch.manifest import Fingerprint, check_unchanged
from modelway.batch.parts import Part
from modelway.batch.ports import Advanced, Ready, Report
from modelway.bundles.store import open_bundle
from modelway.composition.batch_order import Failed, Order, Said, encode, raised_by, said
from modelway.composition.batch_worker import PartScorer
from modelway.domain.errors import InvalidInput, MissingExtra, ModelwayError, WorkerDied

_CONNECT_S = 10.0

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def working_on_ray(
    order: Order, n_workers: int | None, n_parts: int, address: str | None
) -> Iterator[Actors]:
    """Actors that were given their order, one for each core of the cluster or fewer.

    They are ended with the block. ``address`` None is that of the cluster that was started on this
    machine.

    Raises:
        MissingExtra: Ray is not installed.
        WorkerDied: there is no cluster at the address.
    """
    try:
        import ray
    except ModuleNotFoundError:
        raise MissingExtra("ray", "ray", "--engine ray") from None
    _check_listening(address)
    # Ray takes over this signal, by which the run is told to end in good order.
    ended_by = signal.getsignal(signal.SIGTERM)
    try:
        # What workers print would be among what this command prints.
        ray.init(address or "auto", logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _no_cluster(address, error) from error
    signal.signal(signal.SIGTERM, ended_by)
    actors = Actors(ray)
    try:
        n_cores = _cores(ray, address)
        for _ in range(min(n_workers or n_cores, n_parts)):
            actors.start(order)
        yield actors
    finally:
        actors.end()
        ray.shutdown()


def _cores(ray: Any, address: str | None) -> int:
    """How many cores the cluster has; that none of them is free now is logged.

    Raises:
        WorkerDied: it has none.
    """
    n_cores = int(ray.cluster_resources().get("CPU", 0))
    if n_cores == 0:
        raise _no_cluster(address, RuntimeError("none of its nodes has a core for work"))
    if ray.available_resources().get("CPU", 0) < 1:
        _log.warning("no core of the Ray cluster is free: the run waits for one of %d", n_cores)
    return n_cores


def _check_listening(address: str | None) -> None:
    """Do nothing if somebody listens at an address: Ray would wait for minutes.

    Raises:
        WorkerDied: nobody does.
    """
    host, _, port = (address or "").rpartition("://")[2].rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
    except OSError as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str | None, error: Exception) -> WorkerDied:
    return WorkerDied(
        f"no Ray cluster can be joined {f'at {address}' if address else 'here'}: {error}",
        hint="start one with `ray start --head`, or name one with --address; RAY_AUTH_TOKEN has "
        "its token",
    )


class Actors:
    """Workers, by the order in which they were started."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._kind = ray.remote(num_cpus=1, max_restarts=0)(_Actor)
        self._actors: list[Any] = []
        self._busy: dict[Any, int] = {}
        self._parts: dict[int, Part] = {}

    def start(self, order: Order) -> None:
        """Start one more."""
        # What an actor is made with the cluster keeps; a call goes to the actor alone.
        actor = self._kind.remote()
        self._busy[actor.open.remote(encode(order), str(Path.cwd()))] = len(self._actors)
        self._actors.append(actor)

    def give(self, worker: int, part: Part) -> None:
        """Have a worker that waits score a part."""
        self._parts[worker] = part
        self._busy[self._actors[worker].score.remote(encode(part))] = worker

    def dismiss(self, worker: int) -> None:
        """End a worker that waits."""
        self._ray.kill(self._actors[worker])

    def reports(self, timeout_s: float) -> Sequence[tuple[int, Report]]:
        """What workers said, and which. Raises WorkerDied, or what a worker raised."""
        found: list[tuple[int, Report]] = []
        ready, _ = self._ray.wait(list(self._busy), timeout=timeout_s)
        for one in ready:
            worker = self._busy.pop(one)
            for report in self._heard(worker, one):
                if isinstance(report, Failed):
                    raise raised_by(report)
                found.append((worker, report))
        return found

    def end(self) -> None:
        """End all of them now."""
        for one in self._actors:
            self._ray.kill(one)

    def _heard(self, worker: int, answer: Any) -> Sequence[Said]:
        try:
            return [said(line) for line in self._ray.get(answer)]
        except self._ray.exceptions.RayError as error:
            what = "while it opened the model"
            if worker in self._parts:
                what = f"while it scored part {self._parts[worker].number + 1}"
            lines = str(error).strip().splitlines() or [repr(error)]
            why = " ".join(dict.fromkeys((lines[0], lines[-1])))
            raise WorkerDied(
                f"a worker on the Ray cluster ended {what}: {why}",
                hint="the parts that are done are kept: go on with --resume; where memory was "
                "short, give fewer --workers",
            ) from error


class _Actor:
    """One worker; it answers as a process does, with lines of JSON."""

    def __init__(self) -> None:
        self._scorer: PartScorer | None = None

    def open(self, content: bytes, folder: str) -> list[bytes]:
        """Look whether all is in reach, and open the bundle."""
        order = msgspec.json.decode(content, type=Order)
        try:
            check_reached(order, folder)
            self._scorer = PartScorer(order)
        except (ModelwayError, OSError) as error:
            return [encode(_failed(error))]
        return [encode(Ready())]

    def score(self, part: bytes) -> list[bytes]:
        """Score a part."""
        assert self._scorer is not None  # noqa: S101 - no part is given before it is open
        n_rows, reports = 0, []
        try:
            for report in self._scorer.score(msgspec.json.decode(part, type=Part)):
                if isinstance(report, Advanced):
                    n_rows += report.n_rows
                else:
                    reports.append(encode(report))
        except (ModelwayError, OSError) as error:
            return [encode(_failed(error))]
        return [encode(Advanced(n_rows)), *reports]


def _failed(error: ModelwayError | OSError) -> Failed:
    if isinstance(error, ModelwayError):
        return Failed(error.code, error.message, error.hint)
    return Failed(InvalidInput.code, f"a file cannot be read or written: {error}")


def check_reached(order: Order, folder: str) -> None:
    """Do nothing if this node sees what the run reads and writes, and has the same versions.

    Raises:
        InvalidInput: it does not.
    """
    manifest = order.manifest
    try:
        os.chdir(folder)
        bundle = open_bundle(Path(order.folder))
        parts = PartsFolder(Path(order.beside))
        begun = parts.manifest()
        for known in manifest.inputs:
            if isinstance(known, Fingerprint):
                check_unchanged(known)
    except (ModelwayError, OSError) as error:
        raise _unreachable(str(error)) from error
    if bundle.digest != manifest.model:
        raise _unreachable(f"{order.folder} has another bundle there")
    if begun is None or msgspec.structs.replace(begun, parts=()) != manifest:
        raise _unreachable(f"{parts.path.absolute()} is another folder there")
    if not os.access(parts.path, os.W_OK):
        raise _unreachable(f"{parts.path.absolute()} cannot be written to there")
    there = [__version__, version("pyarrow") if manifest.pyarrow else ""]
    if there != [manifest.made_by, manifest.pyarrow]:
        raise _unreachable(f"Modelway or pyarrow is of another version there: {there}")


def _unreachable(why: str) -> InvalidInput:
    return InvalidInput(
        f"a worker on node {socket.gethostname()} of the Ray cluster cannot do its part: {why}",
        hint="have the bundle, the inputs and the output on a file system that every node sees "
        "under the same paths, and the same Modelway on each",
    )
