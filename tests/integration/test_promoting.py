"""The rules of promotion against a real MLflow server, also one that goes away in between."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelway.backends.mlflow_rest import MlflowRegistry
from modelway.domain.errors import (
    AliasNotFound,
    Conflict,
    Forbidden,
    InvalidInput,
    InvalidName,
    ModelNotFound,
    ModelwayError,
    PromotionConflict,
    ProposalDecided,
    ProposalNotFound,
    RegistryUnavailable,
    VersionNotFound,
)
from modelway.registry.following import REGISTRY, SETTLING
from modelway.registry.models import ARCHIVED_BY
from modelway.registry.promoting import Promoting
from modelway.registry.promotions import Decision, Kind, Promotion, Proposal
from support.ending import joined
from support.ledgers import MemoryLedger, MemoryLinks, MemoryProposals
from support.mlflow_servers import MlflowServer, mlflow_server
from support.severed import Relay

pytestmark = pytest.mark.services

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
WAITING = timedelta(hours=4)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real MLflow server, the same for all tests."""
    with mlflow_server(tmp_path_factory) as running:
        yield running


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


@pytest.fixture
def desk(server: MlflowServer, tmp_path: Path) -> Iterator[Desk]:
    """A model with four versions, of which the last has no bundle, and the rules."""
    model = f"loan-{secrets.token_hex(6)}"
    source = tmp_path / "model"
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


def test_a_promotion_is_entered_shown_and_confirmed(desk: Desk) -> None:
    made = desk.promoting.promote(desk.model, "1", "champion", "ann", "the first", "ab" * 32)
    assert made == Promotion(
        *(desk.model, "champion", 1, None, "1"),
        *(Kind.PROMOTED, "ann", "the first", NOON, "ab" * 32),
    )
    assert list(desk.ledger.history(desk.model)) == [made]
    assert desk.shown() == "1"
    assert not desk.ledger.unconfirmed()
    assert desk.promote("2").from_version == "1"
    assert desk.shown() == "2"


def test_a_version_is_named_as_the_registry_names_it(desk: Desk) -> None:
    assert desk.promote("002").to_version == "2"


def test_a_promotion_to_where_the_alias_is_enters_nothing(desk: Desk) -> None:
    first = desk.promote("1")
    assert desk.promote("1", actor="bob") == first
    assert len(desk.moves()) == 1


def test_what_cannot_be_promoted_changes_nothing(desk: Desk) -> None:
    promote = desk.promoting.promote
    with pytest.raises(VersionNotFound):
        promote(desk.model, "9", "champion", "ann", "why")
    with pytest.raises(ModelNotFound):
        promote("nobody", "1", "champion", "ann", "why")
    with pytest.raises(InvalidName, match="reserved"):
        promote(desk.model, "1", "v1", "ann", "why")
    with pytest.raises(InvalidInput, match="reason"):
        promote(desk.model, "1", "champion", "ann", " ")
    with pytest.raises(RegistryUnavailable, match=f"bundle of {desk.model}:4 cannot be fetched"):
        promote(desk.model, "4", "champion", "ann", "why")
    desk.relay.sever()
    with pytest.raises(RegistryUnavailable):
        promote(desk.model, "1", "champion", "ann", "why")
    assert not desk.ledger.history(desk.model)
    assert desk.mlflow.model(desk.model).aliases == {}


def test_of_many_who_promote_at_once_one_wins_and_the_others_are_told(desk: Desk) -> None:
    desk.promote("1")
    desk.now += timedelta(hours=1)
    hosts = [desk.another_host() for _ in range(6)]
    together = threading.Barrier(len(hosts), timeout=60)

    def promote(number: int) -> Promotion | Proposal | ModelwayError:
        together.wait()
        version = "2" if number % 2 else "3"
        try:
            return hosts[number].promote(desk.model, version, "champion", f"p{number}", "mine")
        except ModelwayError as error:
            return error

    with ThreadPoolExecutor(len(hosts)) as pool:
        results = list(pool.map(promote, range(len(hosts))))
    told = [one for one in results if isinstance(one, ModelwayError)]
    assert all(isinstance(one, PromotionConflict) for one in told)
    assert all("moved it to" in one.message for one in told)
    entered = desk.ledger.history(desk.model)
    assert [one.number for one in entered] == list(range(1, len(entered) + 1))
    assert {one for one in results if isinstance(one, Promotion)} == set(entered[1:])
    assert desk.shown() == entered[-1].to_version
    assert not desk.ledger.unconfirmed()


def test_who_comes_second_is_told_who_was_first(desk: Desk) -> None:
    desk.promote("1")
    slow, quick = desk.another_host(), desk.another_host()
    history = desk.ledger.current

    def while_the_slow_one_thinks(model: str | None = None) -> Sequence[Promotion]:
        found = history(model)
        if threading.current_thread() is thinking:
            read.set()
            moved.wait(30)
        return found

    def promote_slowly() -> None:
        try:
            slow.promote(desk.model, "3", "champion", "bob", "mine")
        except PromotionConflict as error:
            told.append(error.message)

    told: list[str] = []
    read, moved = threading.Event(), threading.Event()
    thinking = threading.Thread(target=promote_slowly, daemon=True)
    desk.ledger.current = while_the_slow_one_thinks  # type: ignore[method-assign] # a slow store
    thinking.start()
    assert read.wait(30)
    quick.promote(desk.model, "2", "champion", "eve", "it is quicker")
    moved.set()
    joined(thinking)
    assert told == [f"{desk.model}@champion was moved meanwhile; eve moved it to 2: it is quicker"]
    assert desk.shown() == "2"


def test_whoever_writes_late_writes_what_is_valid_now(desk: Desk) -> None:
    desk.promote("1")
    quick = desk.another_host()

    def somebody_is_quicker() -> None:
        desk.ledger.entered = lambda: None
        quick.promote(desk.model, "3", "champion", "eve", "it is quicker")

    desk.ledger.entered = somebody_is_quicker
    assert desk.promote("2").number == 2
    assert desk.moves()[-1] == (3, "2", "3", Kind.PROMOTED, "eve")
    assert desk.shown() == "3"
    assert not desk.ledger.unconfirmed()


def test_a_move_stands_unconfirmed_while_mlflow_is_away_and_is_shown_later(desk: Desk) -> None:
    desk.promote("1")
    desk.ledger.entered = desk.relay.sever
    made = desk.promote("2")
    desk.ledger.entered = lambda: None
    assert desk.shown() == "1"
    assert list(desk.ledger.unconfirmed()) == [made]
    with pytest.raises(RegistryUnavailable):
        desk.reconcile()
    desk.relay.mend()
    assert desk.reconcile() == [made]
    assert desk.shown() == "2"
    assert not desk.ledger.unconfirmed()
    assert desk.reconcile() == []


def test_a_rollback_goes_to_the_version_before_and_on(desk: Desk) -> None:
    for version in ("1", "2", "3"):
        desk.promote(version)
    back = desk.promoting.rollback(desk.model, "champion", "bob", "it is worse")
    assert (back.number, back.from_version, back.to_version) == (4, "3", "2")
    assert (back.kind, back.actor, back.why) == (Kind.ROLLED_BACK, "bob", "it is worse")
    assert desk.shown() == "2"
    assert desk.promoting.rollback(desk.model, "champion", "bob", "this too").to_version == "1"
    with pytest.raises(Conflict, match="no earlier version to go back to"):
        desk.promoting.rollback(desk.model, "champion", "bob", "and this")
    assert desk.shown() == "1"


def test_a_rollback_needs_no_registry(desk: Desk) -> None:
    desk.promote("1")
    desk.promote("2")
    desk.relay.sever()
    back = desk.promoting.rollback(desk.model, "champion", "bob", "it is worse")
    assert back.to_version == "1"
    assert list(desk.ledger.unconfirmed()) == [back]
    assert desk.shown() == "2"
    desk.relay.mend()
    desk.reconcile()
    assert desk.shown() == "1"
    assert not desk.ledger.unconfirmed()


def test_a_rollback_passes_over_what_cannot_answer(desk: Desk) -> None:
    for version in ("1", "2"):
        desk.promote(version)
    desk.mlflow.set_alias(desk.model, "champion", "4")
    desk.reconcile()
    desk.promote("3")
    desk.mlflow.delete(desk.model, "2")
    back = desk.promoting.rollback(desk.model, "champion", "bob", "it is worse")
    assert back.to_version == "1"


def test_an_alias_that_never_was_cannot_be_rolled_back(desk: Desk) -> None:
    desk.promote("1")
    with pytest.raises(AliasNotFound, match="no alias 'challenger'; there is: champion"):
        desk.promoting.rollback(desk.model, "challenger", "bob", "why")
    with pytest.raises(ModelNotFound):
        desk.promoting.rollback("nobody", "champion", "bob", "why")
    with pytest.raises(InvalidInput, match="reason"):
        desk.promoting.rollback(desk.model, "champion", "bob", "")
    desk.relay.sever()
    with pytest.raises(RegistryUnavailable):
        desk.promoting.rollback(desk.model, "challenger", "bob", "why")


def test_a_protected_alias_waits_for_somebody_else(desk: Desk) -> None:
    proposal = desk.promoting.promote(desk.model, "1", "guarded", "ann", "better", "cd" * 32)
    assert isinstance(proposal, Proposal)
    assert (proposal.at, proposal.expires_at) == (NOON, NOON + WAITING)
    assert "cd" * 32 in proposal.why
    assert desk.shown("guarded") is None
    with pytest.raises(Forbidden, match="ann proposed it"):
        desk.promoting.approve(proposal.id, "ann")
    desk.now += timedelta(hours=1)
    made = desk.promoting.approve(proposal.id, "bob")
    assert (made.to_version, made.actor, made.at) == ("1", "ann", desk.now)
    assert made.why == f"{proposal.why} (approved by bob)"
    assert desk.shown("guarded") == "1"
    decided = desk.proposals.find(proposal.id)
    assert (decided.decision, decided.decided_by) == (Decision.APPROVED, "bob")
    with pytest.raises(ProposalDecided, match="approved by bob already"):
        desk.promoting.approve(proposal.id, "eve")
    with pytest.raises(ProposalDecided, match="approved by bob already"):
        desk.promoting.decline(proposal.id, "eve")


def test_a_protected_alias_is_rolled_back_at_once(desk: Desk) -> None:
    for version in ("1", "2"):
        proposal = desk.promoting.promote(desk.model, version, "guarded", "ann", "better")
        assert isinstance(proposal, Proposal)
        desk.promoting.approve(proposal.id, "bob")
    assert desk.promoting.rollback(desk.model, "guarded", "ann", "worse").to_version == "1"


def test_what_was_declined_or_has_expired_cannot_be_approved(desk: Desk) -> None:
    def proposed() -> Proposal:
        made = desk.promoting.promote(desk.model, "1", "guarded", "ann", "better")
        assert isinstance(made, Proposal)
        return made

    declined, late, forgotten = proposed(), proposed(), proposed()
    assert desk.promoting.decline(declined.id, "ann").decision is Decision.DECLINED
    with pytest.raises(ProposalDecided, match="declined by ann already"):
        desk.promoting.approve(declined.id, "bob")
    desk.now = late.expires_at
    with pytest.raises(ProposalDecided, match="expired"):
        desk.promoting.approve(late.id, "bob")
    desk.promoting.reconcile(desk.now)
    assert desk.proposals.find(forgotten.id).decision is Decision.EXPIRED
    with pytest.raises(ProposalNotFound):
        desk.promoting.approve("nothing", "bob")
    assert desk.shown("guarded") is None


def test_what_is_archived_or_deleted_while_it_is_bundled_is_not_promoted(desk: Desk) -> None:
    proposal = desk.promoting.promote(desk.model, "2", "guarded", "ann", "better")
    assert isinstance(proposal, Proposal)
    desk.meanwhile = lambda: desk.mlflow.set_tags(desk.model, "2", {ARCHIVED_BY: "eve"})
    with pytest.raises(Conflict, match="eve has archived it"):
        desk.promoting.approve(proposal.id, "bob")
    assert desk.proposals.find(proposal.id).decision is Decision.OPEN
    desk.mlflow.set_tags(desk.model, "2", {ARCHIVED_BY: None})
    with pytest.raises(Conflict, match="eve has archived it"):
        desk.promote("2")
    desk.meanwhile = lambda: desk.mlflow.delete(desk.model, "3")
    with pytest.raises(VersionNotFound):
        desk.promote("3")
    assert desk.ledger.history(desk.model) == []


def test_a_proposal_stays_open_while_it_cannot_be_carried_out(desk: Desk) -> None:
    proposal = desk.promoting.promote(desk.model, "1", "guarded", "ann", "better")
    assert isinstance(proposal, Proposal)
    desk.relay.sever()
    with pytest.raises(RegistryUnavailable):
        desk.promoting.approve(proposal.id, "bob")
    desk.relay.mend()
    desk.links.link(desk.model, "1", None, "the bundle was removed")
    with pytest.raises(RegistryUnavailable, match="cannot be fetched"):
        desk.promoting.approve(proposal.id, "bob")
    assert desk.proposals.find(proposal.id).decision is Decision.OPEN


def test_a_proposal_that_was_overtaken_is_refused_and_says_by_whom(desk: Desk) -> None:
    def proposed(version: str) -> Proposal:
        made = desk.promoting.promote(desk.model, version, "guarded", "ann", f"{version} is better")
        assert isinstance(made, Proposal)
        return made

    first, second = proposed("1"), proposed("2")
    assert (first.from_version, second.from_version) == (None, None)
    desk.promoting.approve(first.id, "bob")
    with pytest.raises(PromotionConflict, match="since this was proposed; ann moved it to 1: 1 is"):
        desk.promoting.approve(second.id, "bob")
    assert desk.shown("guarded") == "1"
    assert desk.proposals.find(second.id).decision is Decision.OPEN
    again = proposed("2")
    assert again.from_version == "1"
    assert desk.promoting.approve(again.id, "bob").from_version == "1"
    assert desk.shown("guarded") == "2"


def test_of_two_who_approve_at_once_one_is_told(desk: Desk) -> None:
    proposal = desk.promoting.promote(desk.model, "1", "guarded", "ann", "better")
    assert isinstance(proposal, Proposal)
    hosts, together = [desk.another_host() for _ in range(4)], threading.Barrier(4, timeout=60)

    def approve(number: int) -> object:
        together.wait()
        try:
            return hosts[number].approve(proposal.id, f"p{number}")
        except (ProposalDecided, PromotionConflict) as error:
            return error

    with ThreadPoolExecutor(len(hosts)) as pool:
        results = list(pool.map(approve, range(len(hosts))))
    (made,) = [one for one in results if isinstance(one, Promotion)]
    assert list(desk.ledger.history(desk.model)) == [made]
    assert desk.shown("guarded") == "1"


def test_a_promotion_of_a_protected_alias_to_where_it_is_proposes_nothing(desk: Desk) -> None:
    made = approved(desk, "1")
    assert desk.promoting.promote(desk.model, "1", "guarded", "eve", "again") == made
    assert len(desk.proposals.all(desk.model)) == 1


def approved(desk: Desk, version: str) -> Promotion:
    """The move of the protected alias to a version."""
    desk.now += timedelta(hours=1)
    proposal = desk.promoting.promote(desk.model, version, "guarded", "ann", "better")
    assert isinstance(proposal, Proposal)
    return desk.promoting.approve(proposal.id, "bob")


@pytest.mark.parametrize("to", ["3", None])
def test_a_protected_alias_that_was_moved_in_mlflow_is_put_back(desk: Desk, to: str | None) -> None:
    approved(desk, "1")
    approved(desk, "2")
    desk.mlflow.set_alias(desk.model, "guarded", to)
    (refused,) = desk.reconcile()
    assert (refused.from_version, refused.to_version, refused.kind) == ("2", "2", Kind.REFUSED)
    assert refused.actor == REGISTRY
    assert refused.why.startswith("moved to version 3 in" if to else "removed in")
    assert desk.shown("guarded") == "2"
    assert not desk.ledger.unconfirmed()
    assert desk.reconcile() == []
    assert desk.promoting.rollback(desk.model, "guarded", "ann", "worse").to_version == "1"


def test_a_protected_alias_is_put_back_once_mlflow_is_there_again(desk: Desk) -> None:
    approved(desk, "1")
    desk.mlflow.set_alias(desk.model, "guarded", "3")
    desk.ledger.entered = desk.relay.sever
    with pytest.raises(RegistryUnavailable):
        desk.reconcile()
    desk.ledger.entered = lambda: None
    assert [one.to_version for one in desk.ledger.unconfirmed()] == ["1"]
    assert desk.shown("guarded") == "3"
    desk.relay.mend()
    desk.reconcile()
    assert desk.shown("guarded") == "1"
    assert [one[3] for one in desk.moves("guarded")] == [Kind.PROMOTED, Kind.REFUSED]


def test_what_was_refused_meanwhile_does_not_stop_an_approval(desk: Desk) -> None:
    approved(desk, "1")
    proposal = desk.promoting.promote(desk.model, "2", "guarded", "ann", "better")
    assert isinstance(proposal, Proposal)
    desk.mlflow.set_alias(desk.model, "guarded", "3")
    desk.now += timedelta(hours=1)
    made = desk.promoting.approve(proposal.id, "bob")
    assert (made.number, made.from_version, made.to_version) == (3, "1", "2")
    assert desk.shown("guarded") == "2"


def test_a_protected_alias_that_nobody_approved_is_left_in_mlflow_and_not_followed(
    desk: Desk,
) -> None:
    desk.mlflow.set_alias(desk.model, "guarded", "3")
    (refused,) = desk.reconcile()
    assert (refused.from_version, refused.to_version, refused.kind) == (None, None, Kind.REFUSED)
    assert desk.reconcile() == []
    assert desk.shown("guarded") == "3"
    assert approved(desk, "1").from_version is None
    assert desk.shown("guarded") == "1"


def test_a_protected_alias_stays_on_a_version_that_was_deleted_in_mlflow(desk: Desk) -> None:
    approved(desk, "1")
    approved(desk, "2")
    desk.mlflow.delete(desk.model, "2")
    for _ in range(2):
        desk.reconcile()
        assert [one[2] for one in desk.moves("guarded")] == ["1", "2", "2"]
    desk.mlflow.set_alias(desk.model, "guarded", "3")
    desk.reconcile()
    assert desk.ledger.current(desk.model)[0].to_version == "2"


def test_hosts_that_put_an_alias_back_at_once_enter_it_once(desk: Desk) -> None:
    approved(desk, "1")
    desk.mlflow.set_alias(desk.model, "guarded", "3")
    desk.now += timedelta(hours=1)
    hosts = [desk.another_host() for _ in range(4)]
    with ThreadPoolExecutor(len(hosts)) as pool:
        list(pool.map(lambda host: host.reconcile(desk.now), hosts))
    assert [one[3] for one in desk.moves("guarded")] == [Kind.PROMOTED, Kind.REFUSED]
    assert desk.shown("guarded") == "1"


def test_what_others_moved_in_mlflow_is_noticed_once(desk: Desk) -> None:
    desk.mlflow.set_alias(desk.model, "challenger", "2")
    desk.promote("1")
    desk.mlflow.set_alias(desk.model, "champion", "3")
    noticed = desk.reconcile()
    assert {(one.alias, one.from_version, one.to_version) for one in noticed} == {
        ("challenger", None, "2"),
        ("champion", "1", "3"),
    }
    assert {(one.kind, one.actor) for one in noticed} == {(Kind.NOTICED, REGISTRY)}
    assert all("in the registry itself" in one.why for one in noticed)
    desk.mlflow.set_alias(desk.model, "champion", None)
    (removed,) = desk.reconcile()
    assert (removed.from_version, removed.to_version) == ("3", None)
    assert desk.reconcile() == []
    assert not desk.ledger.unconfirmed()
    assert desk.shown() is None


def test_a_promotion_starts_from_where_others_moved_the_alias(desk: Desk) -> None:
    desk.promote("1")
    desk.mlflow.set_alias(desk.model, "champion", "3")
    assert desk.promote("2").from_version == "3"
    assert desk.moves() == [
        (1, None, "1", Kind.PROMOTED, "ann"),
        (2, "1", "3", Kind.NOTICED, REGISTRY),
        (3, "3", "2", Kind.PROMOTED, "ann"),
    ]
    assert desk.promoting.rollback(desk.model, "champion", "bob", "worse").to_version == "3"


def test_what_may_be_a_late_write_is_not_taken_for_somebody_elses(desk: Desk) -> None:
    desk.promote("1")
    desk.promote("2")
    desk.mlflow.set_alias(desk.model, "champion", "1")  # as a write of before, long on its way
    assert not [x for x in desk.promoting.reconcile(desk.now) if x.model == desk.model]
    desk.now += SETTLING
    (noticed,) = [x for x in desk.promoting.reconcile(desk.now) if x.model == desk.model]
    assert (noticed.from_version, noticed.to_version) == ("2", "1")


def test_an_alias_moved_elsewhere_is_noticed_at_once(desk: Desk) -> None:
    desk.promote("1")
    desk.mlflow.set_alias(desk.model, "champion", "3")
    (noticed,) = [x for x in desk.promoting.reconcile(desk.now) if x.model == desk.model]
    assert noticed.to_version == "3"


def test_a_version_deleted_before_its_move_was_shown_is_entered_as_such(desk: Desk) -> None:
    desk.promote("1")
    desk.ledger.entered = desk.relay.sever
    desk.promote("2")
    desk.ledger.entered = lambda: None
    desk.mlflow.delete(desk.model, "2")
    desk.relay.mend()
    (noticed,) = desk.reconcile()
    assert (noticed.from_version, noticed.to_version, noticed.kind) == ("2", "1", Kind.NOTICED)
    assert noticed.why.startswith(
        f"the registry cannot show version 2: {desk.model} has no version"
    )
    assert desk.reconcile() == []


def test_hosts_that_reconcile_at_once_enter_each_move_once(desk: Desk) -> None:
    desk.promote("1")
    desk.mlflow.set_alias(desk.model, "champion", "3")
    desk.mlflow.set_alias(desk.model, "challenger", "2")
    desk.now += timedelta(hours=1)
    hosts = [desk.another_host() for _ in range(4)]
    with ThreadPoolExecutor(len(hosts)) as pool:
        list(pool.map(lambda host: host.reconcile(desk.now), hosts))
    assert len(desk.moves("champion")) == 2
    assert len(desk.moves("challenger")) == 1
    assert not desk.ledger.unconfirmed()
    assert desk.shown() == "3"


def test_a_rollback_to_a_version_whose_bundle_is_gone_changes_nothing(desk: Desk) -> None:
    for version in ("1", "2"):
        desk.promote(version)
    desk.gone.add("1")
    with pytest.raises(Conflict, match=r"cannot go back to version 1: its bundle .* be fetched"):
        desk.promoting.rollback(desk.model, "champion", "bob", "it is worse")
    assert desk.shown() == "2"
    assert len(desk.moves()) == 2
    desk.gone.clear()
    assert desk.promoting.rollback(desk.model, "champion", "bob", "worse").to_version == "1"


def test_a_version_whose_bundle_is_gone_is_neither_promoted_nor_approved(desk: Desk) -> None:
    proposal = desk.promoting.promote(desk.model, "1", "guarded", "ann", "better")
    assert isinstance(proposal, Proposal)
    desk.gone.add("1")
    with pytest.raises(RegistryUnavailable, match=f"bundle of {desk.model}:1"):
        desk.promote("1")
    with pytest.raises(RegistryUnavailable, match=f"bundle of {desk.model}:1"):
        desk.promoting.approve(proposal.id, "bob")
    assert desk.proposals.find(proposal.id).decision is Decision.OPEN
    assert not desk.ledger.history(desk.model)
