"""Operations on endpoints where something of them cannot answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelway.composition.control import Control
from modelway.composition.endpoint_operations import (
    CANARY,
    END_CANARY,
    END_SHADOW,
    SHADOW,
    OfReference,
    SetCanary,
    ShownEndpoint,
)
from modelway.domain.errors import Conflict, InvalidInput
from modelway.endpoints.endpoint import Canary, Endpoint
from modelway.endpoints.planned import PlannedEndpoint
from modelway.endpoints.trials import Trials
from support.canaries import STEADY, controlled, linked, moved

REFUSED = "it is a pickle, and the registry is not trusted"


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    """A rule of three versions, whose canary and shadow, 8 and 9, could not be bundled."""
    rules = {str(number): STEADY.format(number=number) for number in (1, 2, 3)}
    with controlled(tmp_path / "home") as opened:
        linked(opened, tmp_path, rules)
        moved(opened, "1")
        canaries = (Canary("rule:8", 0.25), Canary("rule:3", 0.5))
        endpoint = Endpoint("rule", "rule@champion", canaries, shadows=("rule:9",))
        opened.rollouts.create(endpoint, "ann")
        for version in ("8", "9"):
            opened.store.links.link("rule", version, None, REFUSED)
        yield opened


def planned(control: Control) -> PlannedEndpoint:
    found = control.look()["rule"]
    assert isinstance(found, PlannedEndpoint)
    return found


def test_what_could_not_be_bundled_is_ended_like_anything_else(control: Control) -> None:
    ended = END_CANARY.carry_out(control, OfReference("rule", "rule:8"), "ann")
    assert isinstance(ended, ShownEndpoint)
    END_SHADOW.carry_out(control, OfReference("rule", "models:/rule/9"), "ann")
    endpoint = control.rollouts.show("rule").endpoint
    assert endpoint is not None
    assert endpoint.references == ("rule@champion", "rule:3")
    with pytest.raises(InvalidInput, match="neither a canary nor a shadow"):
        END_CANARY.carry_out(control, OfReference("rule", "rule:8"), "ann")
    assert planned(control).missing == ()


def test_another_weight_may_be_given_to_what_is_named_already(control: Control) -> None:
    CANARY.carry_out(control, SetCanary("rule", "rule:8", 0.125), "ann")
    endpoint = control.rollouts.show("rule").endpoint
    assert endpoint is not None
    assert endpoint.canaries == (Canary("rule:8", 0.125), Canary("rule:3", 0.5))
    control.store.links.link("rule", "7", None, REFUSED)
    with pytest.raises(Conflict, match=REFUSED):
        CANARY.carry_out(control, SetCanary("rule", "rule:7", 0.125), "ann")
    with pytest.raises(Conflict, match=REFUSED):
        SHADOW.carry_out(control, OfReference("rule", "rule:7"), "ann")


def test_an_endpoint_follows_its_alias_without_what_cannot_answer(control: Control) -> None:
    moved(control, "2")
    found = planned(control)
    assert found.live.version == "2"
    assert [(one.version.version, one.weight) for one in found.canaries] == [("3", 0.5)]
    assert found.shadows == ()
    assert found.missing == (
        f"without the canary rule:8: rule:8 has no bundle: {REFUSED}",
        f"without the shadow rule:9: rule:9 has no bundle: {REFUSED}",
    )


def test_a_canary_beside_it_is_judged_all_the_same(control: Control) -> None:
    store = control.store
    (trial,) = Trials(store.endpoints, store.ledger, store.links).now()
    assert [(one.reference, one.share) for one in trial.candidates] == [("rule:3", 0.5)]
