"""A home, opened: its store, its registry, and what can be done with them.

The command line opens one beside whatever runs; ``up`` has one, and so has the process that tends
to it. All of them come to the same through the store.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from modelway.backends.mlflow_rest import MlflowRegistry
from modelway.backends.sql.store import Store, open_store
from modelway.composition.home import Home
from modelway.composition.leaving import left
from modelway.composition.presence import Presence
from modelway.composition.registered import Registered
from modelway.composition.shared_bundles import SharedBundles
from modelway.domain.errors import MissingExtra, ModelwayError, Unavailable
from modelway.endpoints.planned import PlannedEndpoint
from modelway.endpoints.resolving import Folder, Resolver
from modelway.endpoints.rollouts import Rollouts
from modelway.records.ports import RecordKeeper
from modelway.registry.meanings import Meanings
from modelway.registry.promoting import Promoting
from modelway.settings import Settings

if TYPE_CHECKING:
    from modelway.backends.duckdb_records import DuckdbRecords
    from modelway.backends.parquet_sent import SentRecords

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ARRIVES_S = 1.0
"""So long a look at all endpoints waits for bundles that are on their way here."""


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Control:
    """What is kept in a home and its store; threads may share it.

    ``registry_url`` is where the registry answers, if that is known better than by the settings.
    One that is ``patient`` is opened also while its store cannot be reached (``open_store``).

    Raises:
        HomeTooNew, BadValue, StoreUnavailable: the home or its store cannot be opened.
    """

    def __init__(
        self, settings: Settings, registry_url: str | None = None, *, patient: bool = False
    ) -> None:
        self.home = Home(settings.bundles.home)
        self.settings = self.home.settled(settings)
        url = self.settings.store.url or self.home.store_url
        jobs = self.settings.jobs
        self.store: Store = open_store(
            url, durable=jobs.durable, patient=patient, announces=bool(jobs.broker)
        )
        self._registry_url = registry_url

    def __enter__(self) -> Control:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give everything back."""
        self.store.close()

    @property
    def registry_url(self) -> str:
        """Where the registry answers: as it was said, by the settings, or the home's own."""
        if self._registry_url or self.settings.registry.url:
            return self._registry_url or self.settings.registry.url
        running = self.home.running()
        if running is not None and running.registry:
            return running.registry
        return f"http://127.0.0.1:{self.settings.registry.port}"

    @cached_property
    def registry(self) -> MlflowRegistry:
        """The registry; it is asked when something needs it."""
        return MlflowRegistry(self.registry_url)

    @cached_property
    def meanings(self) -> Meanings:
        """What references mean; those that need it are looked up in the registry."""
        return Meanings(self.registry, self.store.ledger)

    @cached_property
    def rollouts(self) -> Rollouts:
        """Changes of endpoints."""
        return Rollouts(self.store.endpoints, now)

    @property
    def protected(self) -> frozenset[str]:
        """The protected aliases: those that ``up`` was started with here, and no fewer wherever a
        command is run, and those of its own settings."""
        return self.settings.registry.protected_aliases | self.home.protected

    @cached_property
    def promoting(self) -> Promoting:
        """Moves of aliases."""
        waits = timedelta(seconds=self.settings.registry.approval_s)
        store = self.store
        return Promoting(
            self.registry,
            store.ledger,
            store.proposals,
            store.links,
            lambda model, version: self.registered.bundle(model, version, lambda _: None),
            dict.fromkeys(self.protected, waits),
            now,
        )

    @cached_property
    def registered(self) -> Registered:
        """Bundles of registered versions."""
        return Registered(
            self.registry,
            self.registry.url,
            self.store.links,
            self.bundles,
            self.presence,
            self.settings,
            self._own_registry,
        )

    @cached_property
    def bundles(self) -> SharedBundles:
        """The bundles of the home, and where other hosts see them."""
        return SharedBundles(self.settings.bundles)

    @cached_property
    def presence(self) -> Presence:
        """This home among those that share its store."""
        return Presence(self.store.homes, self.home, self.bundles)

    @property
    def _own_registry(self) -> str:
        """The registry that this home has started itself, empty for none."""
        if self.settings.registry.url:
            return ""
        running = self.home.running()
        return self._registry_url or ("" if running is None else running.registry)

    @property
    def records_root(self) -> Path:
        """The folder of the records."""
        return self.home.records

    @cached_property
    def records(self) -> DuckdbRecords:
        """What was predicted, with the labels of the store. Raises MissingExtra."""
        try:
            from modelway.backends.duckdb_records import DuckdbRecords
        except ImportError as error:
            raise _without(error) from error
        labels = partial(self.store.labels.since, _EPOCH)
        return DuckdbRecords(self.records_root, labels, sent=self._sent, left=left)

    @cached_property
    def keeper(self) -> RecordKeeper:
        """Who seals, merges and removes records. Raises MissingExtra."""
        try:
            from modelway.backends.parquet_records import ParquetRecords
        except ImportError as error:
            raise _without(error) from error
        here = ParquetRecords(self.records_root, self.records_key)
        if self._sent is None:
            return here
        from modelway.backends.parquet_elsewhere import ElsewhereRecords

        return ElsewhereRecords(self.records_root, here, self._sent, self.forget)

    def forget(self, prediction_ids: Sequence[str]) -> Mapping[str, int]:
        """Remove what is kept of predictions beside their records; gives how much of it."""
        store = self.store
        return {
            "labels": store.labels.erase(prediction_ids),
            "jobs": store.jobs.erase(prediction_ids),
        }

    @cached_property
    def _sent(self) -> SentRecords | None:
        """The records that lie elsewhere, None where all are in the home."""
        url = self.settings.records.url
        if not url:
            return None
        try:
            from modelway.backends.fsspec_place import open_place
        except ImportError as error:
            raise MissingExtra("fsspec", "remote", "records.url") from error
        from modelway.backends.parquet_sent import SentRecords

        return SentRecords(open_place(url, "records.url"), self.home.id)

    def check_records(self) -> None:
        """Do nothing if records can be where they are to be, once that answers.

        Raises:
            BadValue, MissingExtra: the URL is none of a place, or needs a driver.
        """
        with contextlib.suppress(Unavailable):
            _ = self._sent

    @property
    def records_name(self) -> str:
        """What tells these records from those of other homes; alike for all that share them."""
        if self._sent is not None:
            return self._sent.place.shown[-240:]
        return f"{socket.gethostname()[:60]} {str(self.records_root.resolve())[-180:]}"

    @cached_property
    def records_key(self) -> bytes:
        """The home's own key, by which columns of records are hashed."""
        from modelway.composition.recording import RECORDS_KEY

        return self.home.secret(RECORDS_KEY)

    def resolver(self) -> Resolver:
        """What references mean now."""
        return self._resolver(self.bundles.folder)

    def look(self) -> Mapping[str, PlannedEndpoint | ModelwayError]:
        """Every endpoint as it is to answer now, or why it cannot; asks no registry.

        A bundle that is not here is brought by another thread: one that takes long holds up no
        other endpoint, and is found by a later look.
        """
        soon = partial(self.bundles.folder_soon, until_s=time.monotonic() + _ARRIVES_S)
        resolver = self._resolver(soon)
        found: dict[str, PlannedEndpoint | ModelwayError] = {}
        for revision in self.store.endpoints.current():
            if revision.endpoint is None:
                continue
            try:
                found[revision.name] = resolver.planned(revision.endpoint)
            except ModelwayError as error:
                found[revision.name] = error
        return found

    def _resolver(self, folder: Folder) -> Resolver:
        return Resolver(self.store.ledger, self.store.links, folder, self.settings.shadows.urls)


def _without(error: ImportError) -> MissingExtra:
    return MissingExtra(error.name or "duckdb", "records", "reading records")
