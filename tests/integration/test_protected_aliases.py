"""Protected aliases against a real MLflow server: proposals, and moves in MLflow itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from modelway.domain.errors import (
    Forbidden,
    PromotionConflict,
    ProposalDecided,
    ProposalNotFound,
    RegistryUnavailable,
)
from modelway.registry.following import REGISTRY
from modelway.registry.promotions import Decision, Kind, Promotion, Proposal
from support.mlflow_servers import MlflowServer
from support.promoting import NOON, WAITING, Desk, desk_at

pytestmark = pytest.mark.services


@pytest.fixture
def desk(server: MlflowServer, tmp_path: Path) -> Iterator[Desk]:
    """A model with four versions, of which the last has no bundle, and the rules."""
    with desk_at(server, tmp_path) as desk:
        yield desk


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
