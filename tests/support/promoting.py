"""Promotion against a real MLflow server: what it needs, and what a test turns."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from modelway.backends.mlflow_rest import MlflowRegistry
from modelway.domain.errors import RegistryUnavailable
from modelway.registry.promoting import Promoting
from modelway.registry.promotions import Kind, Promotion
from support.ledgers import MemoryLedger, MemoryLinks, MemoryProposals
from support.mlflow_servers import MlflowServer
from support.severed import Relay

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
WAITING = timedelta(hours=4)


class Desk:
    """Everything that a promotion needs, and what a test turns: the clock and the way to MLflow."""

    def __init__(self, url: str, relay: Relay, model: str) -> None:
        self.model = model
        self.now = NOON
        self.gone: set[str] = set()
        self.meanwhile: Callable[[], object] = str
        self.relay = relay
        self.mlflow = MlflowRegistry(url)
        self.ledger = MemoryLedger()
        self.links = MemoryLinks(self.ledger)
        self.proposals = MemoryProposals(self.ledger)
        self.promoting = self.another_host()

    def bundle(self, model: str, version: str) -> None:
        """Every version that is linked has its bundle here, but for those that are ``gone``."""
        if version in self.gone or self.links.digest(model, version) is None:
            raise RegistryUnavailable(f"the bundle of {model}:{version} cannot be fetched")
        self.meanwhile()

    def another_host(self) -> Promoting:
        """The same rules and store in another process."""
        way = MlflowRegistry(self.relay.url, timeout_s=10)
        return Promoting(
            way,
            self.ledger,
            self.proposals,
            self.links,
            self.bundle,
            {"guarded": WAITING},
            lambda: self.now,
        )

    def promote(self, version: str, alias: str = "champion", actor: str = "ann") -> Promotion:
        """A promotion of an alias that nobody protects, an hour after what was before."""
        self.now += timedelta(hours=1)
        made = self.promoting.promote(self.model, version, alias, actor, f"{version} is better")
        assert isinstance(made, Promotion)
        return made

    def shown(self, alias: str = "champion") -> str | None:
        """Where MLflow itself has an alias."""
        return self.mlflow.model(self.model).aliases.get(alias)

    def reconcile(self) -> list[Promotion]:
        """What reconciling an hour later changes of this model."""
        self.now += timedelta(hours=1)
        return [one for one in self.promoting.reconcile(self.now) if one.model == self.model]

    def moves(self, alias: str = "champion") -> list[tuple[int, str | None, str | None, Kind, str]]:
        """The history of an alias."""
        return [
            (one.number, one.from_version, one.to_version, one.kind, one.actor)
            for one in self.ledger.history(self.model, alias)
        ]


@contextlib.contextmanager
def desk_at(server: MlflowServer, folder: Path) -> Iterator[Desk]:
    """A model with four versions, of which the last has no bundle, and the rules."""
    model = f"loan-{secrets.token_hex(6)}"
    source = folder / "model"
    source.mkdir()
    (source / "MLmodel").write_text("flavors: {}\n")
    with Relay(server.url) as relay:
        desk = Desk(server.url, relay, model)
        run_id = desk.mlflow.register(model, source, None, {}).run_id
        for _ in range(3):
            desk.mlflow.register(model, source, run_id, {})
        for version in ("1", "2", "3"):
            desk.links.link(model, version, f"sha256:{version}", None)
        # Aliases that other tests have left are noticed here, not in the test.
        desk.promoting.reconcile(NOON)
        yield desk
