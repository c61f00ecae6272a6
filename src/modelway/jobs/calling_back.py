"""Calling back: those who are owed it are told, several at a time, until they have heard it.

Who does not answer, or not well, is told again after a wait that doubles and is drawn at random,
for as long as callbacks last. One who says 410 is left alone.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

from modelway.domain.errors import JobNotFound, ModelwayError, Unavailable
from modelway.jobs.callbacks import AllowedUrls, Callback, Callbacks, origin_of
from modelway.jobs.retrying import Retrying
from modelway.jobs.webhooks import signed

_log = logging.getLogger("modelway.jobs")

Found = TypeVar("Found")

_AT_ONCE = 8
_AT_ONE_ORIGIN = 2
_LOOK_S = 1.0
"""So often is looked for what has become due, while posts are under way."""

_GRACE_S = 3.0
_LEASE_S = 120.0
"""So long nobody else tells it; a post takes less."""

_GONE = 410


class Post(Protocol):
    """Posts a message; gives the status of the answer.

    A redirect is not followed, and nothing is sent that late that the lease could be over. Raises
    Unavailable where there is no answer, CallbackRefused where the host is at an address that is
    not called.
    """

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """The status."""
        ...


@dataclass(frozen=True, slots=True)
class Telling:
    """How callbacks are told: ``body`` writes one, ``secrets`` sign it, ``lasts`` bounds it.

    ``body`` raises JobNotFound where there is nothing to be told any more. ``secrets`` are asked
    for before each is taken, so that they may be exchanged: it raises BadValue where there is none.
    """

    allowed: AllowedUrls
    secrets: Callable[[], Sequence[bytes]]
    post: Post
    body: Callable[[Callback], bytes]
    lasts: timedelta
    retrying: Retrying


class CallingBack:
    """Tells what is owed; one thread calls it, and each post has one of its own."""

    def __init__(self, callbacks: Callbacks, telling: Telling, now: Callable[[], datetime]) -> None:
        self._callbacks = callbacks
        self._telling = telling
        self._now = now
        self._under_way: dict[Future[None], str] = {}

    def once(self, ended: threading.Event) -> int:
        """Tell all that is due, until nothing is; gives how many posts were begun.

        Once this has ``ended``, nothing more is begun, and what is under way has a moment: what
        does not end in it is told again by whoever comes after its lease.

        Raises:
            StoreUnavailable: what is due is not known, or what came of a post could not be kept.
            BadValue: nothing can be signed.
        """
        posts = 0
        while not ended.is_set():
            secrets = self._telling.secrets()
            callback = self._taken()
            if callback is not None:
                tell = partial(self._tell, callback, secrets)
                self._under_way[begun(tell)] = origin_of(callback.url)
                posts += 1
            elif not self._under_way:
                break
            self._settle(0 if callback is not None else _LOOK_S)
        wait(self._under_way, _GRACE_S)
        return posts

    def _taken(self) -> Callback | None:
        """One that is due, where there is room for it: a host that is slow holds up no other."""
        if len(self._under_way) == _AT_ONCE:
            return None
        posts = Counter(self._under_way.values())
        full = [origin for origin, n in posts.items() if n == _AT_ONE_ORIGIN]
        return next(iter(self._callbacks.take(1, self._now(), _LEASE_S, full)), None)

    def _settle(self, most_s: float) -> None:
        """Leave what has ended, for which is waited so long. Raises what it raised."""
        ended, _ = wait(self._under_way, most_s, FIRST_COMPLETED)
        for one in ended:
            del self._under_way[one]
        for one in ended:
            one.result()

    def _tell(self, callback: Callback, secrets: Sequence[bytes]) -> None:
        error, again = self._tried(callback, secrets)
        next_at = self._next_at(callback) if again else None
        if error is not None:
            told = "later again" if next_at is not None else "not any more"
            _log.warning("job %s: %s is not told, %s: %s", callback.job, callback.id, told, error)
        self._callbacks.settle(callback, error, next_at)

    def _tried(self, callback: Callback, secrets: Sequence[bytes]) -> tuple[str | None, bool]:
        """Why nobody has heard it, None where somebody has, and whether to try again."""
        telling = self._telling
        try:
            telling.allowed.check(callback.url)
            body = telling.body(callback)
            headers = signed(secrets, callback.id, self._now(), body)
            status = telling.post(callback.url, headers, body)
        except JobNotFound as error:
            return error.message, False
        except Unavailable as error:
            return error.message, True
        except ModelwayError as error:
            return error.message, True  # what is allowed may change, and where a host is
        if 200 <= status < 300:
            return None, False
        return f"it answers {status}", status != _GONE

    def _next_at(self, callback: Callback) -> datetime | None:
        wait = timedelta(seconds=self._telling.retrying.wait_s(callback.tries))
        next_at = self._now() + wait
        return next_at if next_at < callback.made_at + self._telling.lasts else None


def begun(work: Callable[[], Found]) -> Future[Found]:
    """What comes of some work in a thread of its own, which keeps no process from ending."""
    done: Future[Found] = Future()

    def run() -> None:
        try:
            found = work()
        except BaseException as error:  # noqa: BLE001 - it is raised where the end is looked at
            done.set_exception(error)
        else:
            done.set_result(found)

    threading.Thread(target=run, name="callback", daemon=True).start()
    return done
