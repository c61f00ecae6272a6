"""What answered last, kept in the home, so that a service starts while its store is away.

After each look at the store what answers and who may ask is written down: endpoints with the
folders of their versions, which are named by digest, and keys with the hashes of their secrets. A
start that cannot reach the store begins from that; once the store is back it is followed as ever.
What was changed meanwhile, a key that was revoked too, is known here only then.

An endpoint that cannot be as the store wants it goes on as it answered last, over a restart too.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from modelway.access.keys import Key
from modelway.bundles.manifest import MANIFEST
from modelway.composition.control import Control, now
from modelway.composition.home import Home
from modelway.domain.errors import ModelwayError, StoreUnavailable
from modelway.endpoints.planned import PlannedEndpoint

FILE = "last.json"
FORMAT = 1

_log = logging.getLogger(__name__)


class Remembered(msgspec.Struct, frozen=True):
    """What a service answers and whom, by the store whose URL is shown so, and since when.

    ``default`` is the endpoint behind ``/predict``, empty for none.
    """

    store: str
    at: datetime
    default: str
    endpoints: tuple[PlannedEndpoint, ...]
    keys: tuple[Key, ...]
    format: int = FORMAT


def recalled(home: Home, store: str) -> Remembered | None:
    """What was written down of a store last; None for nothing that could be used."""
    try:
        content = (home.path / FILE).read_bytes()
        found = msgspec.json.decode(content, type=Remembered)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        _log.warning("what answered last cannot be read: %s", error)
        return None
    return found if (found.format, found.store) == (FORMAT, store) else None


class Memory:
    """Writes down what answers and who may ask; threads may share it.

    What cannot be written is said in the log, and keeps nothing from answering.
    """

    def __init__(self, home: Home, begun: Remembered) -> None:
        self._home = home
        self._now = begun
        self._lock = threading.Lock()

    def answering(self, endpoints: Sequence[PlannedEndpoint]) -> None:
        """These endpoints answer now; of no default the first of them becomes it. Blocks."""
        names = [one.name for one in endpoints]
        default = self._now.default if self._now.default in names else next(iter(names), "")
        self._write(endpoints=tuple(endpoints), default=default)

    def admitting(self, keys: Sequence[Key]) -> None:
        """These keys are known now; blocks."""
        self._write(keys=tuple(keys))

    def _write(self, **changed: object) -> None:
        with self._lock:
            self._now = msgspec.structs.replace(self._now, at=now(), **changed)
            try:
                self._home.write(FILE, msgspec.json.encode(self._now))
            except OSError as error:
                _log.error("what answers now cannot be written down: %s", error)


def begun(control: Control) -> Remembered:
    """What a service begins with: as the store has it, or as it was where that is away.

    Raises:
        StoreUnavailable: the store cannot be reached, and nothing is known of it.
    """
    away = control.store.unreached
    if away is None:
        try:
            return _stored(control)
        except StoreUnavailable as error:
            away = error
    found = recalled(control.home, control.store.shown)
    if found is None:
        raise away
    _log.warning(
        "%s; endpoints and keys are as they were at %s", away.message, f"{found.at:%Y-%m-%d %X} UTC"
    )
    return found


def _stored(control: Control) -> Remembered:
    last = recalled(control.home, control.store.shown)
    before = {} if last is None else {one.name: one for one in last.endpoints}
    begin = [_begins(name, one, before) for name, one in control.look().items()]
    endpoints = [one for one in begin if one is not None]
    history = control.store.endpoints.history
    # The endpoint that was there first stays the default one whatever comes beside it.
    oldest = min((one.name for one in endpoints), key=lambda name: history(name)[0].at, default="")
    keys = tuple(control.store.keys.all())
    return Remembered(control.store.shown, now(), oldest, tuple(endpoints), keys)


def _begins(
    name: str, wanted: PlannedEndpoint | ModelwayError, before: Mapping[str, PlannedEndpoint]
) -> PlannedEndpoint | None:
    """An endpoint as it is to be; where it cannot be so, as it answered last, if that is here."""
    if not isinstance(wanted, ModelwayError):
        return wanted
    last = before.get(name)
    if last is None or not all((Path(one.folder) / MANIFEST).is_file() for one in last.active):
        return None
    return last
