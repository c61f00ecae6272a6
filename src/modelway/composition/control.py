"""A home, opened: its store, its registry, and what can be done with them.

The command line opens one beside whatever runs; ``up`` has one, and so has the process that tends
to it. All of them come to the same through the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from modelway.backends.mlflow_rest import MlflowRegistry
from modelway.backends.sql.store import Store, open_store
from modelway.composition.home import Home
from modelway.composition.registered import Registered
from modelway.domain.errors import MissingExtra, ModelwayError
from modelway.endpoints.planned import PlannedEndpoint
from modelway.endpoints.resolving import Resolver
from modelway.endpoints.rollouts import Rollouts
from modelway.registry.promoting import Promoting
from modelway.settings import Settings

if TYPE_CHECKING:
    from modelway.backends.duckdb_records import DuckdbRecords
    from modelway.backends.parquet_records import ParquetRecords

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Control:
    """What is kept in a home and its store; threads may share it.

    ``registry_url`` is where the registry answers, if that is known better than by the settings.

    Raises:
        HomeTooNew, BadValue, StoreUnavailable: the home or its store cannot be opened.
    """

    def __init__(self, settings: Settings, registry_url: str | None = None) -> None:
        self.settings = settings
        self.home = Home(settings.bundles.home)
        self.store: Store = open_store(settings.store.url or self.home.store_url)
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
    def rollouts(self) -> Rollouts:
        """Changes of endpoints."""
        return Rollouts(self.store.endpoints, now)

    @cached_property
    def promoting(self) -> Promoting:
        """Moves of aliases."""
        waits = timedelta(seconds=self.settings.registry.approval_s)
        store = self.store
        return Promoting(
            self.registry,
            self.registry,
            store.ledger,
            store.proposals,
            store.links,
            dict.fromkeys(self.settings.registry.protected_aliases, waits),
            now,
        )

    @cached_property
    def registered(self) -> Registered:
        """Bundles of registered versions."""
        return Registered(
            self.registry, self.registry.url, self.store.links, self.settings, self._own_registry
        )

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
        return DuckdbRecords(self.records_root, lambda: self.store.labels.since(_EPOCH))

    @cached_property
    def keeper(self) -> ParquetRecords:
        """Who seals, merges and removes records. Raises MissingExtra."""
        try:
            from modelway.backends.parquet_records import ParquetRecords
        except ImportError as error:
            raise _without(error) from error
        return ParquetRecords(self.records_root, self.records_key)

    @cached_property
    def records_key(self) -> bytes:
        """The home's own key, by which columns of records are hashed."""
        from modelway.composition.recording import RECORDS_KEY

        return self.home.secret(RECORDS_KEY)

    def resolver(self) -> Resolver:
        """What references mean now."""
        return Resolver(self.store.ledger, self.store.links, self.registered.folder)

    def look(self) -> Mapping[str, PlannedEndpoint | ModelwayError]:
        """Every endpoint as it is to answer now, or why it cannot; asks no registry."""
        resolver = self.resolver()
        found: dict[str, PlannedEndpoint | ModelwayError] = {}
        for revision in self.store.endpoints.current():
            if revision.endpoint is None:
                continue
            try:
                found[revision.name] = resolver.planned(revision.endpoint)
            except ModelwayError as error:
                found[revision.name] = error
        return found


def _without(error: ImportError) -> MissingExtra:
    return MissingExtra(error.name or "duckdb", "records", "reading records")
