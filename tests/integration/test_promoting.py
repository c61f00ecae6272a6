"""The rules of promotion against a real MLflow server, also one that goes away in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from modelway.domain.errors import (
    AliasNotFound,
    Conflict,
    InvalidInput,
    InvalidName,
    ModelNotFound,
    ModelwayError,
    PromotionConflict,
    RegistryUnavailable,
    VersionNotFound,
)
from modelway.registry.following import REGISTRY, SETTLING
from modelway.registry.models import ARCHIVED_BY
from modelway.registry.promotions import Decision, Kind, Promotion, Proposal
from support.ending import joined
from support.mlflow_servers import MlflowServer
from support.promoting import NOON, Desk, desk_at

pytestmark = pytest.mark.services


@pytest.fixture
def desk(server: MlflowServer, tmp_path: Path) -> Iterator[Desk]:
    """A model with four versions, of which the last has no bundle, and the rules."""
    with desk_at(server, tmp_path) as desk:
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
