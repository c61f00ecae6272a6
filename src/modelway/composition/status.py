"""The status of a home: what runs in it, where it answers, and what it keeps.

All of it is read from outside: the home says which process runs, the system which children that
one has, the store what is wanted. Only what keeps a service from following the store is known to
that service alone, which gives it with ``GET /status`` of its administration.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from modelway.bundles.digest import PREFIX
from modelway.composition.administration import admin_key
from modelway.composition.control import Control, now
from modelway.composition.endpoint_operations import LIST as ENDPOINTS
from modelway.composition.endpoint_operations import Resolved
from modelway.composition.exchanging import exchange
from modelway.composition.home import Running
from modelway.composition.mlflow_server import is_up
from modelway.composition.model_operations import Nothing
from modelway.composition.operating import Target
from modelway.composition.operations import Operation
from modelway.composition.remembering import Remembered, recalled
from modelway.composition.schedule_operations import ShownSchedule, shown_schedules
from modelway.domain.addresses import shown_url
from modelway.domain.errors import ModelwayError, StoreUnavailable
from modelway.endpoints.endpoint import Role
from modelway.endpoints.planned import PlannedEndpoint
from modelway.registry.promotions import Decision

_PATIENCE_S = 15.0
"""So long is waited for a service to say how it is; its store may keep it waiting for 5 s."""

_PROC = Path("/proc")
_KINDS = {"answer": "worker", "worker": "jobs", "tend": "tend", "mlflow": "mlflow"}
"""What a child of ``modelway up`` is, by a word of its command."""


class Process(msgspec.Struct, frozen=True):
    """A process; one that was killed and not started again yet is not ``alive``."""

    kind: str
    pid: int
    alive: bool


class Answering(msgspec.Struct, frozen=True):
    """An endpoint and its versions; ``trouble`` is why it is not followed, or not whole."""

    name: str
    versions: Sequence[Resolved]
    trouble: str | None = None


class Addresses(msgspec.Struct, frozen=True):
    """Where what runs answers; ``registry_is_up`` is None where the registry is another's."""

    service: str
    administration: str
    registry: str
    grpc: str
    registry_is_up: bool | None


class Status(msgspec.Struct, frozen=True):
    """What runs in a home and what it keeps; ``addresses`` are None where nothing runs.

    ``bundles`` and ``records`` are where they go beyond the home, without credentials, None where
    they stay in it. ``trouble`` is why what runs could not be asked. ``proposals`` wait for
    approval. While the store is away ``store_trouble`` says so, endpoints and keys are those that
    were known last, and what else the store would say is None.
    """

    home: str
    since: datetime | None
    processes: Sequence[Process]
    addresses: Addresses | None
    endpoints: Sequence[Answering]
    store: str
    generation: int | None
    keys: int
    proposals: int | None
    records_bytes: int
    bundles: str | None = None
    records: str | None = None
    schedules: Sequence[ShownSchedule] = ()
    trouble: str | None = None
    store_trouble: str | None = None


class _Kept(msgspec.Struct, frozen=True):
    """What the store says, or what is known of it: the parts of a status that are its own."""

    endpoints: Sequence[Answering]
    keys: int
    generation: int | None = None
    proposals: int | None = None
    schedules: Sequence[ShownSchedule] = ()
    store_trouble: str | None = None


Troubles = Callable[[], Mapping[str, str]]
"""Why what is wanted of endpoints cannot be, by their names."""


def status_operation(troubles: Troubles = dict) -> Operation[Nothing]:
    """``GET /status``; a service that follows the store gives its troubles."""

    def carry_out(control: Control, _: Nothing, __: str) -> Status:
        return look(control, troubles())

    return Operation("GET", "/status", Nothing, carry_out)


STATUS = status_operation()


def status_of(target: Target) -> Any:
    """The status as its JSON types, of what runs here too where it can be asked.

    Raises:
        StoreUnavailable: the store cannot be reached, and never was from this home.
        ModelwayError: the server named cannot be reached.
    """
    if target.server:
        return target.carry_out(STATUS)
    with Control(target.settings, patient=True) as control:
        running = control.home.running()
        if running is None:
            return msgspec.to_builtins(look(control, {}), enc_hook=str)
        key = {"authorization": f"Bearer {admin_key(control.home.path)}"}
        certificate = target.settings.serve.tls_cert
        try:
            said = exchange(
                *(running.administration, STATUS.method, STATUS.path, b"", key),
                certificate=certificate,
                timeout_s=_PATIENCE_S,
            )
            return msgspec.json.decode(said)
        except ModelwayError as error:
            found = look(control, {})
            found = msgspec.structs.replace(found, trouble=error.message)
            return msgspec.to_builtins(found, enc_hook=str)


def look(control: Control, troubles: Mapping[str, str]) -> Status:
    """The status of a home as it is now.

    Raises:
        StoreUnavailable: the store cannot be reached, and never was from this home.
    """
    running = control.home.running()
    try:
        kept = _kept(control, troubles)
    except StoreUnavailable as error:
        found = recalled(control.home, control.store.shown)
        if found is None:
            raise
        kept = _last(found, troubles, error)
    return Status(
        home=str(control.home.path),
        since=None if running is None else running.since,
        processes=[] if running is None else _processes(running),
        addresses=None if running is None else _addresses(running),
        store=urlsplit(control.settings.store.url or control.home.store_url).scheme,
        records_bytes=_size(control.records_root),
        bundles=_elsewhere(control.settings.bundles.url),
        records=_elsewhere(control.settings.records.url),
        **msgspec.structs.asdict(kept),
    )


def _elsewhere(url: str) -> str | None:
    return shown_url(url) if url else None


def _kept(control: Control, troubles: Mapping[str, str]) -> _Kept:
    """As the store says. Raises StoreUnavailable."""
    store = control.store
    generation = store.generation.now()
    shown = ENDPOINTS.carry_out(control, Nothing(), "")
    waiting = [one for one in store.proposals.all() if one.decision is Decision.OPEN]
    return _Kept(
        endpoints=[Answering(one.name, one.versions, troubles.get(one.name)) for one in shown],
        keys=len([key for key in store.keys.all() if key.revoked_at is None]),
        generation=generation,
        proposals=len([one for one in waiting if one.expires_at > now()]),
        schedules=shown_schedules(control),
    )


def _last(found: Remembered, troubles: Mapping[str, str], error: ModelwayError) -> _Kept:
    """As it was when the store was looked at last."""
    at = f"{found.at:%Y-%m-%d %X} UTC"
    return _Kept(
        [Answering(one.name, roles_of(one), troubles.get(one.name)) for one in found.endpoints],
        len([key for key in found.keys if key.revoked_at is None]),
        store_trouble=f"{error.message}; endpoints and keys are as they were at {at}",
    )


def roles_of(endpoint: PlannedEndpoint) -> list[Resolved]:
    """The versions of an endpoint that answers; of a bundle its folder is the digest."""
    canaries = [(Role.CANARY, one.version, one.weight) for one in endpoint.canaries]
    shadows = [(Role.SHADOW, one, None) for one in endpoint.shadows]
    found = [
        Resolved(
            f"{one.model}:{one.version}", role, one.version, PREFIX + Path(one.folder).name, weight
        )
        for role, one, weight in ((Role.LIVE, endpoint.live, None), *canaries, *shadows)
    ]
    remotes = [one.reference for one in endpoint.remotes]
    return [*found, *(Resolved(one, Role.SHADOW, one, None) for one in remotes)]


def _addresses(running: Running) -> Addresses:
    own = urlsplit(running.registry)
    is_own = own.hostname == "127.0.0.1" and own.port is not None
    return Addresses(
        running.address,
        running.administration,
        running.registry,
        running.grpc,
        is_up(own.port) if is_own and own.port is not None else None,
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """A process as the system shows it."""

    pid: int
    parent: int
    state: str
    words: Sequence[str]


def _processes(running: Running) -> Sequence[Process]:
    """The process that runs and its children; without ``/proc`` only itself."""
    found = [Process("up", running.pid, _is_alive(running.pid))]
    seen = [one for one in _seen() if one.parent == running.pid]
    for one in sorted(seen, key=lambda one: one.pid):
        kind = next((kind for word, kind in _KINDS.items() if word in one.words), None)
        if kind is not None or one.state == "Z":
            found.append(Process(kind or "ended", one.pid, one.state != "Z"))
    return found


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _seen() -> Sequence[_Seen]:
    """Every process of this machine, as far as ``/proc`` shows it; one that ends meanwhile is not.

    Source: proc(5): in ``stat`` the name of the command stands in brackets, whatever is in it.
    """
    found = []
    for path in _PROC.glob("[0-9]*"):
        try:
            state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            words = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except (OSError, ValueError):
            continue
        found.append(_Seen(int(path.name), int(parent), state, words))
    return found


def _size(root: Path) -> int:
    """The bytes of all files below a folder; those that go meanwhile do not count."""
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            try:
                total += (Path(folder) / name).stat().st_size
            except OSError:
                continue
    return total
