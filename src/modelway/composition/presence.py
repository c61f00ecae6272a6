"""This home among those that share its store: all of them must see the same bundles.

A home that begins to serve, or to work on jobs, says in the store where its bundles are, again
every minute, and takes that back when it ends. Another whose bundles are elsewhere is refused
meanwhile; a home that was killed, or whose host is gone for good, is forgotten after an hour.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from modelway.bundles.presence import Present, PresentHomes
from modelway.composition.home import Home
from modelway.composition.shared_bundles import SharedBundles
from modelway.domain.errors import BadValue, ModelwayError, StoreUnavailable

SEEN_S = 60.0
"""How often a home says that it is there."""

FORGOTTEN = timedelta(hours=1)


class Presence:
    """What ``home`` says of itself in a store, and what others have said there."""

    def __init__(self, homes: PresentHomes, home: Home, bundles: SharedBundles) -> None:
        self._homes = homes
        self._home = home
        self._bundles = bundles

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Be there meanwhile; what tends to the home says so later where the store is away.

        Raises:
            BadValue, Unavailable: as ``enter``.
        """
        with contextlib.suppress(StoreUnavailable):
            self.enter()
        try:
            yield
        finally:
            # A worker may end beside the service of its home, which is there as before.
            if self._home.running() is None:
                with contextlib.suppress(ModelwayError):
                    self._homes.leave(self._home.id)

    def enter(self) -> None:
        """Say that this home is there.

        Raises:
            BadValue: another home that is there has its bundles elsewhere.
            Unavailable: the store cannot be reached, or the place of the bundles never was.
        """
        self.check()
        place, at = self._bundles.place_id(), datetime.now(UTC)
        host = socket.gethostname()[:255]
        self._homes.note(Present(self._home.id, host, place, self._bundles.shown, at))
        try:
            self.check()  # of two that come at once neither may have seen the other before
        except BadValue:
            self._homes.leave(self._home.id)
            raise

    def check(self) -> None:
        """Do nothing if all homes that are there have their bundles where this one has.

        Raises:
            BadValue: one has them elsewhere; says which, and what to do.
            Unavailable: the store cannot be reached, or the place of the bundles never was.
        """
        since = datetime.now(UTC) - FORGOTTEN
        others = [one for one in self._homes.all() if one.home != self._home.id]
        others = [one for one in others if one.seen_at > since]
        if not others:
            return
        place = self._bundles.place_id()
        for one in others:
            if one.place != place:
                until = one.seen_at + FORGOTTEN
                raise BadValue(
                    f"bundles.url: this home has its bundles in {self._bundles.shown}, but "
                    f"{one.host}, which shares its store, in {one.shown}: neither would find what "
                    "the other bundles",
                    hint="say the same --bundles URL on every host; if that one is gone for good, "
                    f"it is forgotten at {until:%Y-%m-%d %H:%M} UTC",
                )
